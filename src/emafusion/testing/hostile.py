"""A server that answers chat completions as nobody should, byte by byte.

What :mod:`~emafusion.testing.upstream` cannot send, because its HTTP library would not: heads
without an end, lengths that lie, answers nobody asked for. It speaks just enough HTTP to read a
question; the question's ``model`` names the fault (:data:`HOSTILE`), any other is answered rightly.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self, TypeAlias

from msgspec import Struct

from emafusion.testing import chat

DRIP_S = 0.05
BLOCK = b"x" * (1 << 20)
BOMB = 1 << 30
HEAD = b"HTTP/1.1 200 OK\r\n"
JSON = HEAD + b"Content-Type: application/json\r\n"
EVENTS = HEAD + b"Content-Type: text/event-stream\r\n"
PLANTED = "planted: this is no answer to your question"


class Line(Struct, frozen=True, kw_only=True):
    """One question and the connection that it came over."""

    writer: asyncio.StreamWriter
    body: Mapping[str, object]

    @property
    def streams(self) -> bool:
        """Whether a stream was asked for."""
        return bool(self.body.get("stream"))

    async def send(self, data: bytes) -> None:
        """Send `data` once there is room for it."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes, head: bytes = JSON) -> None:
        """Send a whole response."""
        await self.send(head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def begin(self) -> None:
        """Begin a body that ends with the connection."""
        await self.send((EVENTS if self.streams else JSON) + b"Connection: close\r\n\r\n")

    async def begin_midway(self) -> None:
        """Begin a right answer: two events of a stream, or some bytes of a whole one."""
        await self.begin()
        if self.streams:
            for event in self.events()[:2]:
                await self.send(f"data: {event}\n\n".encode())
        else:
            await self.send(self.completion()[:20])

    def completion(self, **other: object) -> bytes:
        """The right whole answer, with `other` fields."""
        return json.dumps({**chat.completion(self.body, chat.echo), **other}).encode()

    def events(self) -> list[str]:
        """The data of the right stream's events."""
        return chat.events(self.body, chat.echo)

    async def told(self, value: object) -> None:
        """`value` for an answer, whole or as a stream's one event."""
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        if self.streams:
            await self.begin()
            await self.send(b"data: " + data + b"\n\ndata: [DONE]\n\n")
            self.writer.close()
        else:
            await self.answer(data)

    def reset(self) -> None:
        """End the connection with a reset."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Fault: TypeAlias = Callable[[Line], Awaitable[None]]


async def _right(line: Line) -> None:
    if not line.streams:
        await line.answer(line.completion())
        return
    data = b"".join(f"data: {event}\n\n".encode() for event in line.events())
    await line.answer(data, EVENTS)


async def _for_ever() -> None:
    await asyncio.sleep(3600)


async def _hang(line: Line) -> None:
    await _for_ever()


async def _hang_after_head(line: Line) -> None:
    await line.begin()
    await _for_ever()


async def _hang_midway(line: Line) -> None:
    await line.begin_midway()
    await _for_ever()


async def _drip_head(line: Line) -> None:
    while True:
        for byte in HEAD:
            await line.send(bytes([byte]))
            await asyncio.sleep(DRIP_S)
        await _for_ever()


async def _drip_body(line: Line) -> None:
    await line.begin()
    for byte in line.completion():
        await line.send(bytes([byte]))
        await asyncio.sleep(DRIP_S)


async def _comments(line: Line) -> None:
    """Signs of life without an answer, before it or in its middle."""
    await line.begin_midway()
    while True:
        await line.send(b": keep-alive\n\n")
        await asyncio.sleep(DRIP_S)


async def _continues(line: Line) -> None:
    while True:
        await line.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await asyncio.sleep(0)


async def _reset(line: Line) -> None:
    line.reset()


async def _reset_after_head(line: Line) -> None:
    await line.begin()
    await asyncio.sleep(DRIP_S)
    line.reset()


async def _reset_midway(line: Line) -> None:
    await line.begin_midway()
    await asyncio.sleep(DRIP_S)
    line.reset()


async def _endless(line: Line, begin: bytes, block: bytes) -> None:
    await line.send(begin)
    while True:
        await line.send(block)


async def _endless_heads(line: Line) -> None:
    await _endless(line, HEAD, b"".join(b"X-%d: %s\r\n" % (n, b"y" * 100) for n in range(1000)))


async def _long_head(line: Line) -> None:
    await _endless(line, HEAD + b"X: ", BLOCK)


async def _endless_body(line: Line) -> None:
    await line.begin()
    await _endless(line, b'data: {"a":"' if line.streams else b'{"a":"', BLOCK)


async def _endless_events(line: Line) -> None:
    event = f"data: {line.events()[1]}\n\n".encode()
    await line.begin()
    await _endless(line, b"", event * 1000 if line.streams else BLOCK)


async def _endless_chunks(line: Line) -> None:
    head = (EVENTS if line.streams else JSON) + b"Transfer-Encoding: chunked\r\n\r\n"
    await _endless(line, head, b"1\r\n \r\n" * 10_000)


async def _bomb(line: Line) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = packer.compress(BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    # From a full flush on, a block's bytes depend on nothing before it.
    again = packer.compress(BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    body = start + again * (BOMB >> 20)
    head = EVENTS if line.streams else JSON
    await line.answer(body, head + b"Content-Encoding: gzip\r\n")


async def _long_answer(line: Line) -> None:
    """10 MB, in one line and all of it right."""
    text = "x" * 10_000_000
    if line.streams:
        first = json.loads(line.events()[1])
        first["choices"][0]["delta"]["content"] = text
        events = [json.dumps(first), *line.events()[-3:]]
        data = b"".join(f"data: {event}\n\n".encode() for event in events)
        await line.answer(data, EVENTS)
        return
    whole = json.loads(line.completion())
    whole["choices"][0]["message"]["content"] = text
    await line.answer(json.dumps(whole).encode())


async def _garbage(line: Line) -> None:
    await line.send(b"\x16\x03\x01 I am no web server\r\n\r\n")
    line.writer.close()


async def _page(line: Line) -> None:
    await line.answer(b"<html>Welcome to the proxy</html>", HEAD + b"Content-Type: text/html\r\n")


async def _metadata(line: Line) -> None:
    target = b"Location: http://169.254.169.254/latest/meta-data/\r\n"
    await line.answer(b"", b"HTTP/1.1 307 Temporary Redirect\r\n" + target)


async def _bad_chunk(line: Line) -> None:
    head = (EVENTS if line.streams else JSON) + b"Transfer-Encoding: chunked\r\n\r\n"
    await line.send(head + b"zz\r\nno size\r\n")
    await _for_ever()


async def _short_length(line: Line) -> None:
    """More than the length said: the rest reads like the answer to the next question."""
    planted = Line(writer=line.writer, body={**line.body, "stream": False})
    body = planted.completion()
    fake = json.loads(body)
    fake["choices"][0]["message"]["content"] = PLANTED
    extra = json.dumps(fake).encode()
    await _right(line)
    await line.answer(extra)


async def _late_answer(line: Line) -> None:
    """A right answer, and a while later another that nobody asked for."""
    await _right(line)
    await asyncio.sleep(DRIP_S)
    await _short_length(Line(writer=line.writer, body={**line.body, "model": "echo"}))


async def _long_length(line: Line) -> None:
    body = line.completion()
    head = EVENTS if line.streams else JSON
    await line.send(head + f"Content-Length: {len(body) + 99}\r\n\r\n".encode() + body)
    line.writer.close()


async def _done_at_once(line: Line) -> None:
    await (line.answer(b"data: [DONE]\n\n", EVENTS) if line.streams else line.answer(b""))


def _lie(value: object) -> Fault:
    async def told(line: Line) -> None:
        await line.told(value)

    return told


def _counting(usage: object) -> Fault:
    """A right answer whose usage is `usage`; text stands as it is, for what JSON has no words."""

    async def told(line: Line) -> None:
        if not line.streams:
            body = line.completion(usage="USAGE").decode()
        else:
            last = json.loads(line.events()[-2])
            body = json.dumps({**last, "usage": "USAGE"})
        said = usage if isinstance(usage, str) else json.dumps(usage)
        body = body.replace('"USAGE"', said)
        if not line.streams:
            await line.answer(body.encode())
            return
        events = [*line.events()[:-2], body, "[DONE]"]
        data = b"".join(f"data: {event}\n\n".encode() for event in events)
        await line.answer(data, EVENTS)

    return told


HOSTILE: Mapping[str, Fault] = {
    "hang": _hang,
    "hang-after-head": _hang_after_head,
    "hang-midway": _hang_midway,
    "drip-head": _drip_head,
    "drip-body": _drip_body,
    "comments": _comments,
    "continues": _continues,
    "reset": _reset,
    "reset-after-head": _reset_after_head,
    "reset-midway": _reset_midway,
    "endless-heads": _endless_heads,
    "long-head": _long_head,
    "endless-body": _endless_body,
    "endless-events": _endless_events,
    "endless-chunks": _endless_chunks,
    "bomb": _bomb,
    "long-answer": _long_answer,
    "garbage": _garbage,
    "page": _page,
    "metadata": _metadata,
    "bad-chunk": _bad_chunk,
    "short-length": _short_length,
    "late-answer": _late_answer,
    "long-length": _long_length,
    "done-at-once": _done_at_once,
    "null": _lie(None),
    "list": _lie([]),
    "text": _lie("Paris"),
    "no-choices": _lie({"choices": []}),
    "null-choices": _lie({"choices": None}),
    "null-choice": _lie({"choices": [None]}),
    "number-content": _lie({"choices": [{"message": {"content": 7}, "delta": {"content": 7}}]}),
    "deep": _lie(b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "surrogate": _lie(
        b'{"choices":[{"message":{"content":"\\ud800"},"delta":{"content":"\\ud800"}}]}'
    ),
    "usage-missing": _counting(None),
    "usage-negative": _counting({"prompt_tokens": -5, "completion_tokens": -5}),
    "usage-huge": _counting({"prompt_tokens": 10**15, "completion_tokens": 10**15}),
    "usage-fraction": _counting({"prompt_tokens": 1.5, "completion_tokens": "2"}),
    "usage-text": _counting('"plenty"'),
    "usage-nan": _counting('{"prompt_tokens": NaN, "completion_tokens": NaN}'),
}
"""What each model's name brings about."""


class Hostile:
    """The server, as an asynchronous context manager.

    Attributes
    ----------
    connections : int
        How many were made.
    """

    def __init__(self) -> None:
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        """The address for OpenAI clients."""
        if self._server is None:
            raise RuntimeError("the server has not been started; use 'async with'")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for talk in self._talks:
            talk.cancel()
        if self._talks:
            await asyncio.wait(self._talks)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        if task is not None:
            self._talks.add(task)
        try:
            while not writer.is_closing():
                await self._reply(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            if task is not None:
                self._talks.discard(task)
            writer.transport.abort()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        body = json.loads(await reader.readexactly(length))
        fault = HOSTILE.get(str(body.get("model")), _right)
        left = asyncio.ensure_future(reader.read(1)) if fault is not _right else None
        answering = asyncio.ensure_future(fault(Line(writer=writer, body=body)))
        try:
            waited = {one for one in (left, answering) if one is not None}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if left is not None and left.done():
                raise ConnectionError("the client left, or asked again over a broken line")
            await answering
        finally:
            answering.cancel()
            if left is not None:
                left.cancel()
            if fault is not _right:
                await asyncio.wait({answering})
