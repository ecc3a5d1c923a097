"""A key from its making to its end, as the vendors' own clients and a neighbour see it."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from ..parts import until
from .house import ASK, House, decision

OPENAI_TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "note", "parameters": {"type": "object"}}}
]
ANTHROPIC_TOOLS: list[Any] = [{"name": "note", "input_schema": {"type": "object"}}]
ECHO = "echo: Say this back to me."


def test_a_key_serves_openais_client(house: House) -> None:
    key = house.key("ada")
    with openai.OpenAI(base_url=f"{house.url}/v1", api_key=key, max_retries=0) as client:
        chat = client.chat.completions
        assert chat.create(model="small", messages=ASK).choices[0].message.content == ECHO
        pieces = list(chat.create(model="small", messages=ASK, stream=True, temperature=1.0))
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        assert text == ECHO
        called = chat.create(model="small", messages=ASK, tools=OPENAI_TOOLS).choices[0].message
        assert called.tool_calls is not None
        assert called.tool_calls[0].id == "call_1"
        assert client.responses.create(model="small", input="Hello").output_text == "echo: Hello"
        assert {one.id for one in client.models.list()} >= {"emafusion", "small", "large"}


def test_a_key_serves_anthropics_client(house: House) -> None:
    key = house.key("bea")
    with anthropic.Anthropic(base_url=house.url, api_key=key, max_retries=0) as client:
        told: Any = {"model": "small", "max_tokens": 50, "messages": ASK}
        [block] = client.messages.create(**told).content
        assert block.type == "text"
        assert block.text == ECHO
        with client.messages.stream(**told) as stream:
            assert "".join(stream.text_stream) == ECHO
        [block] = client.messages.create(**told, tools=ANTHROPIC_TOOLS).content
        assert block.type == "tool_use"
        assert block.name == "note"


def test_without_a_key_nothing_is_said_but_health(house: House) -> None:
    for wrong in ("", "emf_nonsense", "x" * 5000):
        assert house.ask(wrong).status == 401
        assert house.get("/metrics", wrong).status == 401
        assert house.get("/v1/models", wrong).status == 401
    assert house.get("/healthz").status == 200
    assert house.get("/readyz").json["checks"]["accounts"] == "ok"


def test_a_key_does_what_its_scopes_say(house: House, watcher: str) -> None:
    key = house.key("chatty", "--scopes chat")
    answer = house.ask(key, "small")
    assert answer.status == 200
    assert house.get(f"/v1/decisions/{decision(answer)}", key).status == 403
    assert house.get("/metrics", key).status == 403
    assert house.get("/v1/models", key).status == 403
    assert house.get("/metrics", watcher).status == 200
    assert house.ask(watcher, "small").status == 403


def test_a_key_keeps_to_its_models(house: House) -> None:
    key = house.key("narrow", "--models small")
    listed = house.get("/v1/models", key).json["data"]
    assert [one["id"] for one in listed] == ["emafusion", "small"]
    assert house.ask(key, prefer=1.0).json["model"] == "small"
    assert house.ask(key, "large").error["type"] == "permission_error"
    knobs = {"models": ["large"]}
    assert house.ask(key, knobs=knobs).status == 403
    assert house.ask(key, stream=True, knobs=knobs).status == 403


def test_the_settings_pool_holds_for_a_key_that_could_have_more(house: House) -> None:
    """A key allows; which of the allowed models answer unasked, the settings' policy says."""
    key = house.key("wide", "--models small,south,north")
    considered = house.outcome(house.ask(key)).forecast.estimates
    assert [one.model for one in considered] == ["small"]
    assert house.ask(key, "south").json["model"] == "south"
    only = house.key("elsewhere", "--models south")
    assert house.ask(only).json["model"] == "south"


def test_a_key_has_a_dial_and_a_floor(house: House) -> None:
    frugal = house.key("frugal", "--prefer 0")
    floored = house.key("floored", "--prefer 0 --min-quality 0.99")
    knobs = {"models": ["weak", "strong"]}
    assert house.ask(frugal, knobs=knobs).json["model"] == "weak"
    assert house.ask(frugal, knobs={**knobs, "prefer": 1.0}).json["model"] == "strong"
    asked_less = {**knobs, "prefer": 0.0, "min_quality": 0.1}
    assert house.ask(floored, knobs=asked_less).json["model"] == "strong"


def test_a_decision_is_its_tenants_alone(house: House) -> None:
    house.cli("teams create blue")
    one, mate = house.key("one", "--team blue"), house.key("mate", "--team blue")
    other = house.key("other")
    told = decision(house.ask(one, "small"))
    for path in (f"/v1/decisions/{told}", f"/v1/decisions/{told}/"):
        assert house.get(path, other).status == 404
    assert house.get(f"/v1/decisions/{told}", mate).status == 200
    opinion = {"decision_id": told, "score": 0.0}
    assert house.send("/v1/feedback", other, opinion).status == 404
    assert house.send("/v1/feedback", one, opinion).status == 200
    response = house.send("/v1/responses", one, {"model": "small", "input": "Hello"}).json["id"]
    assert house.get(f"/v1/responses/{response}", other).status == 404
    assert house.get(f"/v1/responses/{response}", mate).status == 200


def test_a_rotated_keys_old_secret_ends_and_a_revoked_keys_at_once(house: House) -> None:
    old = house.key("turning")
    assert house.ask(old, "small").status == 200
    new = str(house.cli("keys rotate turning --grace 600s --json")["token"])
    assert house.ask(new, "small").status == 200
    assert house.ask(old, "small").status == 200
    house.cli("keys revoke turning")
    # Within a second where the machine is idle; the grace goes on for minutes.
    until(lambda: house.ask(new, "small").status == 401, within_s=20.0)
    assert house.ask(old, "small").status == 401


@pytest.mark.parametrize("path", ["/metrics", "/v1/models", "/v1/decisions/dec_x"])
@pytest.mark.parametrize("spelling", ["{}/", "/.{}", "{}?key=x", "//{}", "{}%00", "/v1/..{}"])
def test_no_spelling_of_a_path_needs_no_key(house: House, path: str, spelling: str) -> None:
    assert house.get(spelling.format(path)).status == 401
