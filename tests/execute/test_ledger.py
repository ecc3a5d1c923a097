"""The purse never overspends and the diary never forgets."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.catalog import tokens
from emafusion.catalog.bounds import Prompt
from emafusion.errors import (
    BudgetError,
    DeadlineError,
    RejectedError,
    RequestError,
    UnavailableError,
)
from emafusion.execute import Ledger, Limits
from emafusion.gateway.accounts.estimates import most_usd
from emafusion.providers.ending import BrokenOff
from emafusion.testing import ScriptedProvider
from emafusion.types import Call, Chunk, Completion, Draft, Model, Request, Usage, replace
from emafusion.types.models import PriceTier

QUESTION = ({"role": "user", "content": "What is 2 + 2?"},)


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def tick(self) -> float:
        return self.time


def model(name: str = "a", price: float = 1.0) -> Model:
    return Model(
        name=name,
        provider="scripted",
        upstream=name,
        usd_per_mtok_in=price,
        usd_per_mtok_out=price,
        max_output=100,
    )


def ledger(
    provider: ScriptedProvider, limits: Limits | None = None, *, price: float = 1.0
) -> Ledger:
    return Ledger(
        {"a": model("a", price)},
        {"scripted": provider},
        clock=Clock(),
        limits=limits or Limits(),
    )


def said(text: str, tokens: int) -> Completion:
    return Completion(text=text, usage=Usage(prompt_tokens=10, completion_tokens=tokens))


async def test_a_call_is_priced_from_the_upstreams_own_count() -> None:
    purse = ledger(ScriptedProvider(said("4", 5)), price=2.0)
    draft = await purse.complete("a", QUESTION)
    assert draft.cost_usd == pytest.approx(15 * 2.0 / 1e6)
    assert purse.spent == draft.cost_usd
    assert [step.error for step in purse.steps] == [None]


async def test_a_service_tier_has_a_price_or_is_not_asked_for() -> None:
    told = replace(model(price=2.0), service_tiers={"priority": 1.75})
    for limits in (Limits(), Limits(max_cost_usd=1.0)):
        purse = Ledger(
            {"a": told},
            {"scripted": ScriptedProvider(said("4", 5))},
            clock=Clock(),
            limits=limits,
        )
        draft = await purse.complete("a", QUESTION, params={"service_tier": "priority"})
        assert draft.cost_usd == pytest.approx(1.75 * 15 * 2.0 / 1e6)
        draft = await purse.complete("a", QUESTION, params={"service_tier": "auto"})
        assert draft.cost_usd == pytest.approx(15 * 2.0 / 1e6)
        for tier in ("flex", ["priority"], 3):
            with pytest.raises(RejectedError, match=r"service_tiers in \[models"):
                await purse.complete("a", QUESTION, params={"service_tier": tier})
        assert [step.service_tier for step in purse.steps] == ["priority", ""]


def test_a_model_is_reachable_unless_its_provider_knows_better() -> None:
    class Down(ScriptedProvider):
        def reachable(self, model: Model) -> bool:
            return model.name != "a"

    told, known = ledger(ScriptedProvider()), ledger(Down())
    for purse in (told, told.of_part(0)):
        assert purse.reachable(model("a"))
    for purse in (known, known.of_part(0)):
        assert not purse.reachable(model("a"))
        assert purse.reachable(model("b"))


async def test_a_failed_call_is_a_step_with_its_error() -> None:
    purse = ledger(ScriptedProvider(UnavailableError("gone", "a")))
    with pytest.raises(UnavailableError):
        await purse.complete("a", QUESTION)
    assert purse.steps[0].error == "UnavailableError: gone"
    assert purse.spent == 0.0


async def test_a_providers_bug_becomes_a_provider_error() -> None:
    def broken(call: Call) -> str:
        raise ZeroDivisionError("secret inside")

    purse = ledger(ScriptedProvider(broken))
    with pytest.raises(UnavailableError, match="ZeroDivisionError in provider 'scripted'"):
        await purse.complete("a", QUESTION)
    assert "secret" not in str(purse.steps[0].error)


async def test_a_slow_call_ends_at_its_deadline() -> None:
    limits = Limits(call_timeout_s=0.02)
    purse = ledger(ScriptedProvider("late", delay_s=5.0), limits)
    with pytest.raises(DeadlineError):
        await purse.complete("a", QUESTION)
    assert "DeadlineError" in str(purse.steps[0].error) or "no answer" in str(purse.steps[0].error)


async def test_no_time_left_means_no_call() -> None:
    provider = ScriptedProvider("x")
    clock = Clock()
    purse = Ledger(
        {"a": model()}, {"scripted": provider}, clock=clock, limits=Limits(max_latency_s=1.0)
    )
    clock.time = 2.0
    with pytest.raises(DeadlineError):
        await purse.complete("a", QUESTION)
    assert provider.calls == []


async def test_any_amount_of_money_is_a_limit() -> None:
    provider = ScriptedProvider("x")
    limits = Limits(max_cost_usd=1e308)
    await ledger(provider, limits, price=1e-3).complete("a", QUESTION, params={"max_tokens": 50})
    assert provider.calls[0].params["max_tokens"] == 50


async def test_a_call_that_could_overspend_is_not_made() -> None:
    provider = ScriptedProvider("x")
    with pytest.raises(BudgetError, match="max_cost_usd"):
        await ledger(provider, Limits(max_cost_usd=1e-6)).complete("a", QUESTION)
    assert provider.calls == []


@pytest.mark.parametrize(
    "params",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "description": "word " * 9000}}]},
        {"response_format": {"type": "json_schema", "schema": {"description": "word " * 9000}}},
    ],
)
async def test_what_is_asked_beside_the_messages_counts(params: dict[str, object]) -> None:
    provider = ScriptedProvider("x")
    purse = ledger(provider, Limits(max_cost_usd=0.002), price=1.0)
    with pytest.raises(BudgetError, match="the prompt alone may cost"):
        await purse.complete("a", QUESTION, params={**params, "max_tokens": 16})
    await purse.complete("a", QUESTION, params={"max_tokens": 16})
    assert len(provider.calls) == 1


async def test_what_was_reserved_for_a_request_lets_its_call_through() -> None:
    """And not one token more: both count by the same rules."""
    params = {"tools": [{"type": "function", "function": {"name": "f"}}], "max_tokens": 50}
    request = Request(id="r", messages=QUESTION, params=params)
    most = most_usd(model(), request, Prompt(request))
    provider = ScriptedProvider("x")
    await ledger(provider, Limits(max_cost_usd=most)).complete("a", QUESTION, params=params)
    assert provider.calls[0].params["max_tokens"] == 50


@pytest.mark.parametrize(
    ("told", "bound"),
    [
        ({}, {"max_tokens": 100}),
        ({"max_tokens": None}, {"max_tokens": 100}),
        ({"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
        (
            {"max_completion_tokens": 9, "max_tokens": 10**6},
            {"max_completion_tokens": 9, "max_tokens": 9},
        ),
    ],
)
async def test_the_bound_is_spelt_as_the_caller_did(
    told: dict[str, object], bound: dict[str, object]
) -> None:
    provider = ScriptedProvider("x")
    await ledger(provider, Limits(max_cost_usd=1.0)).complete("a", QUESTION, params=told)
    assert provider.calls[0].params == bound


async def test_more_answers_than_the_protocol_knows_are_not_asked_for() -> None:
    provider = ScriptedProvider("x")
    with pytest.raises(RequestError, match="n must be"):
        await ledger(provider).complete("a", QUESTION, params={"n": 10**400})
    assert provider.calls == []


async def test_a_limit_shortens_the_answer_rather_than_refuse_it() -> None:
    provider = ScriptedProvider(said("4", 5))
    await ledger(provider, Limits(max_cost_usd=60e-6)).complete("a", QUESTION)
    allowed = provider.calls[0].params["max_tokens"]
    assert isinstance(allowed, int)
    assert 16 <= allowed < 100


async def test_a_long_prompts_own_prices_shorten_its_answer() -> None:
    provider = ScriptedProvider(said("4", 5))
    limits = Limits(max_cost_usd=60e-6)
    await ledger(provider, limits).complete("a", QUESTION)
    tier = PriceTier(above=1, usd_per_mtok_in=1.0, usd_per_mtok_out=2.0)
    models = {"a": replace(model(), tiers=(tier,))}
    dearer = Ledger(models, {"scripted": provider}, clock=Clock(), limits=limits)
    await dearer.complete("a", QUESTION)
    plain, tiered = (call.params["max_tokens"] for call in provider.calls)
    assert isinstance(plain, int)
    assert tiered == plain // 2


async def test_without_a_limit_the_callers_parameters_pass_untouched() -> None:
    provider = ScriptedProvider("x")
    await ledger(provider).complete("a", QUESTION, params={"temperature": 0.3, "seed": 7})
    assert provider.calls[0].params == {"temperature": 0.3, "seed": 7}


@settings(max_examples=40, deadline=None)
@given(
    limit=st.floats(1e-6, 2e-3),
    answers=st.lists(st.integers(1, 100), min_size=1, max_size=6),
)
def test_spend_never_exceeds_the_limit_under_any_interleaving(
    limit: float, answers: list[int]
) -> None:
    """Calls made together reserve before they spend, so they cannot overspend together."""

    def reply(call: Call) -> Completion:
        bound = call.params.get("max_tokens", 100)
        assert isinstance(bound, int)
        return said("x", min(answers[0], bound))

    async def run() -> float:
        purse = ledger(ScriptedProvider(reply, delay_s=0.0), Limits(max_cost_usd=limit), price=5.0)
        calls = (purse.complete("a", QUESTION) for _ in answers)
        await asyncio.gather(*calls, return_exceptions=True)
        return purse.spent

    assert asyncio.run(run()) <= limit


@settings(max_examples=60, deadline=None)
@given(
    shares=st.lists(st.floats(2e-5, 1e-3), min_size=1, max_size=3),
    asking=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 100)), min_size=1, max_size=8),
)
def test_no_part_takes_more_than_its_share_under_any_interleaving(
    shares: list[float], asking: list[tuple[int, int]]
) -> None:
    """What a part has spent and what its calls in flight may cost never exceed its share."""
    most = [0.0] * len(shares)
    flying = [0.0] * len(shares)

    def spent(part: int) -> float:
        return sum(step.cost_usd for step in purse.steps if step.part == part)

    class Watched(ScriptedProvider):
        async def complete(self, call: Call) -> Completion:
            part, length = asking[int(str(call.messages[-1]["content"]))]
            bound = call.params["max_tokens"]
            assert isinstance(bound, int)
            dearest = (tokens.count_messages(call.messages) + bound) * 5.0 / 1e6
            part %= len(shares)
            flying[part] += dearest
            most[part] = max(most[part], spent(part) + flying[part])
            try:
                await asyncio.sleep(0.001 * (length % 3))
                return said("x", min(length, bound))
            finally:
                flying[part] -= dearest

    purse = ledger(Watched(""), Limits(max_cost_usd=2.0 * sum(shares)), price=5.0)

    async def ask(number: int) -> None:
        part = asking[number][0] % len(shares)
        question = ({"role": "user", "content": str(number)},)
        await purse.of_part(part, shares[part]).complete("a", question, purpose="draft")

    async def run() -> None:
        await asyncio.gather(*map(ask, range(len(asking))), return_exceptions=True)

    asyncio.run(run())
    for part, share in enumerate(shares):
        assert max(most[part], spent(part)) <= share + 1e-12


async def test_a_parts_spending_is_taken_off_its_share() -> None:
    provider = ScriptedProvider(lambda call: said("4", 60))
    purse = ledger(provider, Limits(max_cost_usd=1.0))
    port = purse.of_part(0, 130e-6)
    await port.complete("a", QUESTION, purpose="draft")
    await port.complete("a", QUESTION, purpose="draft")
    first, second = (call.params["max_tokens"] for call in provider.calls)
    assert first == 100
    assert isinstance(second, int)
    assert 16 <= second <= 60
    with pytest.raises(BudgetError):
        await port.complete("a", QUESTION, purpose="draft")
    # Another part's share is not touched.
    await purse.of_part(1, 130e-6).complete("a", QUESTION, purpose="draft")


async def test_two_parts_that_ask_at_once_both_get_an_answer() -> None:
    """One asks two models together, which may not set the other part's money aside."""
    purse = ledger(ScriptedProvider(said("4", 5), delay_s=0.01), Limits(max_cost_usd=120e-6))
    one, other = purse.of_part(0, 60e-6), purse.of_part(1, 60e-6)
    told = await asyncio.gather(
        *(port.complete("a", QUESTION, purpose="draft") for port in (one, one, other)),
        return_exceptions=True,
    )
    assert [isinstance(end, Draft) for end in told] == [True, False, True]
    assert isinstance(told[1], BudgetError)


