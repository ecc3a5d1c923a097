"""A provider that lets its vendor fail without failing with it: breakers and a bulkhead around it.

It knows which failures are the upstream's fault. It does not know how a model is asked, nor who
could be asked in its place: it says at once that a model cannot answer, so that others may.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Protocol, runtime_checkable

from msgspec import Struct

from emafusion.errors import (
    DeadlineError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from emafusion.protocols import Provider, Watched
from emafusion.providers import breaker, bulkhead
from emafusion.providers.breaker import Breaker, State
from emafusion.providers.bulkhead import Bulkhead, Full
from emafusion.providers.embedding import Embedder, Embedding
from emafusion.providers.rests import LONGEST_ASKED_S
from emafusion.providers.retry import asked_s
from emafusion.types import Call, Chunk, Completion, Model, replace

PATIENCE_S = 10.0


class Terms(Struct, frozen=True, kw_only=True):
    """When an upstream is left alone, and how much of the process a vendor may take.

    ``failures`` in a row open a model's breaker, for ``open_s`` seconds at first and for
    ``longest_open_s`` at most. A call that got no answer is a failure only where it was given
    ``patience_s`` seconds: the caller's own short deadline is not the upstream's fault.
    ``concurrent`` calls are under way at once, ``queue`` more wait, ``queue_s`` seconds at most.
    """

    failures: int = breaker.FAILURES
    open_s: float = breaker.FIRST_OPEN_S
    longest_open_s: float = breaker.LONGEST_OPEN_S
    patience_s: float = PATIENCE_S
    concurrent: int = bulkhead.CONCURRENT
    queue: int = bulkhead.QUEUE
    queue_s: float = bulkhead.QUEUE_S


class Circuit(Struct, frozen=True, kw_only=True):
    """How one upstream model stands; ``left_s`` seconds until it is tried again."""

    upstream: str
    state: State
    left_s: float


class Standing(Struct, frozen=True, kw_only=True):
    """How a vendor stands: calls under way, calls waiting, and every upstream asked so far."""

    busy: int
    waiting: int
    circuits: tuple[Circuit, ...]


class Resilient:
    """Asks `inner`, unless it is known to be down or has all the calls it may have.

    A refused call raises :class:`~emafusion.errors.UnavailableError` (or, where the upstream asked
    for a pause, :class:`~emafusion.errors.RateLimitedError` with what is left of it) and costs
    nothing.

    Parameters
    ----------
    inner : Provider
        How the models are asked.
    terms : Terms, optional
        When an upstream is left alone.
    now : callable
        Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        inner: Provider,
        *,
        terms: Terms | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.inner = inner
        self._watched = inner if isinstance(inner, Watched) else None
        self.terms = terms or Terms()
        self.bulkhead = Bulkhead(
            concurrent=self.terms.concurrent, queue=self.terms.queue, queue_s=self.terms.queue_s
        )
        self._now = now
        self._breakers: dict[str, Breaker] = {}

    def __repr__(self) -> str:
        return f"Resilient({self.inner!r})"

    @property
    def base_url(self) -> str | None:
        """The address that is asked, where there is one: it says whose price list applies."""
        found: str | None = getattr(self.inner, "base_url", None)
        return found

    async def warm(self) -> None:
        """Do now what the first call would wait for, where there is anything."""
        warm = getattr(self.inner, "warm", None)
        if warm is not None:
            await warm()

    async def complete(self, call: Call) -> Completion:
        """The whole answer to `call`; raises a :class:`~emafusion.errors.ProviderError`."""
        async with _Turn(self, call) as turn:
            return await self.inner.complete(turn.call)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        """The answer piece by piece; raises as :meth:`complete`."""
        async with _Turn(self, call) as turn:
            chunks = self.inner.stream(turn.call)
            try:
                async for chunk in chunks:
                    turn.heard()
                    yield chunk
            finally:
                close = getattr(chunks, "aclose", None)
                if close is not None:
                    await close()

    async def healthy(self, model: Model) -> bool:
        """Whether `inner` is, and `model` is not known to be down."""
        return self._admits(model) and await self.inner.healthy(model)

    async def aclose(self) -> None:
        """Close `inner`."""
        await self.inner.aclose()

    def reachable(self, model: Model) -> bool:
        """Whether a call to `model` would be let through now, and it asked for no wait."""
        awake = self._watched is None or self._watched.reachable(model)
        return awake and self._admits(model)

    def status(self) -> Standing:
        """How the vendor stands, for probes and metrics."""
        circuits = (
            Circuit(upstream=name, state=one.state, left_s=one.left_s)
            for name, one in sorted(self._breakers.items())
        )
        return Standing(
            busy=self.bulkhead.busy, waiting=self.bulkhead.waiting, circuits=tuple(circuits)
        )

    def _admits(self, model: Model) -> bool:
        found = self._breakers.get(model.upstream)
        return found is None or found.admits

    def _breaker(self, upstream: str) -> Breaker:
        found = self._breakers.get(upstream)
        if found is None:
            terms = self.terms
            found = self._breakers[upstream] = Breaker(
                failures=terms.failures,
                first_s=terms.open_s,
                longest_s=terms.longest_open_s,
                now=self._now,
            )
        return found


