"""A bulkhead: so many calls at once to one vendor, so many waiting, and none waits for long.

It keeps one slow vendor from holding every connection and all memory of the process. It does not
know what the calls are for.
"""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

CONCURRENT = 512
QUEUE = 4096
QUEUE_S = 10.0


class Full(Exception):  # noqa: N818 - it names what happened, and never leaves this package
    """No place was to be had; the message says of what there is too much."""


class Bulkhead:
    """Places for calls, each event loop its own as it has connections of its own.

    Parameters
    ----------
    concurrent : int
        Calls under way at once.
    queue : int
        Calls that may wait for a place.
    queue_s : float
        Seconds that a call waits at most.
    """

    def __init__(
        self, *, concurrent: int = CONCURRENT, queue: int = QUEUE, queue_s: float = QUEUE_S
    ) -> None:
        self.concurrent = concurrent
        self.queue = queue
        self.queue_s = queue_s
        self.busy = 0
        self.waiting = 0
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )

    async def enter(self, within_s: float) -> None:
        """Take a place, within `within_s` seconds at most; raises :class:`Full`."""
        loop = asyncio.get_running_loop()
        places = self._places.get(loop)
        if places is None:
            places = self._places[loop] = asyncio.Semaphore(self.concurrent)
        if places.locked():
            await self._wait(places, min(self.queue_s, within_s))
        else:
            await places.acquire()  # returns at once, and keeps the order of those who wait
        self.busy += 1

    def leave(self) -> None:
        """Give the place back, in the loop that took it."""
        self.busy -= 1
        self._places[asyncio.get_running_loop()].release()

    async def _wait(self, places: asyncio.Semaphore, within_s: float) -> None:
        if self.waiting >= self.queue:
            raise Full(f"{self.busy} calls are under way and {self.waiting} wait")
        self.waiting += 1
        try:
            async with asyncio.timeout(within_s):
                await places.acquire()
        except TimeoutError:
            raise Full(f"{self.busy} calls are under way, none ended in {within_s:g} s") from None
        finally:
            self.waiting -= 1
