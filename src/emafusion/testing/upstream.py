"""A real HTTP server that speaks the providers' protocols, rightly and wrongly.

It answers OpenAI chat completions and Anthropic messages on the loopback address, by default with
an echo of the question, and misbehaves on request: the fault is named by the request's ``model`` or
its ``x-fault`` header (:data:`~emafusion.testing.faults.FAULTS`). It counts what it was asked and
notices clients that leave.

As a process: ``python -m emafusion.testing.upstream [--port N]``, which prints its address.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from aiohttp import web
from msgspec import Struct

from emafusion.testing import anthropic, chat
from emafusion.testing.faults import FAULTS, Asked


class Seen(Struct, kw_only=True):
    """One request as it came; ``disconnected`` is set when its client left before the end."""

    path: str
    body: Mapping[str, object]
    headers: Mapping[str, str]
    disconnected: bool = False


class Upstream:
    """The server, as an asynchronous context manager.

    Parameters
    ----------
    reply : callable, optional
        The text for a request's messages; by default an echo of the last one.
    api_key : str, optional
        The only bearer token (or ``x-api-key``) that is accepted; by default any, or none.
    port : int, default 0
        The port on 127.0.0.1; 0 takes a free one.

    Attributes
    ----------
    seen : list of Seen
        Every request for an answer, in order.
    asked, left : asyncio.Event
        Set when a request has come, and when a client has left before its answer's end.
    """

    def __init__(
        self,
        reply: Callable[[list[Mapping[str, object]]], str] = chat.echo,
        *,
        api_key: str | None = None,
        port: int = 0,
    ) -> None:
        self.reply = reply
        self.seen: list[Seen] = []
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self._api_key = api_key
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def root(self) -> str:
        """The server's address, without a path."""
        if self._runner is None:
            raise RuntimeError("the upstream has not been started; use 'async with'")
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    @property
    def base_url(self) -> str:
        """The address for OpenAI clients."""
        return f"{self.root}/v1"

    def count(self, model: str) -> int:
        """How many requests named `model`."""
        return sum(seen.body.get("model") == model for seen in self.seen)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/stats", self._stats)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, chat.answer)

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, anthropic.answer)

    async def _serve(self, request: web.Request, answer: chat.Answerer) -> web.StreamResponse:
        if not self._admitted(request):
            return chat.failure(401, f"Incorrect API key provided: {_key(request)}.")
        body = await request.json()
        seen = Seen(path=request.path, body=body, headers=dict(request.headers))
        self.seen.append(seen)
        self.asked.set()
        fault = request.headers.get("x-fault") or str(body.get("model"))
        asked = Asked(
            request=request,
            body=body,
            number=self.count(str(body.get("model"))),
            answer=lambda: answer(request, body, self.reply),
        )
        try:
            return await FAULTS.get(fault, Asked.answered)(asked)
        except (asyncio.CancelledError, ConnectionError):
            seen.disconnected = True
            self.left.set()
            raise

    async def _models(self, request: web.Request) -> web.Response:
        if not self._admitted(request):
            return chat.failure(401, "Incorrect API key provided.")
        return web.json_response({"object": "list", "data": [{"id": "echo", "object": "model"}]})

    async def _stats(self, request: web.Request) -> web.Response:
        gone = sum(seen.disconnected for seen in self.seen)
        return web.json_response({"requests": len(self.seen), "disconnected": gone})

    def _admitted(self, request: web.Request) -> bool:
        return self._api_key is None or _key(request) == self._api_key


def _key(request: web.Request) -> str:
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return request.headers.get("x-api-key", bearer)


async def _main() -> None:
    parser = argparse.ArgumentParser(description="A fake language-model API on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    arguments = parser.parse_args()
    async with Upstream(port=arguments.port) as upstream:
        sys.stdout.write(f"{upstream.base_url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