async def test_a_stream_ends_with_its_draft() -> None:
    purse = ledger(ScriptedProvider(said("four is the answer", 4)))
    pieces = [piece async for piece in purse.stream("a", QUESTION)]
    *chunks, draft = pieces
    assert isinstance(draft, Draft)
    assert "".join(c.text for c in chunks if isinstance(c, Chunk)) == "four is the answer"
    assert draft.cost_usd == purse.spent > 0


async def test_a_stream_left_early_is_paid_for_what_was_heard() -> None:
    provider = ScriptedProvider(said("a long answer that goes on and on", 40), piece=2)
    purse = ledger(provider)
    stream = purse.stream("a", QUESTION)
    heard = [await anext(stream), await anext(stream)]
    await stream.aclose()
    assert len(heard) == 2
    assert provider.cancelled == 1
    assert purse.steps[0].error == "cancelled"
    assert purse.spent > 0


@pytest.mark.parametrize("limit", [1.0, None])
async def test_who_leaves_before_the_end_may_owe_all_that_was_set_aside(
    limit: float | None,
) -> None:
    """The bill comes last, and tells of what no caller sees: whole answers, hidden reasoning."""
    provider = ScriptedProvider(said("a long answer that goes on", 40), piece=2, delay_s=0.01)
    purse = ledger(provider, Limits(max_cost_usd=limit))
    stream = purse.stream("a", QUESTION)
    await anext(stream)
    await stream.aclose()
    whole = asyncio.create_task(purse.complete("a", QUESTION))
    await asyncio.sleep(0.001)
    whole.cancel()
    await asyncio.wait([whole])
    bound = most_usd(model(), Request(id="r", messages=QUESTION), Prompt(provider.calls[0]))
    for step in purse.steps:
        assert step.error == "cancelled"
        assert 100e-6 < step.cost_usd + step.unsettled_usd <= bound


