"""How long is waited for a stream in all, however often: one deadline for many short waits.

It knows the event loop and tasks; it does not know what is waited for.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Waits:
    """Bounds the waits in blocks that follow one another: `left_s` seconds for all together.

    Each block is as one of :func:`asyncio.timeout`, and raises its ``TimeoutError``. The time
    between them does not count. There is one timer for all, which looks when it rings: to set one
    for every piece of a stream costs more than most pieces do.

    Parameters
    ----------
    left_s : float
        Seconds.
    """

    def __init__(self, left_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._left_s = left_s
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._began = 0.0
        self._late = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task(self._loop)
        self._cancelling = 0 if self._task is None else self._task.cancelling()
        self._began = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(max(self._left_s, 0.0), self._ring)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        self._left_s -= self._loop.time() - self._began
        if not self._late or task is None:
            return
        # Whoever else cancelled the task meant more than this block.
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def close(self) -> None:
        """There are no more blocks."""
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        if self._task is None:  # nobody waits; the next block sets it anew
            return
        left_s = self._left_s - (self._loop.time() - self._began)
        if left_s > 0.0:
            self._timer = self._loop.call_later(left_s, self._ring)
        else:
            self._late = True
            self._task.cancel()
