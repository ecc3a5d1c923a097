"""One request's purse and diary: every call to a model goes through here.

It knows providers, prices, deadlines and the spending limit. It does not know why a call is made,
and never decides to make one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from msgspec import Struct

from emafusion.catalog import tokens
from emafusion.errors import BudgetError, DeadlineError, ProviderError, UnavailableError
from emafusion.protocols import Clock, Provider
from emafusion.types import (
    Call,
    Chunk,
    Completion,
    Draft,
    Message,
    Model,
    Purpose,
    Step,
    Usage,
)

SHORTEST_ANSWER = 16
"""Tokens below which an answer is not worth paying for."""

CALL_TIMEOUT_S = 120.0


class Limits(Struct, frozen=True, kw_only=True):
    """What one request may spend: US dollars in all, and seconds until its deadline."""

    max_cost_usd: float | None = None
    max_latency_s: float | None = None
    call_timeout_s: float = CALL_TIMEOUT_S


class Ledger:
    """Makes calls within `limits`, prices them, and keeps one :class:`Step` for each.

    Money is reserved before a call and settled after it, so calls made together cannot overspend
    together. The reservation assumes the longest answer the call allows.

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
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        providers: Mapping[str, Provider],
        *,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._models = models
        self._providers = providers
        self._clock = clock
        self._limits = limits
        self._started = clock.tick()
        self._reserved = 0.0
        self.steps: list[Step] = []

    @property
    def spent(self) -> float:
        """US dollars spent so far, failed calls included."""
        return sum(step.cost_usd for step in self.steps)

    @property
    def elapsed(self) -> float:
        """Seconds since the request began."""
        return self._clock.tick() - self._started

    async def complete(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        purpose: Purpose = "draft",
        params: Mapping[str, object] | None = None,
    ) -> Draft:
        """Ask `model` and wait for the whole answer.

        Raises
        ------
        BudgetError
            The call could exceed the request's spending limit; it was not made.
        ProviderError
            The model could not answer in time or at all; the failure is a step in the diary.
        """
        call, reserved = self._open(model, messages, params=params or {}, purpose=purpose)
        async with self._entry(call, reserved) as entry:
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
        params: Mapping[str, object] | None = None,
    ) -> AsyncGenerator[Chunk | Draft]:
        """Ask `model` and yield its chunks as they come, and last the whole as a draft.

        Raises as :meth:`complete`; what was streamed before a failure or a cancellation is paid.
        """
        call, reserved = self._open(model, messages, params=params or {}, purpose="draft")
        heard = _Heard(tokens.count_messages(messages))
        async with self._entry(call, reserved) as entry:
            entry.heard = heard
            stream = self._provider(call).stream(call)
            try:
                async for chunk in stream:
                    heard.add(chunk)
                    yield chunk
            finally:
                close = getattr(stream, "aclose", None)
                if close is not None:
                    await close()
            completion = heard.completion()
            entry.completion = completion
        yield Draft(
            model=model,
            completion=completion,
            cost_usd=entry.step.cost_usd,
            latency_s=entry.step.latency_s,
        )

    def _provider(self, call: Call) -> Provider:
        return self._providers[call.model.provider]

    def _open(
        self,
        name: str,
        messages: Sequence[Message],
        *,
        params: Mapping[str, object],
        purpose: Purpose,
    ) -> tuple[Call, float]:
        """The call within the limits, and the money set aside for it."""
        model = self._models[name]
        timeout = self._limits.call_timeout_s
        if self._limits.max_latency_s is not None:
            timeout = min(timeout, self._limits.max_latency_s - self.elapsed)
            if timeout <= 0:
                raise DeadlineError(f"no time left to ask {name!r}", name)
        params, reserved = self._reserve(model, messages, params)
        call = Call(
            model=model,
            messages=tuple(messages),
            params=params,
            timeout_s=timeout,
            purpose=purpose,
        )
        return call, reserved

    def _reserve(
        self, model: Model, messages: Sequence[Message], params: Mapping[str, object]
    ) -> tuple[Mapping[str, object], float]:
        limit = self._limits.max_cost_usd
        if limit is None:
            return params, 0.0
        prompt = tokens.count_messages(messages) + tokens.count(model.system or "")
        left = limit - self.spent - self._reserved - prompt * model.usd_per_mtok_in / 1e6
        asked = _asked_tokens(params, model)
        price = model.usd_per_mtok_out / 1e6
        allowed = asked if price == 0 else min(asked, int(left / price))
        if left < 0 or allowed < min(SHORTEST_ANSWER, asked):
            raise BudgetError(
                f"asking {model.name!r} could exceed max_cost_usd={limit:g} "
                f"(${self.spent:.6f} spent so far); raise the limit or shorten the prompt",
            )
        samples = params.get("n", 1)
        reserved = prompt * model.usd_per_mtok_in / 1e6 + allowed * price
        self._reserved += reserved
        if allowed == asked or (isinstance(samples, int) and samples > 1):
            return params, reserved
        name = "max_completion_tokens" if "max_completion_tokens" in params else "max_tokens"
        return {**params, name: allowed}, reserved

    @asynccontextmanager
    async def _entry(self, call: Call, reserved: float) -> AsyncIterator[_Entry]:
        """Time a call, settle its reservation, and write its step whatever happens."""
        entry = _Entry()
        began = self._clock.tick()
        error: str | None = None
        try:
            async with asyncio.timeout(call.timeout_s):
                yield entry
        except TimeoutError as late:
            error = f"no answer from {call.model.name!r} within {call.timeout_s:.1f} s"
            raise DeadlineError(error, call.model.name) from late
        except ProviderError as failure:
            error = f"{type(failure).__name__}: {failure}"
            raise
        except (asyncio.CancelledError, GeneratorExit):
            error = "cancelled"
            raise
        except Exception as unexpected:  # the provider boundary: a provider's bug is its failure
            error = f"{type(unexpected).__name__} in provider {call.model.provider!r}"
            raise UnavailableError(error, call.model.name) from unexpected
        finally:
            self._reserved -= reserved
            entry.step = entry.close(call, self._clock.tick() - began, error)
            self.steps.append(entry.step)


