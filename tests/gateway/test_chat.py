"""Whole answers, as the official client reads them."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from . import upstreams
from .parts import Served

ASK: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
CHAT: dict[str, Any] = {"model": "emafusion", "messages": ASK}


def test_the_engine_chooses_and_says_what_it_did(house: Served, openai: OpenAI) -> None:
    knobs = {"models": ["small", "large"], "arrangement": "fusion"}
    raw = openai.chat.completions.with_raw_response.create(
        model="emafusion",
        messages=ASK,
        extra_body={"emafusion": knobs},
    )
    answer = raw.parse()
    account = answer.model_dump()["emafusion"]
    assert answer.id == account["decision_id"] == raw.headers["x-emafusion-decision"]
    assert answer._request_id == answer.id
    assert answer.object == "chat.completion"
    assert answer.model in {"small", "large"}
    assert answer.model == account["model"] == raw.headers["x-emafusion-model"]
    assert answer.choices[0].message.content in {"Paris.", "Paris, of course."}
    assert answer.choices[0].finish_reason == "stop"
    assert answer.system_fingerprint is None
    assert account["models"] == ["small", "large"]
    assert account["plan"] == raw.headers["x-emafusion-plan"] == "vote(small, large)"
    # small: 11 tokens at $1 and 7 at $2 per million; large: 11 at $2 and 7 at $3.
    assert account["cost_usd"] == pytest.approx((11 + 14 + 22 + 21) / 1e6)
    assert float(raw.headers["x-emafusion-cost-usd"]) == pytest.approx(account["cost_usd"])
    assert 0 < float(raw.headers["x-emafusion-confidence"]) < 1
    assert float(raw.headers["x-emafusion-latency-ms"]) > 0
    assert answer.usage is not None
    usage = answer.usage.model_dump(exclude_none=True)
    assert usage == {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    recorded = house.get(f"/v1/decisions/{answer.id}").json
    assert recorded["cost_usd"] == account["cost_usd"]


async def test_the_asynchronous_client_works_too(async_openai: AsyncOpenAI) -> None:
    async with async_openai as client:
        answer = await client.chat.completions.create(model="small", messages=ASK)
    assert answer.choices[0].message.content == "Paris."


def test_a_named_model_speaks_for_itself(house: Served) -> None:
    body = house.ask({"model": "verbatim", "messages": ASK}).json
    account = body.pop("emafusion")
    assert body == {**upstreams.BODY, "model": "verbatim"}
    assert account["plan"] == "verbatim"
    assert account["models"] == ["verbatim"]


def test_a_chosen_answer_keeps_its_upstreams_fields_under_our_identifier(house: Served) -> None:
    body = house.ask({**CHAT, "emafusion": {"models": ["verbatim"]}}).json
    assert body["id"] == body["emafusion"]["decision_id"]
    assert body["model"] == "verbatim"
    assert "system_fingerprint" not in body
    assert body["choices"] == upstreams.BODY["choices"]
    assert body["usage"] == upstreams.BODY["usage"]
    assert body["novelty"] == {"kept": True}


def test_fields_we_do_not_read_reach_the_model_untouched(house: Served) -> None:
    fields = {
        "temperature": 0.3,
        "seed": 7,
        "stop": ["\n"],
        "max_tokens": None,
        "response_format": {"type": "json_object"},
        "metadata": {"a": [1, {"b": None}]},
        "not_yet_invented": {"x": 1.5},
    }
    messages = [{**ASK[0], "name": "ann", "novelty": [1]}]
    house.ask({"model": "small", "messages": messages, "stream": False, **fields})
    call = house.script("small").calls[-1]
    assert call.params == fields
    assert list(call.messages) == messages


def test_tool_calls_and_pictures_pass_through(openai: OpenAI) -> None:
    answer = openai.chat.completions.create(
        model="toolbox",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Add what you see"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": upstreams.CALLS},
            {"role": "tool", "tool_call_id": "call_a", "content": "1"},
        ],
        tools=[{"type": "function", "function": {"name": "add", "parameters": {}}}],
    )
    calls = answer.choices[0].message.model_dump()["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["add", "sub"]
    assert answer.choices[0].finish_reason == "tool_calls"


def test_tool_calls_of_another_wire_format_are_shaped(house: Served) -> None:
    tools = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
    body = house.ask({"model": "caller", "messages": ASK, "tools": tools}).json
    message = {"role": "assistant", "content": None, "tool_calls": upstreams.CALLS}
    assert body["choices"] == [
        {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    ]


def test_a_name_outside_latin_1_still_makes_a_header(house: Served) -> None:
    reply = house.ask({"model": "nested/näme→", "messages": ASK})
    assert reply.status == 200
    assert reply.headers["x-emafusion-model"] == "nested/näme->"
    assert reply.json["model"] == "nested/näme→"
