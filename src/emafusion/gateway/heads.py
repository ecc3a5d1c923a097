"""One connection to a caller: what it may send besides bodies, and how long it may dawdle.

Knows bytes, httptools' parser and no request's meaning. Imported only where httptools is installed;
uvicorn's other parser, h11, bounds heads itself and waits for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from emafusion.gateway.faults import CROWDED, Fault
from emafusion.gateway.settings import Settings

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

_OFFERS = frozenset({b"upgrade", b"http2-settings"})


class _Link(HttpToolsProtocol):
    """uvicorn's HTTP protocol within `bounds`.

    What belongs to no body (heads, trailers, chunks' sizes) may grow to about
    ``bounds.max_head_bytes``; the bytes received together with some of a body do not count.
    Trailers are dropped, and offers to speak another protocol are not taken up.
    """

    bounds: ClassVar[Settings]
    _in_head = False
    _in_message = False
    _moved = False
    _received = 0
    _idle_since = 0.0
    _unsent = 0
    _stuck_since: float | None = None
    _running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        if len(self.connections) > self.bounds.max_connections:
            self._refuse(CROWDED)

    def connection_lost(self, exc: Exception | None) -> None:
        # The server tells the last request alone, which may be waiting for the one that runs.
        running = self._running
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self.transport.is_closing():
            return
        self._moved = False
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        if self._moved or not self._in_message:
            self._received = 0
            return
        self._received += len(data)
        most = self.bounds.max_head_bytes
        if self._received > most:
            message = f"the request's headers are longer than {most} bytes"
            self._refuse(Fault(status=431, message=message))

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offered:
                if self.parser.get_method() == b"CONNECT":
                    self._refuse(Fault(status=405, message="CONNECT is not possible here"))
                    return
                # The parser takes what follows for the other protocol. It is this request's body:
                # HTTP lets a server ignore the offer, and a new parser, not told of it, does.
                data = self._plain_head() + data[offered.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def _plain_head(self) -> bytes:
        """The head just read, without what it offers."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            kept = value
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                kept = b", ".join(token for token in tokens if token.lower() not in _OFFERS)
            if name not in _OFFERS:
                lines.append(name + b": " + kept)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def on_message_begin(self) -> None:
        self._in_head = self._in_message = self._moved = True
        super().on_message_begin()
        self._idle_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a trailer could name another key than the one that let the request in
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._moved = True
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def look(self, now: float) -> None:
        """End the connection if it does not get on."""
        if self._stuck(now):
            self.transport.abort()
        elif self.transport.is_closing() or not self._idle():
            return
        elif now - self._idle_since > self._patience_s():
            late = Fault(status=408, message="the request's headers did not come in time")
            self._refuse(late if self._in_head else None)

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _patience_s(self) -> float:
        """How long the next word is waited for.

        The server's own timer for the time between requests ends with any byte that comes, be it a
        blank line or of a body that was answered unread.
        """
        between = self.cycle is not None and not self._in_message
        return self.bounds.keep_alive_s if between else self.bounds.head_timeout_s

    def _stuck(self, now: float) -> bool:
        """Whether the caller read nothing for too long of what we cannot add to meanwhile."""
        unsent = self.transport.get_write_buffer_size()
        fuller = self.flow.write_paused or self._idle() or self.transport.is_closing()
        if not unsent or not fuller or unsent < self._unsent or self._stuck_since is None:
            self._stuck_since = now if unsent else None
        self._unsent = unsent
        return self._stuck_since is not None and (
            now - self._stuck_since > self.bounds.write_timeout_s
        )

    def send_400_response(self, msg: str) -> None:
        self._refuse(Fault(status=400, message=msg))

    def _refuse(self, fault: Fault | None) -> None:
        """Close the connection, `fault` told unless another response has begun."""
        if self.transport.is_closing():
            return
        between = self._idle() or not (self.pipeline or self.cycle.response_started)
        if fault is not None and between:
            self.transport.write(_written(fault))
        self.transport.close()


def bounded(bounds: Settings) -> type[HttpToolsProtocol]:
    """The protocol of connections within `bounds`."""
    return type("Bounded", (_Link,), {"bounds": bounds})


def look(connections: Iterable[object], now: float) -> None:
    """End those `connections` that do not get on; `now` is the loop's, asked about every second."""
    for each in tuple(connections):
        if isinstance(each, _Link):
            each.look(now)


def _written(fault: Fault) -> bytes:
    response = fault.response()
    reason = HTTPStatus(fault.status).phrase.encode()
    lines = [b"HTTP/1.1 %d %s\r\nconnection: close" % (fault.status, reason)]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(response.body)