class _Entry:
    """A diary line being written."""

    completion: Completion | None = None
    heard: _Heard | None = None
    step: Step

    def close(self, call: Call, latency_s: float, error: str | None) -> Step:
        if self.completion is None and self.heard is not None and self.heard.any:
            self.completion = self.heard.completion()
        done = self.completion
        usage = done.usage if done is not None else Usage()
        return Step(
            model=call.model.name,
            purpose=call.purpose,
            cost_usd=call.model.cost(usage),
            latency_s=latency_s,
            usage=usage,
            finish_reason=done.finish_reason if done is not None else "",
            error=error,
            text=done.text if done is not None else "",
        )


class _Heard:
    """What a stream has said so far."""

    def __init__(self, prompt_tokens: int) -> None:
        self._prompt_tokens = prompt_tokens
        self._texts: list[str] = []
        self._usage: Usage | None = None
        self._finish = "stop"
        self.any = False

    def add(self, chunk: Chunk) -> None:
        self.any = True
        self._texts.append(chunk.text)
        self._usage = chunk.usage or self._usage
        self._finish = chunk.finish_reason or self._finish

    def completion(self) -> Completion:
        text = "".join(self._texts)
        usage = self._usage or Usage(
            prompt_tokens=self._prompt_tokens,
            completion_tokens=tokens.count(text),
            counted=False,
        )
        return Completion(text=text, usage=usage, finish_reason=self._finish)


def _asked_tokens(params: Mapping[str, object], model: Model) -> int:
    for name in ("max_completion_tokens", "max_tokens"):
        value = params.get(name)
        if isinstance(value, int):
            return min(value, model.max_output)
    return model.max_output
