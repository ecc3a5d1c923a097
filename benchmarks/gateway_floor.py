"""Python's floor: what any gateway on uvicorn and aiohttp must spend, doing next to nothing.

An ASGI function that decodes with msgspec, weighs 14 models by a linear head, forwards over pooled
aiohttp and hands the answer back. No routes, keys, records or deadlines.

Run ``python benchmarks/gateway_floor.py PORT UPSTREAM``.
"""

from __future__ import annotations

import sys
from typing import Any

import aiohttp
import msgspec
import numpy as np
import uvicorn
from starlette.types import Receive, Scope, Send


class Floor:
    """The application."""

    def __init__(self, upstream: str) -> None:
        self.url = f"{upstream}/chat/completions"
        self.session: aiohttp.ClientSession | None = None
        self.weights = np.random.default_rng(0).normal(size=(128, 14))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request."""
        body = (await receive())["body"] if scope["method"] == "POST" else b"{}"
        asked: dict[str, Any] = msgspec.json.decode(body)
        vector = np.zeros(128)
        for word in str(asked.get("messages")).split():
            vector[hash(word) & 127] += 1.0
        if asked.get("model") != "drip":
            asked["model"] = f"m{int((vector @ self.weights).argmax()):02}"
        if self.session is None:
            self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        async with self.session.post(self.url, data=msgspec.json.encode(asked)) as response:
            if asked.get("stream"):
                await _streamed(response, send)
                return
            content = await response.read()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


async def _streamed(response: aiohttp.ClientResponse, send: Send) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for block in response.content.iter_any():
        await send({"type": "http.response.body", "body": block, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(
        Floor(sys.argv[2]),
        port=int(sys.argv[1]),
        log_level="error",
        lifespan="off",
        access_log=False,
    )
