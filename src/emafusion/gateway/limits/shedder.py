"""How many requests may be under way: the rest wait a little, or are turned away at once.

Knows places, who holds and who waits for them, and how late the event loop runs. Knows nothing of
what the requests are. For one event loop.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from emafusion.errors import ConfigError, OverloadedError

_LOOK_EVERY_S = 0.05
_WEIGHT = 0.1
_LONGEST_RETRY_S = 30.0


class Shedder:
    """Places for requests under way, shared fairly among tenants.

    A request that finds no place waits; the next place goes to the waiting tenant that holds the
    fewest. Where the waiting room is full, the last comer of the tenant with the most waiting is
    turned away, which may be somebody else than who came last. While the event loop runs late
    nobody new is let in. Every refusal is an :class:`~emafusion.errors.OverloadedError` with a time
    after which to ask again.

    Parameters
    ----------
    places : int
        Requests under way at once; a stream is one until it ends.
    waiting : int
        Requests waiting for a place.
    patience_s : float
        How long one may wait.
    share : float
        The share of the places, above 0 and up to 1, that one tenant may hold; at least one place.
        With less than 1 there is always room for somebody else, however long others' streams last.
    max_lag_s : float
        How late the event loop may run.
    """

    def __init__(
        self,
        places: int,
        *,
        waiting: int = 256,
        patience_s: float = 5.0,
        share: float = 0.75,
        max_lag_s: float = 0.5,
    ) -> None:
        if places < 1 or waiting < 0 or not 0.0 < share <= 1.0:
            raise ConfigError("load shedding needs a place, and a tenant's share from 0 to 1")
        self.places = places
        self.share = share
        self.waiting = waiting
        self.patience_s = patience_s
        self.most = _most(share, places)
        self.max_lag_s = max_lag_s
        self.under_way = 0
        self.shed = 0
        self.lag_s = 0.0
        self._held: dict[str, int] = {}
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._queued = 0
        self._mean_s = 1.0

    @property
    def queued(self) -> int:
        """How many requests wait."""
        return self._queued

    def resize(self, places: int) -> None:
        """Have so many places from now on; who holds one keeps it, though there be fewer."""
        self.places = places
        self.most = _most(self.share, places)
        self._call()

    def place(self, tenant: str) -> _Place:
        """A place for one request of `tenant`; entering waits, and raises ``OverloadedError``."""
        return _Place(self, tenant)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch how late the running event loop is."""
        loop = asyncio.get_running_loop()
        due = loop.time() + _LOOK_EVERY_S
        timer: asyncio.TimerHandle | None = None

        def look() -> None:
            nonlocal due, timer
            late_s = max(loop.time() - due, 0.0)
            # Bad news counts at once, good news little by little.
            self.lag_s = max(late_s, self.lag_s / 2)
            due = loop.time() + _LOOK_EVERY_S
            timer = loop.call_at(due, look)

        timer = loop.call_at(due, look)
        try:
            yield
        finally:
            timer.cancel()
            self.lag_s = 0.0

    def enter(self, tenant: str) -> asyncio.Future[None] | None:
        """Take a place, or a future that is done once there is one; raises ``OverloadedError``."""
        if self.lag_s > self.max_lag_s and self.under_way:
            raise self._refusal(f"the server runs {self.lag_s:.1f} s late")
        # Where places are free, whoever waits holds its share already.
        if self.under_way < self.places and self._held.get(tenant, 0) < self.most:
            self._seat(tenant)
            return None
        return self._queue(tenant)

    def leave(self, tenant: str, held_s: float) -> None:
        """Give a place back that was held for `held_s` seconds."""
        self._mean_s += _WEIGHT * (held_s - self._mean_s)
        self.under_way -= 1
        left = self._held[tenant] - 1
        if left:
            self._held[tenant] = left
        else:
            del self._held[tenant]
        self._call()

    def give_up(self, tenant: str, waiter: asyncio.Future[None]) -> None:
        """Forget a request that waits no longer; one that got its place meanwhile gives it back."""
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self.leave(tenant, 0.0)
        elif waiter in self._queues.get(tenant, ()):
            self._unqueue(tenant, waiter)

    def refuse_waiting(self, tenant: str, waiter: asyncio.Future[None]) -> None:
        """Turn away a request that has waited long enough."""
        if not waiter.done():
            self._unqueue(tenant, waiter)
            waiter.set_exception(self._refusal(f"no place came free in {self.patience_s:g} s"))

    def _seat(self, tenant: str) -> None:
        self.under_way += 1
        self._held[tenant] = self._held.get(tenant, 0) + 1

    def _queue(self, tenant: str) -> asyncio.Future[None]:
        if self._queued >= self.waiting:
            self._make_room(tenant)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(tenant, deque()).append(waiter)
        self._queued += 1
        return waiter

    def _make_room(self, tenant: str) -> None:
        """Turn away the last comer of the tenant with the most waiting, `tenant` itself at a tie.

        Raises ``OverloadedError`` where that is the one that asks.
        """
        longest = max(self._queues, key=lambda name: len(self._queues[name]), default=tenant)
        own = len(self._queues.get(tenant, ()))
        refusal = self._refusal("as many requests wait as may")
        if not self._queued or len(self._queues[longest]) <= own + 1:
            raise refusal
        last = self._queues[longest][-1]
        self._unqueue(longest, last)
        if not last.done():
            last.set_exception(refusal)

    def _unqueue(self, tenant: str, waiter: asyncio.Future[None]) -> None:
        queue = self._queues[tenant]
        queue.remove(waiter)
        self._queued -= 1
        if not queue:
            del self._queues[tenant]

    def _call(self) -> None:
        """Seat whoever waits and may sit, the tenants with the fewest places first."""
        while self._queued and self.under_way < self.places:
            tenant = min(self._queues, key=lambda name: self._held.get(name, 0))
            if self._held.get(tenant, 0) >= self.most:
                return
            waiter = self._queues[tenant][0]
            self._unqueue(tenant, waiter)
            if not waiter.done():
                self._seat(tenant)
                waiter.set_result(None)
            if tenant in self._queues:
                self._queues.move_to_end(tenant)

    def _refusal(self, why: str) -> OverloadedError:
        self.shed += 1
        wait_s = self._mean_s * (self._queued + 1) / self.places
        return OverloadedError(
            f"{why}; ask again later", retry_after_s=min(max(wait_s, 1.0), _LONGEST_RETRY_S)
        )


def _most(share: float, places: int) -> int:
    return max(1, math.floor(share * places))


class _Place:
    """One request's place."""

    __slots__ = ("_shedder", "_since", "_tenant")

    def __init__(self, shedder: Shedder, tenant: str) -> None:
        self._shedder = shedder
        self._tenant = tenant
        self._since = 0.0

    async def __aenter__(self) -> None:
        waiter = self._shedder.enter(self._tenant)
        loop = asyncio.get_running_loop()
        if waiter is not None:
            await self._wait(waiter, loop)
        self._since = loop.time()

    async def _wait(self, waiter: asyncio.Future[None], loop: asyncio.AbstractEventLoop) -> None:
        shedder, tenant = self._shedder, self._tenant
        timer = loop.call_later(shedder.patience_s, shedder.refuse_waiting, tenant, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            shedder.give_up(tenant, waiter)
            raise
        finally:
            timer.cancel()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        held_s = asyncio.get_running_loop().time() - self._since
        self._shedder.leave(self._tenant, held_s)
