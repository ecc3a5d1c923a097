"""A stream's response: status and headers once there is something to say, then event by event.

Knows ASGI's sending side. Until the first event or heartbeat nothing is sent, so an early failure
still gets a status of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emafusion.errors import EmafusionError
from emafusion.gateway.events import COMMENT, Events
from emafusion.gateway.faults import STOPPING
from emafusion.gateway.presence import Gone, Presence
from emafusion.types import Answer, Chunk

HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class EventStream(Response):
    """Sends what `items` yields as `events`; cancels `items` when the caller hangs up.

    Parameters
    ----------
    items : async generator of Chunk or Answer
        The engine's stream.
    events : Events
        How an item reads on the wire.
    headers : mapping of str to str
        The response's own headers.
    heartbeat_s : float
        The longest silence, seconds.
    """

    def __init__(
        self,
        items: AsyncGenerator[Chunk | Answer, None],
        events: Events,
        *,
        headers: Mapping[str, str],
        heartbeat_s: float,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({**headers, **HEADERS})
        self._items = items
        self._events = events
        self._heartbeat_s = heartbeat_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the whole stream; raises what failed before anything was sent."""
        line = _Line(send, self)
        try:
            last = await self._speak(line, receive)
        except Gone:
            return
        except EmafusionError as failure:
            if not line.began:
                raise
            last = self._events.failed(failure)
        except asyncio.CancelledError:
            if not line.began:
                raise
            last = self._events.failed(STOPPING)
        await line.end(last)

    async def _speak(self, line: _Line, receive: Receive) -> bytes:
        """Send all events but the last, which are returned."""
        last = b""
        async with (
            contextlib.aclosing(self._items) as items,
            Presence(receive),
            line.beating(self._heartbeat_s),
        ):
            async for item in items:
                if isinstance(item, Answer):
                    last = self._events.last(item)
                else:
                    await line.write(self._events.of(item))
        return last


class _Line:
    """What is sent to one caller, in whole events."""

    def __init__(self, send: Send, response: Response) -> None:
        self.began = False
        self._send = send
        self._response = response
        self._turn = asyncio.Lock()
        self._spoke = time.monotonic()

    async def write(self, events: bytes) -> None:
        if events:
            await self._put(events, more=True)

    async def end(self, events: bytes) -> None:
        await self._put(events, more=False)

    @contextlib.asynccontextmanager
    async def beating(self, every_s: float) -> AsyncIterator[None]:
        """Send a comment whenever nothing else was sent for `every_s` seconds."""
        beat = asyncio.create_task(self._beat(every_s))
        try:
            yield
        finally:
            beat.cancel()

    async def _beat(self, every_s: float) -> None:
        while True:
            silent = time.monotonic() - self._spoke
            await asyncio.sleep(max(every_s - silent, 0.0))
            if time.monotonic() - self._spoke >= every_s:
                await self._put(COMMENT, more=True)

    async def _put(self, events: bytes, *, more: bool) -> None:
        async with self._turn:
            if not self.began:
                self.began = True
                await self._send(
                    {
                        "type": "http.response.start",
                        "status": self._response.status_code,
                        "headers": self._response.raw_headers,
                    }
                )
            await self._send({"type": "http.response.body", "body": events, "more_body": more})
            self._spoke = time.monotonic()
