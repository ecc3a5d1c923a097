"""The load on a gateway, from a process of its own: so many requests, one after another or by rate.

Knows HTTP/1.1 and the clock. Every prompt is another text, so that no cache answers. Prints one
JSON object with the latencies.

    python benchmarks/gateway_load.py '{"url": ..., "body": ..., "requests": 2000, "callers": 16}'
    python benchmarks/gateway_load.py '{"url": ..., "body": ..., "rate": 200, "seconds": 10,
                                        "streams": 100, "stream_body": ...}'
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from typing import Any
from urllib.parse import urlsplit

import httptools
import uvloop

PROMPTS = (
    "A customer writes: order {n} has not arrived, the tracking page says delivered, and nobody "
    "at home has seen the parcel. Write a short reply that apologises, says what happens next, "
    "and asks for the best telephone number.",
    "What is the capital of Australia, when did it become the capital, and why was neither Sydney "
    "nor Melbourne chosen? Answer in at most three sentences. (ticket {n})",
    "Write a Python function that takes a list of {n} integers and returns the two whose sum is "
    "nearest to zero. Explain how long it takes in terms of the list's length.",
    "Invoice {n}: net 1,240.00 EUR, VAT 19 %, two per cent discount within ten days. How much is "
    "to be paid if the customer pays after a week? Show the steps.",
    "Summarise for a manager in two sentences: the release of build {n} was put off by a day as "
    "the migration test failed on an old database; the cause was found and a fix is in review.",
)
HEADERS = {
    "user-agent": "OpenAI/Python 2.0",
    "accept": "application/json",
    "content-type": "application/json",
    "x-stainless-lang": "python",
}


class AnswerError(Exception):
    """A response that was not 200."""


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready for the first request."""
        self.transport: Any = transport
        self.done: asyncio.Future[None] | None = None
        self._again()

    def _again(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.body: list[bytes] = []

    def ask(self, request: bytes) -> asyncio.Future[None]:
        """Send `request`: a future, done when its answer is whole."""
        self.done = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.done

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        """Keep what a refusal says."""
        if self.parser.get_status_code() != 200:
            self.body.append(data)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        done, status = self.done, self.parser.get_status_code()
        text = b"".join(self.body)
        self._again()
        if done is None or done.done():
            return
        if status == 200:
            done.set_result(None)
        else:
            done.set_exception(AnswerError(f"{status} {text[:300]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what was waited for."""
        if self.done is not None and not self.done.done():
            self.done.set_exception(AnswerError("the connection was closed"))


class Target:
    """An address to post to, over connections that are kept."""

    def __init__(self, url: str, body: dict[str, Any], headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.body = body
        lines = [f"{name}: {value}\r\n" for name, value in (HEADERS | headers).items()]
        self.head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\n{''.join(lines)}"
        self.idle: deque[Connection] = deque()
        self.asked = 0

    def request(self) -> bytes:
        """The bytes of a request like no other."""
        self.asked += 1
        text = PROMPTS[self.asked % len(PROMPTS)].replace("{n}", str(time.time_ns() % 10**12))
        messages = [{"role": "user", "content": text}]
        body = json.dumps({"messages": messages, **self.body}).encode()
        return f"{self.head}content-length: {len(body)}\r\n\r\n".encode() + body

    async def ask(self) -> float:
        """Seconds that one request took."""
        request = self.request()
        began = time.perf_counter()
        connection = self.idle.pop() if self.idle else await self._opened()
        await connection.ask(request)
        took = time.perf_counter() - began
        self.idle.append(connection)
        return took

    async def _opened(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self.host, self.port)
        return connection


async def closed_loop(target: Target, requests: int, callers: int) -> list[float]:
    """`requests` in all, `callers` at a time."""
    left = iter(range(requests))
    times: list[float] = []

    async def caller() -> None:
        for _ in left:
            took = await target.ask()
            times.append(took)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return times


async def open_loop(target: Target, rate: float, seconds: float) -> list[float]:
    """Seconds that each of `rate` requests a second took, whatever became of those before."""
    tasks = []
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(target.ask()))
    return list(await asyncio.gather(*tasks))


async def open_streams(target: Target, count: int) -> list[asyncio.Task[None]]:
    """`count` streams, each begun again when it ends; begun over two seconds."""

    async def listener(nth: int) -> None:
        await asyncio.sleep(2.0 * nth / count)
        while True:
            await target.ask()

    tasks = [asyncio.create_task(listener(nth)) for nth in range(count)]
    await asyncio.sleep(3.0 if count else 0.0)
    return tasks


async def main(told: dict[str, Any]) -> None:
    headers = told.get("headers", {})
    target = Target(told["url"], told["body"], headers)
    listening = []
    if told.get("streams"):
        dripping = Target(told["url"], told["stream_body"], headers)
        listening = await open_streams(dripping, told["streams"])
    if "rate" in told:
        times = await open_loop(target, told["rate"], told["seconds"])
    else:
        times = await closed_loop(target, told["requests"], told["callers"])
    broken = [task for task in listening if task.done()]
    for task in listening:
        task.cancel()
    if broken:
        await broken[0]
    print(json.dumps(times))


if __name__ == "__main__":
    try:
        uvloop.run(main(json.loads(sys.argv[1])))
    except (AnswerError, OSError) as failure:
        sys.exit(f"failed: {failure}")
