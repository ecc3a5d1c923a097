"""Wherever in a request a text may stand, it is read; what the protocol made stays as it is."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.protect.placeholders import Mint
from emafusion.protect.recognisers.terms import Terms
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Protected, Shield
from emafusion.protect.structured import Structured
from emafusion.types import Request

MAIL, CARD = "jane.roe@harbour.example", 4111111111111111
PICTURE = "data:image/png;base64,iVBORw0KGgo="
NAMES = (
    "id", "type", "content", "text", "name", "arguments", "signature", "tool_calls", "tools",
    "tool_call_id", "encrypted_content", "input", "url", "data", "metadata", "function", MAIL,
)  # fmt: skip
LEAVES = (
    MAIL, f"to {MAIL}.", f"data: {MAIL}", f'{{"id": "{MAIL}", "id": {CARD}}}', "text", "c1", "",
    PICTURE, CARD, -CARD, float(CARD), 7, 1.5, True, None,
)  # fmt: skip
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(LEAVES),
    lambda some: st.one_of(
        st.lists(some, max_size=3), st.dictionaries(st.sampled_from(NAMES), some, max_size=4)
    ),
    max_leaves=12,
)
"""What may be in a request, at any place in it."""


async def protected(*messages: dict[str, Any], **params: Any) -> Protected:
    shield = Shield(Mint(b"a secret of sixteen bytes"), [Structured()], rules=Rules())
    return await shield.protect(Request(id="dec_1", messages=messages, params=params))


def said(text: object, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **more}


def calling(arguments: str, name: str = "c1") -> dict[str, Any]:
    call = {"id": name, "type": "function", "function": {"name": "f", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def tool(**properties: Any) -> dict[str, Any]:
    form = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": "f", "parameters": form}}


@pytest.mark.parametrize(
    ("message", "params"),
    [
        (said(f"data: write to {MAIL}"), {}),
        (said([{"type": "text", "text": f"data:text/plain,{MAIL}"}]), {}),
        (said(f"data:text/plain;base64,{MAIL}"), {}),
        (calling(json.dumps({"id": MAIL, "type": MAIL, "in": [{"role": MAIL}]})), {}),
        (calling(f'{{"to": "{MAIL}", "to": '), {}),
        (calling("{}", MAIL), {}),
        ({"role": "tool", "tool_call_id": MAIL, "content": "done"}, {}),
        ({"role": MAIL, "content": "Hello"}, {}),
        (said([{"type": "text", "text": "Hello", "signature": MAIL}]), {}),
        (said([{"type": "text", "text": "Hello", "cache_control": {"id": MAIL}}]), {}),
        (said("Hello", **{MAIL: 1}), {}),
        (said("Hello"), {MAIL: 1}),
        (said("Hello"), {"metadata": {"id": MAIL, MAIL: "type"}}),
        (said("Hello"), {"tools": [tool(id={"type": "string", "description": f"As {MAIL}"})]}),
        (said("Hello"), {"tools": [tool(type={"enum": [CARD], "default": float(CARD)})]}),
        (said("Hello"), {"customer": {"card": CARD, "other": -CARD}, "card": CARD}),
    ],
)
async def test_no_place_hides_a_value(message: dict[str, Any], params: dict[str, Any]) -> None:
    found = await protected(message, **params)
    sent = msgspec.json.encode(found.request).decode()
    assert MAIL not in sent
    assert str(CARD) not in sent
    assert sum(found.findings.masked.values()) > 0
    assert not found.findings.private


async def test_calls_and_their_results_are_still_of_one_name() -> None:
    found = await protected(
        calling("{}", MAIL), {"role": "tool", "tool_call_id": MAIL, "content": "done"}
    )
    calls: Any = found.request.messages[0]["tool_calls"]
    name = calls[0]["id"]
    assert name == found.request.messages[1]["tool_call_id"]
    assert name.replace("_", "").isalnum()


async def test_of_a_name_that_is_given_twice_the_last_value_counts() -> None:
    found = await protected(calling(f'{{"to": "{MAIL}", "to": "you", "n": 10000000000}}'))
    calls: Any = found.request.messages[0]["tool_calls"]
    sent = calls[0]["function"]["arguments"]
    assert MAIL not in sent
    assert json.loads(sent) == {"to": "you", "n": 10000000000}


async def test_what_the_protocol_made_stays() -> None:
    signature = "Ab9/+" * 20
    params: dict[str, Any] = {
        "seed": CARD,
        "user_id": 2**63,
        "temperature": float("inf"),
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        "tools": [tool(id={"type": "string", "maximum": 10**400})],
    }
    messages = (
        said([{"type": "text", "text": "Hello"}]),
        calling(' {"n": 1.5, "big": 100000000000}', "call_9mPq"),
        {"role": "tool", "tool_call_id": "call_9mPq", "content": "x", "signature": signature},
    )
    found = await protected(*messages, **params)
    assert found.request.messages == messages
    assert found.request.params == params
    assert found.findings.masked == {}


async def test_bounds_of_a_form_are_no_values() -> None:
    bounds = {"type": "integer", "minimum": CARD, "exclusiveMaximum": CARD, "maxLength": CARD}
    form = tool(phone=bounds, n={"type": "integer", "enum": [4155552671], "multipleOf": CARD})
    found = await protected(said("Hello"), tools=[form])
    assert found.request.params == {"tools": [form]}
    held = tool(phone={"type": "integer", "enum": [4155552671], "minimum": 1})
    found = await protected(said("Hello"), tools=[held], limits={"minimum": CARD})
    assert "4155552671" not in str(found.request.params)
    assert str(CARD) not in str(found.request.params)


PASSWORD, PHONE = "Tr0ub4dor9", "20123456"


@pytest.mark.parametrize(
    ("params", "secret"),
    [
        ({"tools": [tool(password={"type": "string", "default": PASSWORD})]}, PASSWORD),
        ({"tools": [tool(password={"enum": ["none", PASSWORD]})]}, PASSWORD),
        ({"tools": [tool(login={"properties": {"password": {"const": PASSWORD}}})]}, PASSWORD),
        ({"tools": [tool(login={"default": {"password": PASSWORD}})]}, PASSWORD),
        ({"tools": [tool(phone={"type": "string", "examples": [PHONE]})]}, PHONE),
        ({"tools": [tool(default={"type": "string", "default": MAIL})]}, MAIL),
        ({"metadata": {"password": PASSWORD}}, PASSWORD),
        ({"metadata": {"phone": PHONE, "ssn": "219099999"}}, "219099999"),
        ({"chat_template_kwargs": {"user": {"password": PASSWORD}}}, PASSWORD),
    ],
)
async def test_values_in_forms_and_parameters_are_read_with_their_names(
    params: dict[str, Any], secret: str
) -> None:
    found = await protected(said("Hello"), **params)
    assert secret not in json.dumps(found.request.params)


async def test_what_forms_and_parameters_mostly_say_stays() -> None:
    params: dict[str, Any] = {
        "tools": [
            tool(
                token_type={"enum": ["bearer", "mac"], "default": "bearer"},
                default={"type": "string", "title": "Default", "minLength": 10000},
                address={"properties": {"city": {"examples": ["Leeds"]}}},
            )
        ],
        "metadata": {"team": "support", "key": "value", "session": "2026-11-22"},
        "thinking": {"type": "enabled", "budget_tokens": 20000},
        "max_tokens": 200000,
        "logit_bias": {"50256": -100},
        "response_format": {"type": "json_object"},
        "web_search_options": {"user_location": {"type": "approximate", "city": "Leeds"}},
    }
    found = await protected(said("Hello"), **params)
    assert found.request.params == params


async def test_a_name_that_the_protocol_does_not_have_is_read() -> None:
    shield = Shield(
        Mint(b"a secret of sixteen bytes"),
        [Structured((Terms(["Überläufer", "Project Halcyon"]),))],
        rules=Rules(),
    )
    asked = Request(
        id="d", messages=(said("Hello", Überläufer=1),), params={"ProjectHalcyon": True}
    )
    found = await shield.protect(asked)
    assert "berl" not in str(found.request.messages)
    assert "Halcyon" not in str(found.request.params)


@pytest.mark.parametrize(
    ("message", "params"),
    [
        (said(PICTURE), {}),
        (said([{"type": "text", "text": PICTURE}]), {}),
        (calling(json.dumps({"of": PICTURE})), {}),
        (said("Hello"), {"metadata": {"of": PICTURE}}),
    ],
)
async def test_what_is_encoded_is_unread(message: dict[str, Any], params: dict[str, Any]) -> None:
    found = await protected(message, **params)
    assert found.findings.unread
    assert found.findings.private


@given(
    st.lists(st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=4), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=4),
)
async def test_whatever_the_shape(messages: list[dict[str, Any]], params: dict[str, Any]) -> None:
    shield = Shield(Mint(b"a secret of sixteen bytes"), [Structured()], rules=Rules())
    told = tuple({"role": "user", **one} for one in messages)
    found = await shield.protect(Request(id="dec_1", messages=told, params=params))
    sent = msgspec.json.encode(found.request).decode()
    assert MAIL not in sent
    assert str(CARD) not in sent
    assert f"{float(CARD):.0f}" not in sent
    assert "4.111" not in sent