async def test_who_leaves_after_the_count_owes_what_it_says() -> None:
    provider = ScriptedProvider(said("four", 40))
    purse = ledger(provider, Limits(max_cost_usd=1.0))
    stream = purse.stream("a", QUESTION)
    while not (isinstance(piece := await anext(stream), Chunk) and piece.usage):
        pass
    await stream.aclose()
    [step] = purse.steps
    assert (step.error, step.unsettled_usd) == ("cancelled", 0.0)
    assert step.cost_usd == pytest.approx(50e-6)


async def test_several_answers_are_reserved_severally() -> None:
    provider = ScriptedProvider(said("4", 5))
    await ledger(provider, Limits(max_cost_usd=300e-6)).complete("a", QUESTION, params={"n": 5})
    allowed = provider.calls[0].params["max_tokens"]
    assert isinstance(allowed, int)
    assert allowed * 5 <= 300


async def test_with_a_limit_the_answers_length_is_always_bounded() -> None:
    provider = ScriptedProvider(said("4", 5))
    await ledger(provider, Limits(max_cost_usd=1.0)).complete("a", QUESTION)
    assert provider.calls[0].params["max_tokens"] == 100


async def test_a_call_that_may_have_been_billed_is_paid_at_least_its_prompt() -> None:
    purse = ledger(ScriptedProvider("late", delay_s=5.0), Limits(call_timeout_s=0.02))
    with pytest.raises(DeadlineError):
        await purse.complete("a", QUESTION)
    assert purse.spent > 0
    assert not purse.steps[0].usage.counted


async def test_a_model_that_is_not_cleared_is_not_asked() -> None:
    provider = ScriptedProvider("x")
    purse = ledger(provider)
    purse.restrict({"b"})
    with pytest.raises(RejectedError, match="not cleared"):
        await purse.complete("a", QUESTION)
    assert provider.calls == []


async def test_a_slow_reader_does_not_use_up_the_models_time() -> None:
    provider = ScriptedProvider("a long answer " * 3, piece=8)
    purse = Ledger(
        {"a": model()}, {"scripted": provider}, clock=Clock(), limits=Limits(call_timeout_s=0.1)
    )
    pieces = []
    async for piece in purse.stream("a", QUESTION):
        await asyncio.sleep(0.04)
        pieces.append(piece)
    assert isinstance(pieces[-1], Draft)


async def test_an_answer_that_broke_off_is_paid_at_least_its_prompt() -> None:
    purse = ledger(ScriptedProvider(BrokenOff("gone", "a")))
    with pytest.raises(UnavailableError):
        await purse.complete("a", QUESTION)
    assert purse.spent > 0