class ResilientEmbedder(Resilient):
    """The same around a provider that turns texts into vectors, too."""

    def __init__(
        self,
        inner: EmbeddingProvider,
        *,
        terms: Terms | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner, terms=terms, now=now)
        self._embedder = inner

    async def embed(self, call: Call) -> Embedding:
        """The vectors for the ``input`` in `call`'s parameters; raises as :meth:`complete`."""
        async with _Turn(self, call) as turn:
            return await self._embedder.embed(turn.call)


@runtime_checkable
class EmbeddingProvider(Provider, Embedder, Protocol):
    """A provider that answers and makes vectors."""


def resilient(inner: Provider, terms: Terms | None = None) -> Resilient:
    """`inner` with breakers and a bulkhead around it, able to do what it is able to do."""
    if isinstance(inner, EmbeddingProvider):
        return ResilientEmbedder(inner, terms=terms)
    return Resilient(inner, terms=terms)


class _Turn:
    """One call's place behind the bulkhead, and what its end tells the breaker."""

    def __init__(self, owner: Resilient, call: Call) -> None:
        self.call = call
        self.trial = False
        self._owner = owner
        self._breaker = owner._breaker(call.model.upstream)

    async def __aenter__(self) -> _Turn:
        self._check()
        now = self._owner._now
        came = now()
        try:
            await self._owner.bulkhead.enter(self.call.timeout_s)
        except Full as full:
            name = self.call.model.name
            raise UnavailableError(f"the provider of {name!r} is busy: {full}", name) from None
        self._began = now()
        waited = self._began - came
        if waited > 0.01:
            left = max(self.call.timeout_s - waited, 0.0)
            self.call = replace(self.call, timeout_s=left)
        try:
            self._check()
        except ProviderError:
            self._owner.bulkhead.leave()
            raise
        self.trial = self._breaker.enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._owner.bulkhead.leave()
        breaker, trial = self._breaker, self.trial
        if failure is None or isinstance(failure, RejectedError):
            breaker.succeeded(trial=trial)
        elif self._to_blame(failure):
            asked = asked_s(failure)
            # A shorter pause is waited for where the call is made.
            long = asked is not None and asked > LONGEST_ASKED_S
            breaker.failed(trial=trial, asked_s=asked if long else None)
        else:
            breaker.abandoned(trial=trial)

    def heard(self) -> None:
        """The answer has begun."""
        if self.trial:
            self.trial = self._breaker.heard(trial=True)

    def _to_blame(self, failure: BaseException) -> bool:
        """Whether the upstream is: not for a caller who left, nor for a deadline too short."""
        took = self._owner._now() - self._began
        if isinstance(failure, DeadlineError):
            return took >= self._owner.terms.patience_s
        if isinstance(failure, asyncio.CancelledError):
            # The deadline of whoever asks may end the call a moment before its own does.
            late = took >= 0.95 * self.call.timeout_s
            return late and took >= self._owner.terms.patience_s
        return isinstance(failure, Exception)

    def _check(self) -> None:
        """Refuse a call to an upstream that is down."""
        if self._breaker.admits:
            return
        name, left = self.call.model.name, self._breaker.left_s
        if self._breaker.asked:
            raise RateLimitedError(
                f"the upstream of {name!r} asked us to wait another {left:.0f} s",
                name,
                retry_after_s=left,
            )
        raise UnavailableError(
            f"the upstream of {name!r} has failed time and again; it is tried again in "
            f"{left:.0f} s",
            name,
        )
