"""Wherever in a request a text may stand, it is read; what the protocol made stays as it is."""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.protect.placeholders import Mint
from emafusion.protect.recognisers.terms import Terms
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Protected, Shield
from emafusion.protect.structured import RECOGNISERS, Structured
from emafusion.protect.texts import ECHO
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
        (said("Hello"), {"customer": {"card": CARD, "other": -CARD}, "cards": [CARD]}),
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
        "max_tokens": CARD,
        "thinking": {"budget_tokens": CARD},
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
        ({"tools": [tool(password={"type": "string", "example": PASSWORD})]}, PASSWORD),
        ({"tools": [tool(login={"properties": {"password": {"examples": [PASSWORD]}}})]}, PASSWORD),
        ({"tools": [tool(login={"examples": [{"password": PASSWORD}]})]}, PASSWORD),
        ({"tools": [tool(mail={"enum": ["none", MAIL]})]}, MAIL),
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
                password_hash={"enum": ["sha256", "argon2id"], "default": "argon2id"},
                secret_type={"const": "kv-v2"},
                pwd_dir={"default": "/home/user1"},
                secret_ttl={"type": "integer", "default": 86400},
                password_expiry_seconds={"type": "integer", "enum": [3600, 86400, 604800]},
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


FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "password": {"type": "string", "pattern": "^[A-Za-z0-9!]{8,}$"},
        "password2": {"$ref": "#/$defs/Password2"},
        "secret_id": {"format": "uuid4"},
        "password_hash": {"enum": ["sha256", "argon2id"]},
        "birth_date": {"type": "integer", "minimum": 19000101},
    },
}


@pytest.mark.parametrize(
    "params",
    [
        {"guided_json": FORM},
        {"structured_outputs": {"json": FORM}},
        {"format": FORM},
        {"text": {"format": {"type": "json_schema", "schema": FORM}}},
        {"output_config": {"format": {"schema": FORM}}},
        {"chat_template_kwargs": {"form": FORM}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": FORM}}},
    ],
)
async def test_forms_stay_forms_in_whatever_parameter(params: dict[str, Any]) -> None:
    assert (await protected(said("Hello"), **params)).request.params == params


async def test_numbers_of_the_protocol_stay_whatever_else_is_one() -> None:
    number = 12000
    params: dict[str, Any] = {
        "max_tokens": number,
        "max_completion_tokens": number,
        "timeout": number,
        "thinking": {"type": "enabled", "budget_tokens": number},
        "reasoning": {"max_tokens": number},
        "stream_options": {"chunk": number},
        "logit_bias": {str(number): -100},
        "chat_template_kwargs": {"thinking_budget": number},
        "stop_token_ids": [number],
        "input": [number] * 40,
        "tools": [tool(password_max_age={"type": "integer", "default": number, "enum": [number]})],
    }
    result = {"role": "tool", "tool_call_id": "c1", "content": f'{{"password": {number}}}'}
    asked = (said(f"pin_code: {number}"), calling(f'{{"password": {number}}}'), result)
    found = await protected(*asked, **params)
    assert str(number) not in str(found.request.messages)
    assert found.request.params == params
    found = await protected(said(f"id {CARD}"), max_tokens=CARD, logit_bias={str(CARD): CARD})
    assert found.request.params["max_tokens"] == CARD
    assert str(CARD) not in cast(dict[str, Any], found.request.params["logit_bias"])


async def test_what_a_reply_repeats_is_masked_as_it_was_asked() -> None:
    asked = {"max_tokens": CARD, "metadata": {"phone": 20123456}, "tools": [tool(n=FORM)]}
    detector = Structured((*RECOGNISERS, Terms(["Echo"])))
    shield = Shield(Mint(b"a secret of sixteen bytes"), [detector], rules=Rules())
    request = Request(id="d", messages=(said("Hello"),), params={**asked, ECHO: asked})
    found = dict((await shield.protect(request)).request.params)
    assert found.pop(ECHO) == found
    assert MAIL not in str((await protected(said("Hello"), **{ECHO: {ECHO: MAIL}})).request.params)
    assert MAIL not in str((await protected(said("Hello"), **{ECHO: MAIL})).request.params)
    assert found["max_tokens"] == CARD
    assert "20123456" not in str(found)


@pytest.mark.parametrize(
    "properties",
    [
        {"properties": {"type": "object", "properties": {"type": {"type": "string"}}}},
        {"type": {"type": {"bad": 1}}, "of": {"type": [["string"], None]}},
        {"properties": {"type": {"type": "string"}, "properties": {"properties": 1}}},
    ],
)
async def test_no_form_of_a_tool_is_too_odd(properties: dict[str, Any]) -> None:
    form = tool(feature={"type": "object", "properties": properties}, to={"type": "string"})
    found = await protected(said('{"phone": 14155552671}'), tools=[form])
    placeholder = json.loads(str(found.request.messages[0]["content"]))["phone"]
    told = found.vault.unmask(json.dumps({"to": placeholder, "n": placeholder}), in_json=True)
    assert json.loads(told) == {"to": "14155552671", "n": 14155552671}


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
    # A parameter that is a number is the protocol's.
    params = {name: item for name, item in params.items() if not isinstance(item, (int, float))}
    found = await shield.protect(Request(id="dec_1", messages=told, params=params))
    sent = msgspec.json.encode(found.request).decode()
    assert MAIL not in sent
    assert str(CARD) not in sent
    assert f"{float(CARD):.0f}" not in sent
    assert "4.111" not in sent
