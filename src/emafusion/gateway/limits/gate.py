"""The gate that keeps callers to their rates: estimates before the engine is asked, settles after.

Knows what a request is likely to use and what it used. Where levels are kept is the storage's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType

from msgspec import Struct
from msgspec.structs import replace

from emafusion.errors import LimitedError
from emafusion.gateway.callers import Caller, Passage
from emafusion.gateway.limits.rates import Allowance, Level, Rate, Unit, demand, remaining
from emafusion.gateway.limits.storage import Buckets, Taken
from emafusion.types import Outcome, Request, content_text

ANSWER_TOKENS = 512
"""Tokens of an answer that the caller has set no bound to, until it is known."""
_MOST_TOKENS = 10**9
MOST_REFUSED = 10_000
"""Holders whose refusal is remembered at once."""


class Use(Struct, frozen=True, kw_only=True):
    """What a request uses, by the units of rates."""

    tokens: float = 0.0
    usd: float = 0.0
    requests: float = 1.0

    def of(self, unit: Unit) -> float:
        """The use in `unit`."""
        if unit == "requests":
            return self.requests
        return self.tokens if unit == "tokens" else self.usd


def estimated(request: Request) -> Use:
    """Four characters a token, and the most that each answer may have; no dollars."""
    characters = sum(len(content_text(message)) for message in request.messages)
    answers = request.params.get("n")
    answers = answers if isinstance(answers, int) else 1
    longest = request.max_tokens or ANSWER_TOKENS
    tokens = characters // 4 + 4 * len(request.messages) + answers * longest
    return Use(tokens=min(tokens, _MOST_TOKENS))


def used(outcome: Outcome | None, expected: Use) -> Use:
    """The tokens and dollars of every call that `outcome` tells of, judges' included.

    What it may have cost whose caller left counts as well, within what was `expected`.
    """
    if outcome is None:
        return Use()
    tokens = sum(step.usage.prompt_tokens + step.usage.completion_tokens for step in outcome.steps)
    cost = outcome.cost_usd
    return Use(tokens=tokens, usd=max(cost, min(cost + outcome.unsettled_usd, expected.usd)))


class RateGate:
    """Lets requests in as their caller's rates allow, and tells how the rates stand.

    What a request will use is estimated when it comes and corrected when it ends: one that used
    more leaves a debt, which delays the next. A refused request takes nothing; one that failed has
    counted as a request and for what was spent on it.

    Parameters
    ----------
    buckets : Buckets
        Where levels are kept.
    allowances : callable
        The rates that a caller's requests must keep: its key's and its team's.
    estimate : callable, optional
        How many requests and tokens a request is likely to use.
    price : callable, optional
        How many dollars; asked only of callers whose dollars have a rate. Without it they only
        delay what comes after.
    """

    def __init__(
        self,
        buckets: Buckets,
        allowances: Callable[[Caller], Sequence[Allowance]],
        *,
        estimate: Callable[[Request], Use] = estimated,
        price: Callable[[Request], float] | None = None,
    ) -> None:
        self._buckets = buckets
        self._allowances = allowances
        self._estimate = estimate
        self._price = price
        self._spent: dict[tuple[str, Rate], float] = {}

    def early(self, caller: Caller) -> None:
        """Raise ``LimitedError`` where `caller` was told to wait, and has not: whatever it asks.

        Only requests' rates are looked at, of which every request takes the same. A caller of whom
        nothing is known has to be asked at the gate.
        """
        if not self._spent:
            return
        now = asyncio.get_running_loop().time()
        for allowance in self._allowances(caller):
            for rate in allowance.rates:
                wait_s = self._spent.get((allowance.holder, rate), now) - now
                if wait_s > 0.0:
                    raise _refusal(allowance.holder, rate, wait_s)

    def open(self, passage: Passage) -> _Passing:
        """Hold `passage` to its caller's rates; entering raises ``LimitedError``."""
        allowances = self._allowances(passage.caller)
        return _Passing(
            self._buckets, passage, allowances, expect=self._expected, refused=self._refused
        )

    def _refused(self, holder: str, rate: Rate, wait_s: float) -> None:
        """Remember for how long nobody of `holder` comes in."""
        if rate.unit != "requests":
            return
        now = asyncio.get_running_loop().time()
        if len(self._spent) >= MOST_REFUSED:
            self._spent = {key: until for key, until in self._spent.items() if until > now}
        if len(self._spent) < MOST_REFUSED:
            self._spent[holder, rate] = now + wait_s

    def _expected(self, request: Request, rates: Sequence[Rate]) -> Use:
        """What `request` is likely to use, as far as `rates` ask."""
        use = self._estimate(request)
        if self._price is None or all(rate.unit != "usd" for rate in rates):
            return use
        return replace(use, usd=self._price(request))


