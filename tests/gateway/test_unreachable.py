"""A database that is away for a moment: clients are told when to ask again, and theirs do."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import openai
import pytest
import uvicorn

from emafusion import gateway
from emafusion.errors import StoreError, StoreUnreachableError
from emafusion.gateway.callers import Caller

from .parts import Refusing, Script, Served, client_of, served, until

ASK: list[Any] = [{"role": "user", "content": "Hi"}]
DIALECTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "small", "messages": ASK},
    "/v1/responses": {"model": "small", "input": "Hi"},
    "/v1/messages": {"model": "small", "messages": ASK, "max_tokens": 9},
}


class Absent:
    """Knows every caller, but for the first few times, when its database is away."""

    def __init__(self, times: int) -> None:
        self.left = times

    async def identify(self, token: str) -> Caller | None:
        if self.left:
            self.left -= 1
            raise StoreUnreachableError("this key cannot be checked", retry_after_s=0.5)
        return Caller(key="k")

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        yield


@contextlib.contextmanager
def guarded(keeper: Absent) -> Iterator[str]:
    """A server's address, whose callers `keeper` knows."""
    app = gateway.app(client_of({"small": Script()}), keeper=keeper)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_the_official_clients_ask_again_until_it_is_back() -> None:
    keeper = Absent(1)
    with guarded(keeper) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=1) as client:
            chat = client.chat.completions.create(model="small", messages=ASK)
            assert chat.choices[0].message.content == "Paris."
            keeper.left = 1
            assert client.responses.create(model="small", input="Hi").output_text == "Paris."
        keeper.left = 1
        with anthropic.Anthropic(base_url=url, api_key="k", max_retries=1) as other:
            [block] = other.messages.create(model="small", messages=ASK, max_tokens=9).content
            assert block.type == "text"


@pytest.mark.parametrize("path", DIALECTS)
def test_what_could_not_be_recorded_is_not_asked_again(path: str) -> None:
    """It was paid for: asking again would only pay again."""
    house: Served
    failure = StoreError("the disk is full")
    with served(client_of({"small": Script()}, recorder=Refusing(failure))) as house:
        reply = house.ask(DIALECTS[path], path=path)
    assert reply.status == 503
    assert reply.error["code"] == "record_unavailable"
    assert "retry-after" not in reply.headers
    assert reply.headers.get("x-should-retry") == "false"
