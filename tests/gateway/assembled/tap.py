"""Upstreams that keep every byte they are sent, and say back what they were asked in odd ways."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from aiohttp import web

from emafusion.testing import chat

from .vendor import threaded

PLACEHOLDER = re.compile(r"\[([A-Z]+)_([a-z2-7]{10})\]")


def loud(text: str) -> str:
    """`text` with placeholders as careless models write them."""
    return PLACEHOLDER.sub(lambda found: f"{{{found[1].lower()} {found[2].upper()}}}", text)


WAYS: Mapping[str, Callable[[str], str]] = {
    "loud": loud,
    "inventive": lambda text: f"{text} [EMAIL_aaaaaaaaaa] and [EMAIL_",
}
"""How models named so alter what they say; others say it as it is."""


class Tap:
    """A server on the loopback address: chat, embeddings, and a collector of traces."""

    def __init__(self) -> None:
        self.url = ""
        self.heard: list[bytes] = []
        self.traces: list[bytes] = []

    def has(self, *told: str) -> list[str]:
        """Which of `told` it was ever sent, as text or as JSON's escapes."""
        everything = b"\n".join(self.heard)
        return [one for one in told if one.encode() in everything]

    async def begin(self) -> web.AppRunner:
        """Listen; its caller ends that."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embed)
        app.router.add_post("/v1/traces", self._trace)
        app.router.add_post("/v1/metrics", self._trace)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _body(self, request: web.Request) -> Any:
        self.heard += [await request.read(), str(dict(request.headers)).encode()]
        return await request.json()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        way = WAYS.get(body["model"], str)
        said = way(chat.echo(body["messages"]))
        if not body.get("stream"):
            return web.json_response(chat.completion(body, lambda _: said))
        if body["model"] != "bytewise" or body.get("tools"):
            return await chat.streamed(request, chat.events(body, lambda _: said))
        return await chat.streamed(request, _bytewise(body, said))

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        given = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [{"object": "embedding", "index": n, "embedding": [0.5]} for n in range(len(given))]
        usage = {"prompt_tokens": 5, "total_tokens": 5}
        return web.json_response({"object": "list", "data": data, "usage": usage})

    async def _trace(self, request: web.Request) -> web.StreamResponse:
        self.traces.append(await request.read())
        return web.Response()


def _bytewise(body: Any, said: str) -> list[str]:
    """The events of `said`, a character in each."""
    first, begun, *_ = chat.events(body, lambda _: "x")
    pieces = [begun.replace('"x"', json.dumps(one)) for one in said]
    return [first, *pieces, *chat.events(body, lambda _: said)[-3:]]


def tap() -> AbstractContextManager[Tap]:
    """A tap in a thread of its own."""
    return threaded(Tap())
