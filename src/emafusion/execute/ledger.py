"""One request's purse and diary: every call to a model goes through here.

It knows providers, prices, deadlines and the spending limit. It does not know why a call is made,
and never decides to make one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager

from msgspec import Struct, structs

from emafusion.catalog import bounds
from emafusion.errors import (
    BadResponseError,
    BudgetError,
    DeadlineError,
    ProviderError,
    RejectedError,
    UnavailableError,
)
from emafusion.execute.handover import handed_over
from emafusion.execute.waiting import Waits
from emafusion.protocols import Clock, Provider, Watched
from emafusion.providers import wire
from emafusion.providers.ending import BrokenOff
from emafusion.types import (
    Call,
    Chunk,
    Completion,
    Draft,
    Message,
    Model,
    Purpose,
    Step,
    Turn,
    Usage,
)
from emafusion.types.models import USUAL_TIERS

SHORTEST_ANSWER = 16
"""Tokens below which an answer is not worth paying for."""

LENGTHS = ("max_completion_tokens", "max_tokens")
"""The protocol's two names of the bound on an answer's tokens; the first counts."""

CALL_TIMEOUT_S = 120.0


class Limits(Struct, frozen=True, kw_only=True):
    """What one request may spend: US dollars in all, and seconds until its deadline."""

    max_cost_usd: float | None = None
    max_latency_s: float | None = None
    call_timeout_s: float = CALL_TIMEOUT_S


class Ledger:
    """Makes calls within `limits`, prices them, and keeps one :class:`Step` for each.

    Money is reserved before a call and settled after it, so calls made together cannot overspend
    together, neither the request's money nor a part's share. The reservation assumes the longest
    answer the call allows.

    Parameters
    ----------
    models : mapping of str to Model
        The catalog, by name.
    providers : mapping of str to Provider
        The providers, by the name models use.
    clock : Clock
        The time.
    limits : Limits
        The request's limits.
    turn : Turn, optional
        Whose turn of tool calls the request goes on with.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        providers: Mapping[str, Provider],
        *,
        clock: Clock,
        limits: Limits,
        turn: Turn | None = None,
    ) -> None:
        self._models = models
        self._providers = providers
        self._clock = clock
        self._limits = limits
        self._turn = turn
        self._started = clock.tick()
        self._reserved: dict[int | None, float] = {}
        self._cleared: frozenset[str] | None = None
        self._untold = False
        self.steps: list[Step] = []

    @property
    def spent(self) -> float:
        """US dollars spent so far, failed calls included."""
        return sum(step.cost_usd for step in self.steps)

    @property
    def elapsed(self) -> float:
        """Seconds since the request began."""
        return self._clock.tick() - self._started

    @property
    def left_s(self) -> float | None:
        """Seconds until the deadline; ``None`` where there is none."""
        most = self._limits.max_latency_s
        return None if most is None else most - self.elapsed

    def reachable(self, model: Model) -> bool:
        """Whether a call to `model` would be let through now, as far as its provider knows."""
        provider = self._providers[model.provider]
        return not isinstance(provider, Watched) or provider.reachable(model)

    async def complete(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        purpose: Purpose = "draft",
        params: Mapping[str, object] | None = None,
        part: int | None = None,
        share_usd: float | None = None,
    ) -> Draft:
        """Ask `model` and wait for the whole answer.

        `part` is whose of a composite prompt it is, `share_usd` what that part may spend in all.

        Raises
        ------
        BudgetError
            The call could exceed the request's spending limit; it was not made.
        ProviderError
            The model could not answer in time or at all; the failure is a step in the diary.
        """
        share = None if share_usd is None else share_usd - self._taken(part)
        call, reserved = self._open(
            model, messages, params=params or {}, purpose=purpose, share=share
        )
        with self._entry(call, reserved, part=part) as entry:
            async with asyncio.timeout(call.timeout_s):
                completion = await self._provider(call).complete(call)
            entry.completion = completion
        return Draft(
            model=model,
            completion=completion,
            cost_usd=entry.step.cost_usd,
            latency_s=entry.step.latency_s,
        )

    async def stream(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        purpose: Purpose = "draft",
        params: Mapping[str, object] | None = None,
    ) -> AsyncGenerator[Chunk | Draft]:
        """Ask `model` and yield its chunks as they come, and last the whole as a draft.

        Raises as :meth:`complete`; what was streamed before a failure or a cancellation is paid.
        """
        call, reserved = self._open(model, messages, params=params or {}, purpose=purpose)
        with self._entry(call, reserved) as entry:
            chunks = self._chunks(call, entry)
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
            entry.completion = entry.heard.completion(call)
        yield Draft(
            model=model,
            completion=entry.completion,
            cost_usd=entry.step.cost_usd,
            latency_s=entry.step.latency_s,
        )

    async def _chunks(self, call: Call, entry: _Entry) -> AsyncGenerator[Chunk]:
        """The provider's chunks until the deadline: its time counts, not the reader's."""
        stream = self._provider(call).stream(call)
        waits = Waits(call.timeout_s)
        try:
            while True:
                with waits:
                    chunk = await anext(stream, None)
                if chunk is None:
                    return
                entry.hear(chunk)
                yield chunk
        finally:
            waits.close()
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()

    def of_part(self, part: int, share_usd: float | None = None) -> PartPort:
        """The same purse, for one part of a composite prompt, which may spend `share_usd`."""
        return PartPort(self, part, share_usd)

    def restrict(self, models: Collection[str], *, untold: bool = False) -> None:
        """From now on, ask none but `models`: those that are cleared for the request.

        Of calls that are `untold` nobody keeps a text.
        """
        self._cleared = frozenset(models)
        self._untold = untold

    def _taken(self, part: int | None) -> float:
        """US dollars that `part` has spent, and that are set aside for its calls in flight."""
        spent = math.fsum(step.cost_usd for step in self.steps if step.part == part)
        return spent + self._reserved.get(part, 0.0)

    def _provider(self, call: Call) -> Provider:
        return self._providers[call.model.provider]

    def _open(
        self,
        name: str,
        messages: Sequence[Message],
        *,
        params: Mapping[str, object],
        purpose: Purpose,
        share: float | None = None,
    ) -> tuple[Call, float]:
        """The call within the limits, and the money to set aside for it."""
        if self._cleared is not None and name not in self._cleared:
            raise RejectedError(f"{name!r} is not cleared for this request", name)
        model = self._models[name].at(params.get("service_tier"))
        if model is None:
            raise _unpriced(name, params)
        timeout = self._limits.call_timeout_s
        if self._limits.max_latency_s is not None:
            timeout = min(timeout, self._limits.max_latency_s - self.elapsed)
            if timeout <= 0:
                raise DeadlineError(f"no time left to ask {name!r}", name)
        call = Call(
            model=model,
            messages=self._told(messages, model),
            params=params,
            timeout_s=timeout,
            purpose=purpose,
            untold=self._untold,
        )
        return self._bounded(call, share=share)

    def _told(self, messages: Sequence[Message], model: Model) -> tuple[Message, ...]:
        """`messages` as `model` can read them, of which others may have said some."""
        turn = self._turn
        if turn is None:
            return tuple(messages)
        if turn.model in self._models and self._models[turn.model].provider == model.provider:
            return tuple(handed_over(messages, turn.after) if turn.after else messages)
        return tuple(handed_over(messages))

    def _bounded(self, call: Call, *, share: float | None = None) -> tuple[Call, float]:
        """`call` with as long an answer as there is money for, and what that may cost.

        `share` is what the part that asks has left, if the call is a part's.
        """
        bounds.samples(call.params)
        limit = self._limits.max_cost_usd
        if limit is None:
            return call, 0.0
        model, prompt = call.model, bounds.Prompt(call)
        # At the prices of a prompt of this length, and of whatever is in it.
        asking, price = bounds.asking_usd(model, prompt), bounds.answering_usd(model, prompt)
        left = limit - self.spent - math.fsum(self._reserved.values())
        left = (left if share is None else min(left, share)) - asking
        asked = _asked_tokens(call.params, model)
        allowed = asked if price == 0 or left >= asked * price else int(left / price)
        if left < 0 or allowed < min(SHORTEST_ANSWER, asked):
            raise BudgetError(
                f"asking {model.name!r} could exceed max_cost_usd={limit:g} "
                f"(${self.spent:.6f} spent so far, the prompt alone may cost ${asking:.6f}); "
                "raise the limit or shorten the prompt",
            )
        # As the caller spelt it; a provider has the last word on what its upstream takes.
        spelt = [name for name in LENGTHS if call.params.get(name) is not None] or ["max_tokens"]
        params = {**call.params, **dict.fromkeys(spelt, allowed)}
        return structs.replace(call, params=params), asking + allowed * price

    @contextmanager
    def _entry(self, call: Call, reserved: float, *, part: int | None = None) -> Iterator[_Entry]:
        """Reserve a call's money, settle, and write its step whatever happens."""
        entry = _Entry(part)
        self._reserved[part] = self._reserved.get(part, 0.0) + reserved
        began = self._clock.tick()
        error: str | None = None
        try:
            yield entry
        except TimeoutError as late:
            error = f"no answer from {call.model.name!r} within {call.timeout_s:.1f} s"
            entry.unknown = True
            raise DeadlineError(error, call.model.name) from late
        except ProviderError as failure:
            error = f"{type(failure).__name__}: {failure}"
            entry.unknown = isinstance(failure, (DeadlineError, BadResponseError, BrokenOff))
            raise
        except (asyncio.CancelledError, GeneratorExit):
            error = "cancelled"
            entry.unknown = True
            entry.bound_usd = reserved or _most_usd(call)
            raise
        except Exception as unexpected:  # the provider boundary: a provider's bug is its failure
            error = f"{type(unexpected).__name__} in provider {call.model.provider!r}"
            raise UnavailableError(error, call.model.name) from unexpected
        finally:
            self._reserved[part] -= reserved
            entry.step = entry.close(call, self._clock.tick() - began, error)
            self.steps.append(entry.step)


