"""Rates are kept, on every storage alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from emafusion.errors import ConfigError, LimitedError
from emafusion.gateway.callers import Caller, Passage
from emafusion.gateway.limits import Allowance, Buckets, LocalBuckets, Rate, RateGate
from emafusion.gateway.limits.gate import duration
from emafusion.gateway.limits.rates import Unit
from emafusion.types import Outcome, Request

from .parts import Hand, passage, spent

Turn = Callable[[float], Awaitable[None]]
Storage = tuple[Buckets, Turn]


def gate_of(buckets: Buckets, *rates: Rate) -> RateGate:
    """Every key has `rates`."""

    def allowances(caller: Caller) -> Sequence[Allowance]:
        return (Allowance(holder=f"key:{caller.key}", rates=rates),)

    return RateGate(buckets, allowances)


async def ask(gate: RateGate, asked: Passage, *, outcome: Outcome | None = None) -> Passage:
    async with gate.open(asked):
        asked.outcome = outcome
    return asked


async def let_in(gate: RateGate, times: int, **told: str) -> int:
    """How many of so many requests are let in."""
    count = 0
    for _ in range(times):
        try:
            await ask(gate, passage(**told))
        except LimitedError:
            continue
        count += 1
    return count


async def test_as_many_requests_pass_as_the_rate_says(storage: Storage) -> None:
    gate = gate_of(storage[0], Rate(unit="requests", amount=5, period_s=60))
    assert await let_in(gate, 9) == 5


async def test_the_bucket_fills_again(storage: Storage) -> None:
    buckets, turn = storage
    gate = gate_of(buckets, Rate(unit="requests", amount=4, period_s=2.0))
    assert await let_in(gate, 6) == 4
    await turn(1.05)
    assert await let_in(gate, 6) == 2


async def test_a_refusal_says_when_to_come_again_and_that_holds(storage: Storage) -> None:
    buckets, turn = storage
    gate = gate_of(buckets, Rate(unit="requests", amount=2, period_s=1.0))
    await let_in(gate, 2)
    with pytest.raises(LimitedError, match="'key:one' is limited to 2 requests in 1 s") as told:
        await ask(gate, passage())
    wait_s = told.value.retry_after_s
    assert wait_s is not None
    assert 0.0 < wait_s <= 0.5
    await turn(wait_s + 0.002)
    await ask(gate, passage())


@pytest.mark.parametrize(("unit", "asked"), [("requests", 0), ("usd", 1)])
async def test_dollars_are_reckoned_only_where_they_have_a_rate(unit: Unit, asked: int) -> None:
    prices: list[Request] = []

    def price(request: Request) -> float:
        prices.append(request)
        return 0.6

    rates = (Allowance(holder="key:one", rates=(Rate(unit=unit, amount=1.0),)),)
    gate = RateGate(LocalBuckets(time.monotonic), lambda _: rates, price=price)
    await ask(gate, passage(), outcome=spent(10, usd=0.6))
    assert len(prices) == asked
    with pytest.raises(LimitedError):
        await ask(gate, passage())


async def test_keys_do_not_share_their_rates(storage: Storage) -> None:
    gate = gate_of(storage[0], Rate(unit="requests", amount=3))
    assert await let_in(gate, 4, key="one") == 3
    assert await let_in(gate, 4, key="two") == 3


async def test_a_team_has_one_rate_for_all_its_keys(storage: Storage) -> None:
    def allowances(caller: Caller) -> Sequence[Allowance]:
        return (
            Allowance(holder=f"key:{caller.key}", rates=(Rate(unit="requests", amount=3),)),
            Allowance(holder=f"team:{caller.team}", rates=(Rate(unit="requests", amount=5),)),
        )

    gate = RateGate(storage[0], allowances)
    assert await let_in(gate, 4, key="one", team="t") == 3
    assert await let_in(gate, 4, key="two", team="t") == 2
    assert await let_in(gate, 4, key="three", team="other") == 3


async def test_what_is_refused_takes_nothing_of_the_other_rates(storage: Storage) -> None:
    def allowances(caller: Caller) -> Sequence[Allowance]:
        return (
            Allowance(holder="team:t", rates=(Rate(unit="requests", amount=4),)),
            Allowance(holder=f"key:{caller.key}", rates=(Rate(unit="requests", amount=1),)),
        )

    gate = RateGate(storage[0], allowances)
    assert await let_in(gate, 10, key="one") == 1
    assert [await let_in(gate, 1, key=key) for key in "abcd"] == [1, 1, 1, 0]


async def test_tokens_are_estimated_and_settled(storage: Storage) -> None:
    gate = gate_of(storage[0], Rate(unit="tokens", amount=1000, period_s=3600))
    first = await ask(gate, passage(max_tokens=900), outcome=spent(100))
    assert first.reply_headers["x-ratelimit-limit-tokens"] == "1000"
    assert int(first.reply_headers["x-ratelimit-remaining-tokens"]) < 100
    second = await ask(gate, passage(max_tokens=10), outcome=spent(15))
    assert int(second.reply_headers["x-ratelimit-remaining-tokens"]) in range(880, 890)


async def test_who_uses_more_than_estimated_waits_for_it(storage: Storage) -> None:
    gate = gate_of(storage[0], Rate(unit="tokens", amount=100, period_s=60))
    await ask(gate, passage(max_tokens=10), outcome=spent(300))
    with pytest.raises(LimitedError) as told:
        await ask(gate, passage(max_tokens=10))
    assert told.value.retry_after_s == pytest.approx(120 + 60 * 15 / 100, abs=0.5)


async def test_a_request_that_cost_nothing_gives_its_tokens_back_but_counts(
    storage: Storage,
) -> None:
    rates = Rate(unit="tokens", amount=600), Rate(unit="requests", amount=3)
    gate = gate_of(storage[0], *rates)
    assert await let_in(gate, 5) == 3


async def test_a_request_larger_than_the_rate_passes_when_nothing_is_owed(
    storage: Storage,
) -> None:
    gate = gate_of(storage[0], Rate(unit="tokens", amount=100, period_s=3600))
    await ask(gate, passage(max_tokens=5000), outcome=spent(1))
    await ask(gate, passage(max_tokens=90), outcome=spent(1))
    with pytest.raises(LimitedError):
        await ask(gate, passage(max_tokens=5000))


async def test_a_senseless_bound_is_no_debt_while_the_request_runs(storage: Storage) -> None:
    gate = gate_of(storage[0], Rate(unit="tokens", amount=100, period_s=60))
    asked = passage(max_tokens=10**400, n=10**30)
    async with gate.open(asked):
        with pytest.raises(LimitedError) as told:
            await ask(gate, passage(max_tokens=50))
        assert told.value.retry_after_s is not None
        assert told.value.retry_after_s < 60
        asked.outcome = spent(10)
    await ask(gate, passage(max_tokens=50))


async def test_dollars_delay_what_comes_after(storage: Storage) -> None:
    gate = gate_of(storage[0], Rate(unit="usd", amount=0.6, period_s=60))
    await ask(gate, passage(), outcome=spent(10, usd=0.9))
    with pytest.raises(LimitedError, match=r"limited to \$0.6 per minute") as told:
        await ask(gate, passage())
    assert told.value.retry_after_s == pytest.approx(30.0, abs=0.5)


async def test_spending_on_a_failure_counts(storage: Storage) -> None:
    gate = gate_of(storage[0], Rate(unit="usd", amount=1.0))
    asked = passage()
    with pytest.raises(RuntimeError):
        async with gate.open(asked):
            asked.outcome = spent(10, usd=5.0)
            raise RuntimeError
    with pytest.raises(LimitedError):
        await ask(gate, passage())


@pytest.mark.parametrize(("error", "counts"), [("cancelled", 0.5), (None, 0.1)])
async def test_who_hangs_up_is_charged_what_it_may_have_cost(
    error: str | None, counts: float
) -> None:
    rate = Rate(unit="usd", amount=1.0, period_s=60)
    gate = RateGate(
        LocalBuckets(Hand().tick),
        lambda caller: (Allowance(holder=f"key:{caller.key}", rates=(rate,)),),
        price=lambda request: 0.5,
    )
    cut = spent(10, usd=0.1)
    steps = tuple(replace(step, unsettled_usd=0.7) for step in cut.steps)
    await ask(gate, passage(), outcome=replace(cut, steps=steps, error=error))
    after = await ask(gate, passage())
    assert float(after.reply_headers["x-ratelimit-remaining-usd"]) == pytest.approx(0.5 - counts)


async def test_a_caller_that_hangs_up_is_charged(storage: Storage) -> None:
    gate = gate_of(storage[0], Rate(unit="usd", amount=1.0))
    asked = passage()
    begun = asyncio.Event()

    async def hang_up() -> None:
        async with gate.open(asked):
            asked.outcome = spent(10, usd=5.0)
            begun.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(hang_up())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    with pytest.raises(LimitedError):
        await ask(gate, passage())


async def test_concurrent_requests_do_not_pass_together(storage: Storage) -> None:
    gate = gate_of(storage[0], Rate(unit="requests", amount=7))
    found = await asyncio.gather(*(let_in(gate, 1) for _ in range(30)))
    assert sum(found) == 7


async def test_headers_tell_of_the_rate_nearest_its_end(storage: Storage) -> None:
    rates = Rate(unit="requests", amount=100), Rate(unit="requests", amount=2, period_s=86_400)
    told = (await ask(gate_of(storage[0], *rates), passage())).reply_headers
    assert told == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "12h0m0s",
    }


async def test_a_refusal_has_the_headers_too(storage: Storage) -> None:
    gate = gate_of(storage[0], Rate(unit="requests", amount=1))
    await ask(gate, passage())
    asked = passage()
    with pytest.raises(LimitedError):
        await ask(gate, asked)
    assert asked.reply_headers["x-ratelimit-remaining-requests"] == "0"


async def test_who_has_no_rates_is_not_counted(storage: Storage) -> None:
    gate = RateGate(storage[0], lambda caller: ())
    assert await let_in(gate, 50) == 50
    assert (await ask(gate, passage())).reply_headers == {}


asks = st.lists(st.tuples(st.floats(0.0, 40.0), st.floats(0.0, 30.0)), max_size=60)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(asks=asks, amount=st.floats(1.0, 20.0))
def test_no_span_lets_more_through_than_it_should(
    asks: list[tuple[float, float]], amount: float
) -> None:
    """For requests no larger than the rate, amount × (1 + t / period) holds for every span."""
    clock = Hand()
    gate = gate_of(LocalBuckets(clock.tick), Rate(unit="requests", amount=amount, period_s=60.0))
    passed: list[float] = []
    for pause, _ in asks:
        clock.time += pause
        passed += [clock.time] * asyncio.run(let_in(gate, 1))
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            span = passed[last] - passed[first]
            assert last - first + 1 <= amount * (1 + span / 60.0) + 1e-6


uses = st.lists(
    st.tuples(st.floats(0.0, 90.0), st.integers(1, 150), st.integers(0, 400)), max_size=40
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(uses=uses)
def test_what_was_used_is_bounded_though_nobody_knew_it_before(
    uses: list[tuple[float, int, int]],
) -> None:
    """Of requests one after another, all but the last in a span keep amount × (1 + t / period)."""
    clock = Hand()
    gate = gate_of(LocalBuckets(clock.tick), Rate(unit="tokens", amount=100.0, period_s=60.0))
    passed: list[tuple[float, int]] = []
    for pause, expected, tokens in uses:
        clock.time += pause
        asked = passage("", max_tokens=expected)
        try:
            asyncio.run(ask(gate, asked, outcome=spent(tokens)))
        except LimitedError:
            continue
        passed.append((clock.time, tokens))
    for first in range(len(passed)):
        total = 0
        for at, tokens in passed[first:]:
            assert total <= 100.0 * (1 + (at - passed[first][0]) / 60.0) + 1e-6
            total += tokens


async def test_memory_holds_the_active_alone() -> None:
    clock = Hand()
    buckets = LocalBuckets(clock.tick)
    gate = gate_of(buckets, Rate(unit="requests", amount=100, period_s=1.0))
    for number in range(15_000):
        clock.time += 0.01
        async with gate.open(passage(key=str(number))):
            pass
    assert len(buckets) <= 10_001


def test_counting_in_memory_waits_for_nothing() -> None:
    """A minute's and a day's rates in all units, for key and team, settled."""
    units = ("requests", "tokens", "usd")
    rates = tuple(Rate(unit=unit, amount=1e12) for unit in units)  # type: ignore[arg-type]
    both = tuple(Allowance(holder=holder, rates=rates) for holder in ("key:one", "team:t"))
    gate = RateGate(LocalBuckets(time.monotonic), lambda caller: both)
    counted = ask(gate, passage(), outcome=spent(100, usd=0.01))
    with pytest.raises(StopIteration):
        counted.send(None)  # no turn of the loop was asked for


@pytest.mark.parametrize(("amount", "period_s"), [(0, 60), (-1, 60), (float("inf"), 60), (1, 0)])
def test_a_rate_of_nothing_is_a_mistake(amount: float, period_s: float) -> None:
    with pytest.raises(ConfigError, match="positive"):
        Rate(unit="requests", amount=amount, period_s=period_s)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0ms"), (0.0204, "20ms"), (1, "1s"), (6.5, "6.5s"), (360, "6m0s"), (3662, "1h1m2s")],
)
def test_durations_read_as_openais(seconds: float, told: str) -> None:
    assert duration(seconds) == told


async def test_who_was_told_to_wait_is_known_until_then() -> None:
    rate = Rate(unit="requests", amount=1, period_s=0.2)
    rates = [rate, Rate(unit="tokens", amount=1000)]
    gate = RateGate(
        LocalBuckets(time.monotonic),
        lambda caller: (Allowance(holder=f"key:{caller.key}", rates=tuple(rates)),),
    )
    one, other = Caller(key="one"), Caller(key="two")
    gate.early(one)
    await ask(gate, passage())
    gate.early(one)
    with pytest.raises(LimitedError) as told:
        await ask(gate, passage())
    with pytest.raises(LimitedError, match="'key:one' is limited to") as again:
        gate.early(one)
    assert again.value.retry_after_s is not None
    assert again.value.retry_after_s <= (told.value.retry_after_s or 0.0)
    gate.early(other)
    rates[0] = Rate(unit="requests", amount=2, period_s=0.2)
    gate.early(one)
    rates[0] = rate
    await asyncio.sleep(0.25)
    gate.early(one)


async def test_a_shorter_request_may_come_where_a_longer_had_to_wait() -> None:
    gate = gate_of(LocalBuckets(time.monotonic), Rate(unit="tokens", amount=1000))
    await ask(gate, passage(max_tokens=900), outcome=spent(900))
    with pytest.raises(LimitedError):
        await ask(gate, passage(max_tokens=900))
    gate.early(Caller(key="one"))
    await ask(gate, passage(max_tokens=10))
