"""Many callers at once against a house whose processes and database fail meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import aiohttp
from msgspec import Struct, field

from .house import House, body

WORDS = 100
QUESTION = body("large", text="yes " * WORDS, max_tokens=WORDS + 2, temperature=1.0)


class Spoils(Struct, kw_only=True):
    """What callers got: the decisions whose answers came whole, refusals by code, lost links."""

    delivered: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    cut_off: int = 0


class Strike(Struct, frozen=True):
    """Something done to the house once so many answers were delivered."""

    after: int
    do: Callable[[], None]


async def besiege(
    house: House, key: str, *, callers: int, over_s: float, strikes: Sequence[Strike] = ()
) -> Spoils:
    """What became of one request each of `callers`, who come `over_s` seconds; a third stream."""
    found = Spoils()
    url = f"{house.url}/v1/chat/completions"
    headers = {"authorization": f"Bearer {key}"}

    async def call(number: int) -> None:
        await asyncio.sleep(over_s * number / callers)
        told = {**QUESTION, "stream": number % 3 == 0}
        async with session.post(url, json=told, headers=headers) as response:
            content = await response.read()
        if response.status != 200:
            found.refused[json.loads(content)["error"]["code"]] += 1
        elif b"[DONE]" in content or not told["stream"]:
            found.delivered.append(response.headers["x-emafusion-decision"])

    async def until_cut_off(number: int) -> None:
        try:
            await call(number)
        except aiohttp.ClientError:
            found.cut_off += 1

    async def strike() -> None:
        for one in strikes:
            while len(found.delivered) < one.after:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
            await asyncio.to_thread(one.do)

    timeout = aiohttp.ClientTimeout(total=120.0)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        striking = asyncio.create_task(strike())
        await asyncio.gather(*(until_cut_off(number) for number in range(callers)))
        striking.cancel()
        with suppress(asyncio.CancelledError):
            await striking
    return found