class PartPort:
    """A ledger as one part of a composite prompt sees it: its calls are entered as that part's."""

    def __init__(self, ledger: Ledger, part: int, share_usd: float | None) -> None:
        self._ledger = ledger
        self._part = part
        self._share_usd = share_usd

    @property
    def left_s(self) -> float | None:
        """As :attr:`Ledger.left_s`."""
        return self._ledger.left_s

    def reachable(self, model: Model) -> bool:
        """As :meth:`Ledger.reachable`."""
        return self._ledger.reachable(model)

    async def complete(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        purpose: Purpose,
        params: Mapping[str, object] | None = None,
    ) -> Draft:
        """As :meth:`Ledger.complete`."""
        return await self._ledger.complete(
            model,
            messages,
            purpose=purpose,
            params=params,
            part=self._part,
            share_usd=self._share_usd,
        )


class _Entry:
    """A diary line being written.

    ``unknown`` marks a call that may have been billed though nothing came of it: it is entered at
    the prompt's price, the least it can have cost. ``bound_usd`` is the most that a call can have
    cost whose end nobody waited for.
    """

    completion: Completion | None = None
    unknown = False
    bound_usd = 0.0
    step: Step

    def __init__(self, part: int | None = None) -> None:
        self._part = part
        self.heard = wire.Gathered()
        self._any = False

    def hear(self, chunk: Chunk) -> None:
        """Take in one piece of a stream."""
        self._any = True
        self.heard.add(chunk)

    def close(self, call: Call, latency_s: float, error: str | None) -> Step:
        """The finished line."""
        done = self.completion
        if done is None and (self._any or self.unknown):
            done = self.heard.completion(call)
        usage = done.usage if done is not None else Usage()
        cost = call.model.cost(usage)
        # Whoever left after the upstream's own count knows what it cost.
        told = self.heard.finished and usage.counted
        return Step(
            model=call.model.name,
            purpose=call.purpose,
            cost_usd=cost,
            latency_s=latency_s,
            usage=usage,
            finish_reason=done.finish_reason if done is not None else "",
            error=error,
            text=done.text if done is not None else "",
            part=self._part,
            unsettled_usd=0.0 if told else max(self.bound_usd - cost, 0.0),
            service_tier=_tier(call.params),
        )


def _tier(params: Mapping[str, object]) -> str:
    tier = params.get("service_tier")
    return "" if tier in USUAL_TIERS else str(tier)


def _unpriced(name: str, params: Mapping[str, object]) -> RejectedError:
    tier = str(params.get("service_tier"))[:64]
    return RejectedError(
        f"nobody said what service_tier {tier!r} costs at {name!r}: the operator can set "
        f'service_tiers in [models."{name}"]',
        name,
    )


def _most_usd(call: Call) -> float:
    """What a call may have cost for which nothing was set aside, US dollars."""
    model, prompt = call.model, bounds.Prompt(call)
    longest = _asked_tokens(call.params, model)
    if not any(call.params.get(name) for name in LENGTHS):
        longest = min(longest, bounds.LONGEST_ANSWER)
    return bounds.asking_usd(model, prompt) + bounds.answering_usd(model, prompt) * longest


def _asked_tokens(params: Mapping[str, object], model: Model) -> int:
    for name in LENGTHS:
        value = params.get(name)
        if isinstance(value, int) and value > 0:
            return min(value, model.max_output)
    return model.max_output
