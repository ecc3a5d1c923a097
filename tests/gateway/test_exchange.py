"""Gates around the engine: opened in order, told the outcome however a request ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from emafusion import gateway
from emafusion.client import Client
from emafusion.errors import (
    BudgetError,
    LimitedError,
    OverloadedError,
    StoreError,
    UnavailableError,
)
from emafusion.gateway.callers import Caller, Gate, Passage
from emafusion.gateway.exchange import Exchange, caller_of, owns, signed
from emafusion.types import Outcome, Request, replace

from .parts import Refusing, Script, Served, broken, client_of, served, until
from .test_bad_input import post

ASK: list[Any] = [{"role": "user", "content": "Hi"}]


class Watch:
    """A gate that notes what passes, and may refuse or answer."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log
        self.outcomes: list[Outcome | None] = []
        self.refusal: Exception | None = None
        self.knobs: dict[str, Any] = {}
        self.answered: Passage | None = None

    @contextlib.asynccontextmanager
    async def open(self, passage: Passage) -> AsyncIterator[None]:
        if self.refusal is not None:
            raise self.refusal
        self.log.append(f"{self.name} opens")
        if self.knobs:
            knobs = replace(passage.request.knobs, **self.knobs)
            passage.request = replace(passage.request, knobs=knobs)
        if self.answered is not None:
            passage.answer = self.answered.answer
        try:
            yield
        finally:
            await asyncio.sleep(0)
            self.log.append(f"{self.name} closes")
            self.outcomes.append(passage.outcome)
            self.last = passage


@contextlib.contextmanager
def gated(**scripts: Script) -> Iterator[tuple[Served, Watch, Watch]]:
    log: list[str] = []
    gates = Watch("outer", log), Watch("inner", log)
    client = client_of(scripts or {"small": Script()})
    with serving(client, gates) as house:
        yield house, *gates


@contextlib.contextmanager
def serving(client: Client, gates: tuple[Gate, ...]) -> Iterator[Served]:
    exchange = Exchange(client, gates)
    with served(exchange, gateway.Settings(heartbeat_s=0.1)) as house:
        yield house


def ask(house: Served, model: str = "small", **fields: Any) -> Any:
    return house.ask({"model": model, "messages": ASK, **fields})


@pytest.mark.parametrize("stream", [False, True])
def test_gates_open_in_order_and_close_in_reverse(stream: bool) -> None:
    with gated() as (house, outer, inner):
        assert ask(house, stream=stream).status == 200
        assert outer.log == ["outer opens", "inner opens", "inner closes", "outer closes"]
        [outcome] = outer.outcomes
        assert outcome is not None
        assert outcome.cost_usd > 0
        assert outcome == inner.outcomes[0]
        assert outer.last.answer is not None
        assert outer.last.answer.outcome is outcome
        assert outer.last.stream is stream


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("refusal", "status", "kind"),
    [
        (LimitedError("too many", retry_after_s=2.5), 429, "rate_limit_error"),
        (OverloadedError("full", retry_after_s=1.0), 503, "server_error"),
        (BudgetError("the budget is spent"), 402, "insufficient_quota"),
    ],
)
def test_a_refusal_has_its_status_and_no_model_is_asked(
    stream: bool, refusal: Exception, status: int, kind: str
) -> None:
    with gated() as (house, outer, inner):
        inner.refusal = refusal
        reply = ask(house, stream=stream)
        assert reply.status == status
        assert reply.error["type"] == kind
        wait = {429: "3", 503: "1"}.get(status)
        assert reply.headers.get("retry-after") == wait
        assert outer.log == ["outer opens", "outer closes"]
        assert outer.outcomes == [None]
        assert not house.script("small").calls


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_failed_request_spent_is_known(stream: bool) -> None:
    failing = Script(failure=broken(UnavailableError), fails_after=1)
    with gated(failing=failing) as (house, outer, _):
        reply = ask(house, "failing", stream=stream)
        assert reply.status == 200 if stream else reply.status == 502
        [outcome] = outer.outcomes
        assert outcome is not None
        assert outcome.error
        assert stream or reply.headers["x-emafusion-decision"] == outcome.decision_id


def test_what_could_not_be_recorded_was_spent_all_the_same() -> None:
    gate = Watch("gate", [])
    client = client_of({"small": Script()}, recorder=Refusing(StoreError("the disk is full")))
    with serving(client, (gate,)) as house:
        assert ask(house).status == 503
        [outcome] = gate.outcomes
        assert outcome is not None
        assert outcome.cost_usd > 0


