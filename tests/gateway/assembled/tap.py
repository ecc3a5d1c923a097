"""Upstreams that keep every byte they are sent, and say back what they were asked in odd ways."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from emafusion.testing import chat
from emafusion.types import content_text

from .vendor import threaded

PLACEHOLDER = re.compile(r"\[([A-Z]+)_([a-z2-7]{10})\]")
POOL = {"smollm2-135m": 0.0135, "qwen2.5-coder-0.5b": 0.0494, "qwen2.5-coder-1.5b": 0.1544}
"""The models that the shipped policy was fitted on, at its prices: what they say differs."""
TASKS = {
    "You label requests.": "label",
    "You find whether a prompt": "split",
    "You check answers.": "judge",
    "You compare answers.": "compare",
    "drafts of an answer to the request above": "write",
}
"""What a call is for, by words in its chat; all others are for an answer."""
LATE_S = 1.0


@dataclass(frozen=True)
class Heard:
    """A call: the model that was asked, what for, and the whole body."""

    model: str
    task: str
    body: str

    @property
    def placeholders(self) -> list[str]:
        """Those in it."""
        return [one.group() for one in PLACEHOLDER.finditer(self.body)]


def loud(text: str) -> str:
    """`text` with placeholders as careless models write them."""
    return PLACEHOLDER.sub(lambda found: f"{{{found[1].lower()} {found[2].upper()}}}", text)


WAYS: Mapping[str, Callable[[str], str]] = {
    "loud": loud,
    "inventive": lambda text: f"{text} [EMAIL_aaaaaaaaaa] and [EMAIL_",
    **{name: f"{{}} So says {name}.".format for name in POOL},
}
"""How models named so alter what they say; others say it as it is."""


class Tap:
    """A server on the loopback address: chat, embeddings, and a collector of traces.

    A model named ``refusing`` quotes what it was asked in its refusal; ``late`` takes
    :data:`LATE_S` for every other answer; ``bytewise`` streams one character an event, ``dripping``
    one byte a packet.
    """

    def __init__(self) -> None:
        self.url = ""
        self.heard: list[bytes] = []
        self.calls: list[Heard] = []
        self.traces: list[bytes] = []

    def has(self, *told: str) -> list[str]:
        """Which of `told` it was ever sent, as text or as JSON's escapes."""
        everything = b"\n".join(self.heard)
        return [one for one in told if any(form in everything for form in spellings(one))]

    def asked(self, task: str, since: int = 0, model: str = "") -> list[Heard]:
        """The calls for `task` after the first `since`, of `model` alone where that is named."""
        found = [one for one in self.calls[since:] if one.task == task]
        return [one for one in found if one.model == model or not model]

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

    async def _body(self, request: web.Request, task: str = "embed") -> Any:
        read = await request.read()
        self.heard += [read, str(request.rel_url).encode(), str(dict(request.headers)).encode()]
        body = json.loads(read)
        task = _task(body) if "messages" in body else task
        self.calls.append(Heard(body["model"], task, json.dumps(body, ensure_ascii=False)))
        return body

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        said = _reply(body, self.calls[-1].task)
        if body["model"] == "refusing":
            return chat.failure(422, f"I will not answer {said!r}")
        if body["model"] == "late" and len(self.asked("draft", model="late")) % 2:
            await asyncio.sleep(LATE_S)
        if not body.get("stream"):
            return web.json_response(chat.completion(body, lambda _: said))
        if body["model"] == "dripping":
            return await _dripping(request, chat.events(body, lambda _: said))
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


def spellings(text: str) -> list[bytes]:
    """`text` as it may stand in a file or on a wire."""
    return [text.encode(), json.dumps(text)[1:-1].encode()]


def _task(body: Mapping[str, Any]) -> str:
    whole = "\n".join(content_text(one) for one in body["messages"])
    return next((task for words, task in TASKS.items() if words in whole), "draft")


def _reply(body: Mapping[str, Any], task: str) -> str:
    """What is said to a call for `task`."""
    text = content_text(body["messages"][-1])
    if task == "label":
        complexity = "composite" if ", also " in text else "single_step"
        return json.dumps({"task": "question_answering", "complexity": complexity})
    if task == "split":
        parts = json.loads(text.split("\n")[1]).split(", also ")
        return json.dumps({"parts": [{"text": one.strip(), "after": []} for one in parts]})
    if task in ("judge", "compare"):
        return "NO" if task == "judge" else "1"
    if "letter only" in text:
        return "A"
    name = PLACEHOLDER.search(text)
    if "address alone" in text and name is not None:
        return name.group()
    return WAYS.get(body["model"], str)(chat.echo(body["messages"]))


def _bytewise(body: Any, said: str) -> list[str]:
    """The events of `said`, a character in each."""
    first, begun, *_ = chat.events(body, lambda _: "x")
    pieces = [begun.replace('"x"', json.dumps(one)) for one in said]
    return [first, *pieces, *chat.events(body, lambda _: said)[-3:]]


async def _dripping(request: web.Request, data: list[str]) -> web.StreamResponse:
    """`data` as server-sent events, each byte by itself."""
    response = await chat.event_stream(request)
    for byte in "".join(f"data: {event}\n\n" for event in data).encode():
        await response.write(bytes([byte]))
    await response.write_eof()
    return response


def tap() -> AbstractContextManager[Tap]:
    """A tap in a thread of its own."""
    return threaded(Tap())
