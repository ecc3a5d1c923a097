"""Threads for work that takes longer than everybody else may wait.

Knows how long a text is, and that few are read at once: a long one holds up others as long, never
shorter ones. It knows neither what is done nor how long that may take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Final, TypeVar

LONG = 5_000
"""Characters beyond which a text is read in a thread: about 10 ms."""
LANES: Final = (50_000, 500_000, inf)
"""Characters of the longest text of each lane, in which one is read at a time."""

Done = TypeVar("Done")


class Lanes:
    """One thread for texts of each length."""

    def __init__(self) -> None:
        self._threads: dict[float, ThreadPoolExecutor] = {}

    async def run(self, length: int, work: Callable[[], Done]) -> Done:
        """What `work` returns, which reads `length` characters: at once, or in its lane.

        Where who asked has left, it is not begun; what has begun keeps its lane until it is done.
        """
        if length <= LONG:
            return work()
        lane = next(longest for longest in LANES if length <= longest)
        if lane not in self._threads:
            self._threads[lane] = ThreadPoolExecutor(1, thread_name_prefix="protect")
        return await asyncio.get_running_loop().run_in_executor(self._threads[lane], work)

    def close(self) -> None:
        """End the threads, once they are done with what they are at."""
        while self._threads:
            self._threads.popitem()[1].shutdown(wait=False, cancel_futures=True)