@pytest.mark.parametrize("stream", [False, True])
def test_gates_close_when_the_caller_has_left(stream: bool) -> None:
    with gated(silent=Script(wait_s=60.0)) as (house, outer, _):
        body = json.dumps({"model": "silent", "messages": ASK, "stream": stream}).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
        with socket.create_connection(("127.0.0.1", house.port), timeout=5) as link:
            link.sendall(head + b"content-length: %d\r\n\r\n%b" % (len(body), body))
            until(lambda: house.script("silent").calls)
        until(lambda: outer.outcomes)
        assert house.script("silent").cancelled == 1
        [outcome] = outer.outcomes
        assert outcome is not None
        assert outcome.cost_usd > 0


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_gate_may_have_the_answer_already(stream: bool, path: str) -> None:
    with gated() as (house, outer, inner):
        body = {"model": "small", "messages": ASK, "max_tokens": 9, "stream": stream}
        house.ask(body, path=path)
        inner.answered = outer.last
        reply = house.ask(body, path=path)
        assert reply.status == 200
        assert b"Paris." in reply.content
        assert len(house.script("small").calls) == 1


def test_a_gate_may_narrow_the_knobs() -> None:
    with gated(small=Script(), large=Script(text="Large.")) as (house, _, inner):
        inner.knobs = {"models": ("large",)}
        assert ask(house, "emafusion").json["model"] == "large"


async def test_a_replaced_client_is_closed_once_its_requests_are_done() -> None:
    first = client_of({"slow": Script(wait_s=0.1)})
    second = client_of({"slow": Script(text="Second.")})
    exchange = Exchange(first)
    request = Request(id="dec_1", messages=tuple(ASK))
    waiting = asyncio.create_task(exchange.answer(Passage(request=request)))
    await asyncio.sleep(0.01)
    replaced = asyncio.create_task(exchange.replace(second))
    await asyncio.sleep(0)
    assert exchange.client is second
    answer = await exchange.answer(Passage(request=replace(request, id="dec_2")))
    assert answer.text == "Second."
    assert not getattr(first.engine.providers["scripted"], "closed")  # noqa: B009
    assert (await waiting).text == "Paris."
    await replaced
    assert getattr(first.engine.providers["scripted"], "closed")  # noqa: B009
    await second.aclose()


def test_scopes_say_what_a_key_may_do() -> None:
    caller = Caller(key="k1", scopes=frozenset({"models"}))
    scope = {"state": {"caller": caller}}
    assert caller_of(scope, "models") is caller
    with pytest.raises(Exception, match="may not be used for chat; its scopes are: models"):
        caller_of(scope, "chat")
    assert caller_of({}, "admin").key == ""


def test_a_tenant_sees_its_own_decisions_only() -> None:
    mine = Caller(key="k1", team="a", scopes=frozenset({"decisions"}))
    other = Caller(key="k2", team="a/b", scopes=frozenset({"decisions"}))
    third = Caller(key="k3", team="a%2Fb", scopes=frozenset({"decisions"}))
    for caller in (mine, other, third):
        for owner in (mine, other, third):
            assert owns(caller, signed(owner, "b/x")) is (caller is owner)
    assert owns(Caller(key="root"), signed(mine, "ann"))
    assert signed(Caller(), "ann") == "ann"
    assert not owns(mine, "")


class OneKey:
    """Knows one key."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def identify(self, token: str) -> Caller | None:
        return self._caller if token == "secret" else None

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        yield


@contextlib.contextmanager
def keyed(caller: Caller) -> Iterator[Any]:
    """An application whose only key is `caller`'s."""

    client = client_of({"small": Script(), "large": Script()})
    yield gateway.app(client, keeper=OneKey(caller))


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/v1/chat/completions", "chat"),
        ("/v1/messages", "chat"),
        ("/v1/responses", "chat"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/feedback", "feedback"),
    ],
)
async def test_every_address_wants_its_scope(path: str, scope: str) -> None:
    caller = Caller(key="k", scopes=frozenset({"metrics"}))
    key = (b"x-api-key", b"secret")
    with keyed(caller) as app:
        status, body = await post(app, b"{}", key, path=path)
        assert status == 403
        assert body["error"]["type"] == "permission_error"
        assert f"may not be used for {scope}" in body["error"]["message"]
        assert ("type" in body) is (path == "/v1/messages")
        status, body = await post(app, b"{}", path=path)
        assert status == 401
        assert ("type" in body) is (path == "/v1/messages")


async def test_a_key_sees_its_models_and_its_own_decisions() -> None:
    caller = Caller(
        key="k",
        team="a",
        scopes=frozenset({"chat", "models", "decisions"}),
        models=frozenset({"large"}),
    )
    key = (b"authorization", b"Bearer secret")
    with keyed(caller) as app:
        _, listed = await post(app, b"", key, path="/v1/models", method="GET")
        assert [card["id"] for card in listed["data"]] == ["emafusion", "large"]
        body = json.dumps({"model": "large", "messages": ASK, "user": "ann"}).encode()
        _, answer = await post(app, body, key)
        path = f"/v1/decisions/{answer['emafusion']['decision_id']}"
        status, decision = await post(app, b"", key, path=path, method="GET")
        assert status == 200
        assert decision["caller"] == "team:a/ann"
