"""Bodies that take long to read, or much memory: nobody else waits for them or goes without."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from emafusion import gateway
from emafusion.gateway.body import LONG, apart
from emafusion.gateway.callers import ANYONE, Caller
from emafusion.gateway.chat import Chat
from emafusion.gateway.dialects import Dialect
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.holding import Held, Holding
from emafusion.gateway.limits import Allowance, LocalBuckets, Rate, RateGate
from emafusion.gateway.messages import Messages
from emafusion.gateway.messages.counting import counted
from emafusion.gateway.responses import Memory, Responses
from emafusion.gateway.turns import Turns

from .parts import Script, client_of
from .test_bad_input import post

PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens")


def body(content: object) -> bytes:
    """A body of every protocol."""
    message = {"role": "user", "content": content}
    told = {"model": "small", "max_tokens": 5, "messages": [message], "input": [message]}
    return json.dumps(told).encode()


class Names(Collection[str]):
    """The catalog's names, and in which threads they were looked up."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def __contains__(self, name: object) -> bool:
        self.threads.add(threading.get_ident())
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(("small",))

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("dialect", [Chat(), Messages(), Responses(Memory())])
async def test_long_bodies_are_read_beside_the_loop(dialect: Dialect[Any]) -> None:
    here = threading.get_ident()
    short, long = Names(), Names()
    await dialect.parse(body("Hi"), short, ANYONE)
    assert short.threads == {here}
    await dialect.parse(body("x" * LONG), long, ANYONE)
    assert long.threads
    assert here not in long.threads


async def test_prompts_are_counted_beside_the_loop() -> None:
    names = Names()
    data = body("x" * LONG)
    assert await apart(data, lambda: counted(data, names)) > LONG / 4
    assert threading.get_ident() not in names.threads


class Keys:
    """Everyone has a key, which is its own name."""

    async def identify(self, token: str) -> Caller | None:
        return Caller(key=token)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        yield


@pytest.fixture
def app() -> Any:
    """One request a minute for each key; room for a million bytes of bodies."""
    rate = Rate(unit="requests", amount=1)

    def allowances(caller: Caller) -> tuple[Allowance, ...]:
        return (Allowance(holder=caller.key, rates=(rate,)),)

    rates = RateGate(LocalBuckets(lambda: 0.0), allowances)
    exchange = Exchange(client_of({"small": Script()}), [rates], rates=rates)
    settings = gateway.Settings(max_held_bytes=1_000_000)
    return gateway.app(exchange, settings, keeper=Keys())


def key(name: str) -> tuple[bytes, bytes]:
    return b"x-api-key", name.encode()


@pytest.mark.parametrize("path", PATHS)
async def test_who_was_told_to_wait_has_no_long_body_read_before(app: Any, path: str) -> None:
    nonsense = b"x" * (LONG + 1)
    assert (await post(app, nonsense, key("one"), path=path))[0] == 400
    for _ in range(2):
        status, _ = await post(app, body("Hi"), key("two"), path=path)
    assert status == 429
    assert (await post(app, nonsense, key("two"), path=path))[0] == 429


async def test_counting_tokens_is_a_request_like_others(app: Any) -> None:
    status, reply = await post(app, body("Hi"), key("one"), path=PATHS[-1])
    assert status == 200
    assert reply["input_tokens"] > 0
    status, reply = await post(app, body("Hi"), key("one"), path=PATHS[-1])
    assert status == 429
    assert reply["type"] == "error"


async def test_one_tenant_cannot_take_the_room_of_all(app: Any) -> None:
    part = b" " * 370_000
    first = asyncio.create_task(post(app, part, key("greedy"), more=True))
    second = asyncio.create_task(post(app, part, key("greedy"), more=True))
    await asyncio.sleep(0.05)
    try:
        status, reply = await post(app, part[:100_000], key("greedy"))
        assert (status, reply["error"]["code"]) == (503, "overloaded")
        assert (await post(app, part[:100_000], key("modest")))[0] == 400
        assert (await post(app, body("Hi"), key("modest")))[0] == 200
    finally:
        first.cancel()
        second.cancel()


def test_what_a_tenant_holds_is_forgotten_with_its_last_request() -> None:
    holding = Holding(100, share=0.75)
    first, second, other = Held(holding), Held(holding), Held(holding)
    first.tenant = second.tenant = "greedy"
    assert first.grow(50)
    assert not second.grow(26)
    assert second.grow(25)
    assert other.grow(25)
    assert not other.grow(1)
    for held in (first, second, other):
        held.release()
        held.release()
    assert first.grow(0)
    assert vars(holding) == vars(Holding(100, share=0.75))


async def test_tenants_take_turns_of_their_own() -> None:
    turns = Turns()
    async with turns.of("one"):
        waiting = asyncio.create_task(turns.of("one").acquire())
        async with turns.of("two"):
            await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting
