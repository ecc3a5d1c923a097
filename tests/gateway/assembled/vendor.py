"""An upstream that bills like a vendor: it knows what it has read before, and what it is owed."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar

from aiohttp import web

from emafusion.testing import chat
from emafusion.testing.faults import FAULTS, Asked

SHORTEST = 1024
"""Prompt tokens below which nothing is cached."""


class Vendor:
    """A server on the loopback address; a model named after a fault has it.

    ``calls`` and ``billed`` count answers and their tokens by model: prompt, cached, completion.
    ``pause_s`` is how long each answer takes.
    """

    def __init__(self) -> None:
        self.url = ""
        self.pause_s = 0.0
        self.calls: Counter[str] = Counter()
        self.billed: Counter[tuple[str, str]] = Counter()
        self._read: dict[str, list[list[Any]]] = {}

    def bill(self, model: str, prices: tuple[float, float, float]) -> int:
        """What `model`'s answers cost in billionths of a dollar.

        `prices` are dollars per million tokens: prompt, completion, cached prompt.
        """
        cached = self.billed[model, "cached"]
        told = (self.billed[model, "prompt"] - cached, self.billed[model, "completion"], cached)
        return round(sum(1000 * price * count for price, count in zip(prices, told, strict=True)))

    async def begin(self) -> web.AppRunner:
        """Listen; its caller ends that."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/chat/completions", self._chat)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        model = str(body["model"])
        self.calls[model] += 1
        if model in FAULTS:
            asked = Asked(
                request=request,
                body=body,
                number=self.calls[model],
                answer=lambda: chat.answer(request, body, chat.echo),
            )
            return await FAULTS[model](asked)
        if self.pause_s:
            await asyncio.sleep(self.pause_s)
        if body.get("stream"):
            events = [self._bill(body, event) for event in chat.events(body, chat.echo)]
            return await chat.streamed(request, events)
        answer = self._bill(body, json.dumps(chat.completion(body, chat.echo)))
        return web.Response(text=answer, content_type="application/json")

    def _bill(self, body: Mapping[str, Any], event: str) -> str:
        """`event` with what was cached of its prompt, on the bill; others as they are."""
        found = {} if event == "[DONE]" else json.loads(event)
        usage = found.get("usage")
        if usage is None:
            return event
        model, messages = str(body["model"]), body["messages"]
        cached = self._cached(model, messages)
        usage["prompt_tokens_details"]["cached_tokens"] = cached
        self._read.setdefault(model, []).append(messages)
        self.billed[model, "cached"] += cached
        self.billed[model, "prompt"] += usage["prompt_tokens"]
        self.billed[model, "completion"] += usage["completion_tokens"]
        return json.dumps(found)

    def _cached(self, model: str, messages: list[Any]) -> int:
        """Tokens of the longest beginning of `messages` that `model` has read."""
        before = (one for one in self._read.get(model, ()) if messages[: len(one)] == one)
        most = max((_tokens(one) for one in before), default=0)
        return most if most >= SHORTEST else 0


def _tokens(messages: list[Any]) -> int:
    usage: Any = chat.usage({"messages": messages}, "")
    return int(usage["prompt_tokens"])


class Begun(Protocol):
    """A server that begins in the running loop."""

    async def begin(self) -> web.AppRunner: ...


B = TypeVar("B", bound=Begun)


@contextmanager
def threaded(found: B) -> Iterator[B]:
    """`found`, serving in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(found.begin(), loop).result()
    try:
        yield found
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def vendor() -> AbstractContextManager[Vendor]:
    """A vendor in a thread of its own."""
    return threaded(Vendor())
