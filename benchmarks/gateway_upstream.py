"""The model behind every gateway that is measured: answers at once, always the same.

A bare asyncio protocol, so that it is not what limits a gateway. A streamed answer comes at once
too, but for the model ``drip``, which takes five seconds over it.

Run ``python benchmarks/gateway_upstream.py PORT``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httptools
import uvloop

TEXT = (
    "Canberra. It was chosen in 1908 as a compromise between Sydney and Melbourne, became the "
    "capital in 1913, when the city was founded for that purpose, and Parliament moved there from "
    "Melbourne in 1927. The site had to be in New South Wales, at least 100 miles from Sydney, and "
    "the design came from an international competition that Walter Burley Griffin and Marion "
    "Mahony Griffin won."
)
USAGE = {"prompt_tokens": 64, "completion_tokens": 82, "total_tokens": 146}
DRIP_S = 0.2


def _json(kind: str, choices: list[dict[str, Any]], **more: Any) -> bytes:
    head = {"id": "cmpl-1", "object": kind, "created": 1, "model": "mock"}
    return json.dumps({**head, "choices": choices, **more}).encode()


def _event(delta: dict[str, str], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + _json("chat.completion.chunk", [choice]) + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _whole() -> bytes:
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = _json("chat.completion", [choice], usage=USAGE)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


WHOLE = _whole()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WORDS = TEXT.split()
EVENTS = [
    _event({"role": "assistant", "content": ""}),
    *(_event({"content": " ".join(WORDS[n : n + 3]) + " "}) for n in range(0, len(WORDS), 3)),
    _event({}, "stop"),
    b"data: " + _json("chat.completion.chunk", [], usage=USAGE) + b"\n\n",
    b"data: [DONE]\n\n",
]
STREAM = HEAD + b"".join(map(_chunk, EVENTS)) + b"0\r\n\r\n"
MODELS = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 27\r\n\r\n"
MODELS += b'{"object":"list","data":[]}'


class Upstream(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready for requests."""
        self.transport: Any = transport
        self.parser = httptools.HttpRequestParser(self)
        self.body = b""
        self.tasks: set[asyncio.Task[None]] = set()

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        """Gather the body."""
        self.body += data

    def on_message_complete(self) -> None:
        """Answer one request."""
        body, self.body = self.body, b""
        if not body:
            self.transport.write(MODELS)
            return
        asked = json.loads(body)
        if not asked.get("stream"):
            self.transport.write(WHOLE)
        elif asked.get("model") == "drip":
            task = asyncio.ensure_future(self._drip())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        else:
            self.transport.write(STREAM)

    async def _drip(self) -> None:
        self.transport.write(HEAD)
        for event in EVENTS:
            self.transport.write(_chunk(event))
            await asyncio.sleep(DRIP_S)
        self.transport.write(b"0\r\n\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody listens any more."""
        for task in self.tasks:
            task.cancel()


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
