"""A stream's response: status and headers once there is something to say, then event by event.

Knows ASGI's sending side and no protocol's events. Until the first event or heartbeat nothing is
sent, so an early failure still gets a status of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from emafusion.errors import EmafusionError
from emafusion.gateway.callers import Gate, Passage
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.faults import STOPPING, Fault, fault_of
from emafusion.gateway.presence import Gone, Presence
from emafusion.types import Answer, Chunk

HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
COMMENT = b": working\n\n"
LARGEST_KEPT = 1 << 14
"""Bytes of events that wait for the next, which is there already, to be sent with it."""


def progress(done: tuple[int, int]) -> bytes:
    """A comment: a part of a composite prompt has its answer before its turn."""
    return b": emafusion part %d of %d done\n\n" % done


class Teller(Protocol):
    """One stream's events in one protocol, as bytes."""

    def of(self, chunk: Chunk) -> bytes:
        """The events that `chunk` lets out, perhaps none yet."""
        ...

    def last(self, answer: Answer) -> bytes:
        """The events that end the stream."""
        ...

    def failed(self, failure: EmafusionError | Fault) -> bytes:
        """The event that tells a caller to whom we have spoken already."""
        ...

    def beat(self) -> bytes:
        """What shows that the stream is alive."""
        ...


class EventStream(Response):
    """Sends the answer to `passage` as `events`; cancels it when the caller hangs up.

    Parameters
    ----------
    exchange : Exchange
        Who answers.
    passage : Passage
        The request.
    events : Teller
        How an answer's pieces read on the wire.
    headers : mapping of str to str
        The response's own headers.
    heartbeat_s : float
        The longest silence, seconds.
    gates : sequence of Gate
        What this request passes beyond the exchange's own gates.
    """

    def __init__(
        self,
        exchange: Exchange,
        passage: Passage,
        *,
        events: Teller,
        headers: Mapping[str, str],
        heartbeat_s: float,
        gates: Sequence[Gate] = (),
    ) -> None:
        self.status_code = 200
        self.background = None
        self._opening = headers
        self._exchange = exchange
        self._passage = passage
        self._events = events
        self._heartbeat_s = heartbeat_s
        self._gates = gates

    def opening(self) -> Message:
        """What is sent first, with what the gates have to say by then."""
        self.init_headers({**self._opening, **self._passage.reply_headers, **HEADERS})
        return {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }

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
            last = self._events.failed(fault_of(failure, self._passage.outcome))
        except asyncio.CancelledError:
            if not line.began:
                raise
            last = self._events.failed(STOPPING)
        await line.end(last)

    async def _speak(self, line: _Line, receive: Receive) -> bytes:
        """Send all events but the last, which are returned."""
        last = b""
        async with (
            Presence(receive),
            self._exchange.stream(self._passage, self._gates) as items,
            line.beating(self._heartbeat_s, self._events),
        ):
            async for item in items:
                if isinstance(item, Answer):
                    last = self._events.last(item)
                else:
                    await line.write(self._events.of(item), followed=item.followed)
        return last


class _Line:
    """What is sent to one caller, in whole events."""

    def __init__(self, send: Send, response: EventStream) -> None:
        self._opened = False
        self._kept = b""
        self._send = send
        self._response = response
        self._turn = asyncio.Lock()
        self._spoke = time.monotonic()

    @property
    def began(self) -> bool:
        """Whether there is something to say, sent or about to be."""
        return self._opened or bool(self._kept)

    async def write(self, events: bytes, *, followed: bool) -> None:
        """Send `events`; those that are `followed` at once are sent with what follows."""
        self._kept += events
        if self._kept and not (followed and len(self._kept) < LARGEST_KEPT):
            await self._put(b"", more=True)

    async def end(self, events: bytes) -> None:
        await self._put(events, more=False)

    @contextlib.asynccontextmanager
    async def beating(self, every_s: float, events: Teller) -> AsyncIterator[None]:
        """Send a sign of life whenever nothing else was sent for `every_s` seconds."""
        beat = asyncio.create_task(self._beat(every_s, events))
        try:
            yield
        finally:
            beat.cancel()

    async def _beat(self, every_s: float, events: Teller) -> None:
        while True:
            silent = time.monotonic() - self._spoke
            await asyncio.sleep(max(every_s - silent, 0.0))
            if time.monotonic() - self._spoke >= every_s:
                await self._put(events.beat(), more=True)

    async def _put(self, events: bytes, *, more: bool) -> None:
        async with self._turn:
            if not self._opened:
                self._opened = True
                await self._send(self._response.opening())
            events, self._kept = self._kept + events, b""
            await self._send({"type": "http.response.body", "body": events, "more_body": more})
            self._spoke = time.monotonic()