class _Passing:
    """One request under its caller's rates."""

    def __init__(
        self,
        buckets: Buckets,
        passage: Passage,
        allowances: Sequence[Allowance],
        *,
        expect: Callable[[Request, Sequence[Rate]], Use],
        refused: Callable[[str, Rate, float], None],
    ) -> None:
        self._buckets = buckets
        self._passage = passage
        self._rates = [rate for allowance in allowances for rate in allowance.rates]
        self._names = [
            f"{allowance.holder}:{rate.unit}:{rate.period_s:g}"
            for allowance in allowances
            for rate in allowance.rates
        ]
        self._expect = expect
        self._refused = refused
        self._expected = Use()
        self._taken: Taken | None = None

    async def __aenter__(self) -> None:
        if not self._rates:
            return
        self._expected = use = self._expect(self._passage.request, self._rates)
        pairs = zip(self._names, self._rates, strict=True)
        # More than the whole bucket is not held back while nobody knows that it will be used.
        demands = [demand(name, rate, min(use.of(rate.unit), rate.amount)) for name, rate in pairs]
        taken = await self._buckets.take(demands)
        self._passage.reply_headers.update(headers(self._rates, taken.levels))
        if taken.wait_s > 0.0:
            raise self._refusal(taken)
        self._taken = taken

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._taken is None:
            return
        expected = self._expected
        use = used(self._passage.outcome, expected)
        corrections = [
            demand(name, rate, over)
            for name, rate in zip(self._names, self._rates, strict=True)
            if (over := use.of(rate.unit) - min(expected.of(rate.unit), rate.amount))
        ]
        if corrections:
            await self._buckets.settle(corrections, self._taken)

    def _refusal(self, taken: Taken) -> LimitedError:
        """Why not now: the rate that needs the longest wait, and how long."""
        waits = [level.wait_s for level in taken.levels]
        place = waits.index(max(waits))
        holder = self._names[place].rsplit(":", 2)[0]
        rate, wait_s = self._rates[place], waits[place]
        self._refused(holder, rate, wait_s)
        return _refusal(holder, rate, wait_s)


def _refusal(holder: str, rate: Rate, wait_s: float) -> LimitedError:
    return LimitedError(
        f"{holder!r} is limited to {rate}; ask again in {duration(wait_s)}", retry_after_s=wait_s
    )


def headers(rates: Sequence[Rate], levels: Sequence[Level]) -> dict[str, str]:
    """How `rates` stand, as OpenAI's headers tell it: of each unit, the one nearest its end."""
    tightest: dict[Unit, tuple[float, Rate, Level]] = {}
    for rate, level in zip(rates, levels, strict=True):
        share = level.full_s / rate.period_s
        known = tightest.get(rate.unit)
        if known is None or share > known[0]:
            tightest[rate.unit] = (share, rate, level)
    found = {}
    for unit, (_, rate, level) in tightest.items():
        left = remaining(rate, level.full_s)
        whole = unit != "usd"
        found[f"x-ratelimit-limit-{unit}"] = f"{rate.amount:.12g}"
        found[f"x-ratelimit-remaining-{unit}"] = str(int(left + 1e-6)) if whole else f"{left:.6f}"
        found[f"x-ratelimit-reset-{unit}"] = duration(level.full_s)
    return found


def duration(seconds: float) -> str:
    """`seconds` as OpenAI's headers write them: ``20ms``, ``1.5s``, ``6m0s``, ``1h0m2s``."""
    if seconds < 1.0:
        return f"{round(1000 * max(seconds, 0.0))}ms"
    if seconds < 60.0:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"
