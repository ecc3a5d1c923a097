"""Where one event loop leaves its rows: what it leaves in one turn goes to the writer together.

Waking another thread costs as much as writing a row, so a busy loop does it once a turn. Knows
loops and who waits for which row; neither databases nor what rows mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from emafusion.errors import StoreError
from emafusion.record.rows import Row
from emafusion.record.writer import MAX_BATCH, Results, Writer

Waiting = tuple[Row, "asyncio.Future[None]"]


class Desk:
    """Hands what one loop leaves here on to `writer`; tells those who wait what became of it.

    Called in that loop alone, which it does not keep alive.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._gathered: list[Waiting] = []

    def leave(self, row: Row) -> asyncio.Future[None]:
        """A future, done once `row` is durable; whoever no longer waits for it undoes nothing."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if not self._gathered:
            loop.call_soon(self.hand_over)
        self._gathered.append((row, future))
        return future

    def hand_over(self) -> None:
        """Hand on what was left, now, or as soon as the writer has room."""
        loop = asyncio.get_running_loop()
        while waiting := self._gathered[:MAX_BATCH]:
            try:
                written = self._writer.submit([row for row, _ in waiting])
            except StoreError as closed:
                waiting, self._gathered = self._gathered, []
                _tell(waiting, [closed] * len(waiting))
                return
            if written is None:
                self._writer.room().add_done_callback(lambda _: _soon(loop, self._again))
                return
            del self._gathered[:MAX_BATCH]
            written.add_done_callback(partial(_soon_written, loop, waiting))

    def _again(self) -> None:
        # Of those that found no room, only what is still waited for: there is no end of them.
        self._gathered = [one for one in self._gathered if not one[1].done()]
        self.hand_over()


def _soon(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    """Have `loop` do `work`, from any thread."""
    with suppress(RuntimeError):  # it is closed: nobody waits any more
        loop.call_soon_threadsafe(work)


def _soon_written(
    loop: asyncio.AbstractEventLoop, waiting: Sequence[Waiting], done: Future[Results]
) -> None:
    _soon(loop, partial(_written, waiting, done))


def _written(waiting: Sequence[Waiting], done: Future[Results]) -> None:
    error = done.exception()
    if isinstance(error, StoreError):
        _tell(waiting, [error] * len(waiting))
    else:
        _tell(waiting, done.result())


def _tell(waiting: Sequence[Waiting], results: Results) -> None:
    for (_, future), result in zip(waiting, results, strict=True):
        if future.done():
            continue
        if result is None:
            future.set_result(None)
        else:
            future.set_exception(result)
