"""Work done for a caller who may hang up: when they do, the work is cancelled.

Knows ASGI's ``receive`` once the body has been read: all that can still come is the disconnect.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.types import Receive

UNWATCHED_S = 0.1
"""Whose answer comes sooner is not looked out for: work so short is not worth a task that waits for
its caller to leave."""


class Gone(Exception):  # noqa: N818 - nothing went wrong: nobody is left to tell
    """The caller hung up before the answer."""


class Presence:
    """A block that is cancelled when the caller hangs up, and then raises :class:`Gone`.

    Who leaves within :data:`UNWATCHED_S` is noticed after it.

    A response's last piece must be sent after the block: to a server the end of the response and
    the end of the connection look alike.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._watch: asyncio.TimerHandle | asyncio.Task[None]

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._watch = asyncio.get_running_loop().call_later(UNWATCHED_S, self._begin)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.cancel()
        if not self._gone or self._task is None:
            return
        self._task.uncancel()
        if kind is None or issubclass(kind, asyncio.CancelledError):
            raise Gone from None

    def _begin(self) -> None:
        self._watch = asyncio.create_task(self._cancel_when_gone())

    async def _cancel_when_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._task is not None:
            self._task.cancel()
