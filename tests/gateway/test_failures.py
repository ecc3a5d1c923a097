"""What an upstream, a disk or our own mistake looks like from outside."""

from __future__ import annotations

import logging
from typing import Any

import openai as official
import pytest

from emafusion.errors import (
    ArtefactError,
    DataError,
    EmafusionError,
    RejectedError,
    StoreError,
    StoreUnreachableError,
    UnavailableError,
)
from emafusion.gateway.faults import fault_of
from emafusion.protocols import Port
from emafusion.types import Labels, Request

from .parts import Refusing, Script, Served, Unlabelled, client_of, served

ASK: list[Any] = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("model", "status", "code", "again"),
    [
        ("limited", 429, "rate_limit_exceeded", True),
        ("late", 504, "deadline_exceeded", False),
        ("down", 502, "upstream_unavailable", True),
        ("lying", 502, "upstream_bad_response", True),
        ("refusing", 400, "upstream_rejected", True),
        ("keyless", 502, "upstream_authentication", False),
        ("buggy", 502, "upstream_unavailable", True),
    ],
)
def test_a_failing_upstream_has_the_status_its_clients_expect(
    house: Served, model: str, status: int, code: str, again: bool
) -> None:
    reply = house.ask({"model": model, "messages": ASK})
    assert reply.status == status
    assert reply.error["code"] == code
    assert (reply.headers.get("x-should-retry") == "false") == (not again)
    assert "sk-verysecret" not in reply.content.decode()
    assert reply.headers.get("retry-after") == ("2" if model == "limited" else None)


def test_the_official_client_knows_them(openai: official.OpenAI) -> None:
    expected = {
        "limited": official.RateLimitError,
        "refusing": official.BadRequestError,
        "down": official.InternalServerError,
        "late": official.InternalServerError,
    }
    for model, kind in expected.items():
        with pytest.raises(kind):
            openai.chat.completions.create(model=model, messages=ASK)


@pytest.mark.parametrize(
    "error",
    [
        ArtefactError("the policy in '/srv/private' is damaged"),
        StoreUnreachableError("cannot use the accounts in '/srv/private'"),
        DataError("'/srv/private/x.jsonl' has no such row"),
    ],
)
def test_where_the_servers_own_things_are_is_for_its_log(
    error: EmafusionError, caplog: pytest.LogCaptureFixture
) -> None:
    fault = fault_of(error)
    assert fault.status >= 500
    assert "private" not in fault.message
    assert "/srv/private" in caplog.text


REFUSED = RejectedError("too long", "a", status=413, code="string_above_max_length", param="input")


def test_what_a_model_says_of_the_request_is_told_where_it_alone_was_asked() -> None:
    scripts = {name: Script(failure=REFUSED) for name in "ab"}
    with served(client_of(scripts)) as house:
        named = house.ask({"model": "a", "messages": ASK})
        native = house.ask({"model": "a", "messages": ASK, "max_tokens": 9}, path="/v1/messages")
        streamed = house.ask({"model": "a", "messages": ASK, "stream": True})
        chosen = house.ask({"model": "emafusion", "messages": ASK})
    for reply in (named, native, streamed):
        assert reply.status == 413
        assert reply.error["code"] == "string_above_max_length"
        assert reply.error["param"] == "input"
        assert reply.headers["x-request-id"] == reply.headers["x-emafusion-decision"]
    assert native.error["type"] == "request_too_large"
    assert chosen.status == 400
    assert (chosen.error["code"], chosen.error["param"]) == ("upstream_rejected", None)


def test_the_wait_an_upstream_asks_for_is_told() -> None:
    busy = UnavailableError("busy", "a", retry_after_s=1.5)
    with served(client_of({"a": Script(failure=busy)})) as house:
        reply = house.ask({"model": "a", "messages": ASK})
    assert (reply.status, reply.headers["retry-after"]) == (502, "2")


def test_a_failed_model_does_not_lose_the_request(house: Served) -> None:
    knobs = {"models": ["down", "small"], "arrangement": "fusion"}
    body = house.ask({"model": "emafusion", "messages": ASK, "emafusion": knobs}).json
    assert body["model"] == "small"
    assert set(body["emafusion"]["models"]) == {"down", "small"}


def test_a_record_that_cannot_be_written_keeps_its_answer_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    where = "/srv/private/record.sqlite3"
    full = Refusing(StoreError(f"cannot use the record {where!r}: the disk is full"))
    with (
        caplog.at_level(logging.WARNING),
        served(client_of({"small": Script()}, recorder=full)) as house,
    ):
        whole = house.ask({"model": "small", "messages": ASK})
        streamed = house.ask({"model": "small", "messages": ASK, "stream": True})
        looked_up = house.get("/v1/decisions/dec_1")
    for reply in (whole, looked_up):
        assert reply.status == 503
        assert "its log says why" in reply.error["message"]
        assert "private" not in reply.content.decode()
    assert f"{where!r}: the disk is full" in caplog.text
    assert whole.headers["x-should-retry"] == "false"
    assert "private" not in streamed.content.decode()
    assert streamed.events[-1]["error"]["code"] == "record_unavailable"
    finished = [e for e in streamed.events if e.get("choices", [{}])[0].get("finish_reason")]
    assert not finished


class Mistaken(Unlabelled):
    """A stage with a defect that would tell a secret."""

    async def understand(self, request: Request, port: Port) -> Labels:
        raise ZeroDivisionError("sk-verysecret")


@pytest.mark.parametrize("stream", [False, True])
def test_our_own_mistake_is_logged_and_not_told(
    stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of({"small": Script()}, classifier=Mistaken())
    with caplog.at_level(logging.ERROR), served(client) as house:
        reply = house.ask({"model": "emafusion", "messages": ASK, "stream": stream})
        assert house.get("/healthz").status == 200
    assert reply.status == 500
    assert reply.error["code"] == "internal_error"
    assert "sk-verysecret" not in reply.content.decode()
    assert "ZeroDivisionError" in caplog.text
