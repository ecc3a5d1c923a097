"""OpenAI's responses protocol, as its official client reads it and event by event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai as official
import pytest
from openai import OpenAI

from emafusion import gateway
from emafusion.gateway.callers import ANYONE
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.notes import FileNotes
from emafusion.gateway.responses import Memory, Noted, Responses
from emafusion.gateway.responses.shelf import Kept
from emafusion.types import replace

from .parts import Reply, Script, Served, client_of, served
from .test_bad_input import post

ASK = "What is the capital of France?"
TOOLS: list[Any] = [
    {"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": True}
]
PATH = "/v1/responses"


def ask(house: Served, model: str = "small", **fields: Any) -> Reply:
    return house.ask({"model": model, "input": ASK, **fields}, path=PATH)


def sent(house: Served, model: str = "small") -> Any:
    """The last call that the gateway made of `model`."""
    return house.script(model).calls[-1]


def events(reply: Reply) -> list[Any]:
    found = []
    for block in reply.content.decode().split("\n\n"):
        if block.startswith("event: "):
            name, data = block.split("\n", 1)
            event = json.loads(data.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            found.append(event)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def test_an_answer_is_a_response(house: Served, openai: OpenAI) -> None:
    raw = openai.responses.with_raw_response.create(
        model="emafusion",
        input=ASK,
        instructions="Be brief.",
        metadata={"a": "b"},
        extra_body={"emafusion": {"models": ["small"]}},
    )
    answer = raw.parse()
    assert answer.object == "response"
    assert answer.status == "completed"
    assert answer.model == "small"
    assert answer.output_text == "Paris."
    assert answer.error is None
    assert answer.instructions == "Be brief."
    assert answer.metadata == {"a": "b"}
    assert answer.usage is not None
    assert answer.usage.model_dump() == {
        "input_tokens": 11,
        "input_tokens_details": answer.usage.input_tokens_details.model_dump(),
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 18,
    }
    assert answer.usage.input_tokens_details.cached_tokens == 3
    decision = raw.headers["x-emafusion-decision"]
    assert answer.id == "resp_" + decision.removeprefix("dec_")
    system = {"role": "system", "content": "Be brief."}
    assert list(sent(house).messages) == [system, {"role": "user", "content": ASK}]


def test_items_are_translated_whole(house: Served) -> None:
    items = [
        {"role": "developer", "content": "Be kind."},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:x;base64,BB=="},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs",
            "summary": [],
            "content": [],
            "encrypted_content": "seal",
        },
        {"role": "assistant", "content": [{"type": "output_text", "text": "I add."}]},
        {"type": "function_call", "call_id": "t1", "name": "add", "arguments": "{}"},
        {"type": "function_call", "call_id": "t2", "name": "add", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "t1", "output": "2"},
        {
            "type": "function_call_output",
            "call_id": "t2",
            "output": [
                {"type": "input_text", "text": "3"},
                {"type": "input_image", "image_url": "https://x.test/a.png"},
            ],
        },
    ]
    assert ask(house, input=items).status == 200
    file = {"filename": "a.pdf", "file_data": "data:x;base64,BB=="}
    picture = {"url": "data:image/png;base64,AA==", "detail": "low"}
    call = {"type": "function", "function": {"name": "add", "arguments": "{}"}}
    other = {"type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    shown = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    assert list(sent(house).messages) == [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": picture},
                {"type": "file", "file": file},
            ],
        },
        {
            "role": "assistant",
            "content": "I add.",
            "reasoning": {"content": ""},
            "extra_content": {"anthropic": {"signature": "seal"}},
            "tool_calls": [{"id": "t1", **call}, {"id": "t2", **other}],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "2"},
        {"role": "tool", "tool_call_id": "t2", "content": "3"},
        {"role": "user", "content": [shown]},
    ]


def test_the_fields_have_their_names_in_the_chat_protocol(house: Served) -> None:
    schema = {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": True}
    ask(
        house,
        tools=TOOLS,
        tool_choice={"type": "function", "name": "add"},
        parallel_tool_calls=False,
        max_output_tokens=50,
        temperature=0.5,
        top_logprobs=2,
        text={"format": schema, "verbosity": "low"},
        reasoning={"effort": "low", "summary": "auto"},
        user="ann",
        metadata={"a": "b"},
        store=False,
        not_yet_invented=[1],
    )
    function = {"name": "add", "parameters": {"type": "object"}, "strict": True}
    json_schema = {"name": "s", "schema": {"type": "object"}, "strict": True}
    assert sent(house).params == {
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "parallel_tool_calls": False,
        "max_completion_tokens": 50,
        "temperature": 0.5,
        "logprobs": True,
        "top_logprobs": 2,
        "response_format": {"type": "json_schema", "json_schema": json_schema},
        "verbosity": "low",
        "reasoning_effort": "low",
        "user": "ann",
        "not_yet_invented": [1],
    }


def test_tool_calls_are_items(openai: OpenAI) -> None:
    answer = openai.responses.create(model="toolbox", input=ASK, tools=TOOLS)
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [(call.call_id, call.name, call.arguments) for call in calls] == [
        ("call_a", "add", '{"a": 1}'),
        ("call_b", "sub", '{"b": 2}'),
    ]


def test_a_streams_events_come_in_order(house: Served) -> None:
    found = events(ask(house, stream=True))
    assert [event["type"] for event in found] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert found[0]["response"]["status"] == "in_progress"
    item = found[2]["item"]["id"]
    assert {event["item_id"] for event in found[3:7]} == {item}
    assert found[2]["item"]["content"] == []
    assert found[5]["text"] == "Paris. "
    last = found[-1]["response"]
    assert last["output"][0]["id"] == item
    assert last["output"][0]["content"][0]["text"] == "Paris. "
    assert last["usage"]["total_tokens"] == 18
    assert last["emafusion"]["model"] == "small"


def test_the_client_gathers_streamed_tool_calls(openai: OpenAI) -> None:
    with openai.responses.stream(model="toolbox", input=ASK, tools=TOOLS) as stream:
        names = [event.type for event in stream]
        final = stream.get_final_response()
    calls = [item for item in final.output if item.type == "function_call"]
    assert [(call.call_id, call.arguments) for call in calls] == [
        ("call_a", '{"a": 1}'),
        ("call_b", '{"b": 2}'),
    ]
    assert names.count("response.function_call_arguments.done") == 2
    assert names.count("response.function_call_arguments.delta") == 3


def test_the_client_hears_everything_in_order(house: Served, openai: OpenAI) -> None:
    with openai.responses.stream(model="voluble", input=ASK) as stream:
        names = [event.type.removeprefix("response.") for event in stream]
        final = stream.get_final_response()
    part = ["content_part.done", "output_item.done"]
    begun = ["output_item.added", "content_part.added"]
    expected = ["created", "in_progress"]
    for kind, pieces in (("reasoning_text", 2), ("output_text", 1), ("refusal", 1)):
        expected += [*begun, *[f"{kind}.delta"] * pieces, f"{kind}.done", *part]
    call = "function_call_arguments"
    for pieces in (2, 1):
        expected += ["output_item.added", *[f"{call}.delta"] * pieces]
        expected += [f"{call}.done", "output_item.done"]
    assert names == [*expected, "completed"]
    kept = house.get(f"{PATH}/{final.id}").json["output"]
    assert [item["type"] for item in kept] == [
        "reasoning",
        *["message"] * 2,
        *["function_call"] * 2,
    ]
    told = openai.responses.retrieve(final.id).output
    assert [item.to_dict() for item in told] == kept
    assert [item["id"] for item in kept] == [item.to_dict()["id"] for item in final.output]


def test_reasoning_is_an_item(house: Served) -> None:
    whole = ask(house, "thinker").json["output"]
    assert [item["type"] for item in whole] == ["reasoning", "message"]
    assert whole[0]["content"] == [{"type": "reasoning_text", "text": "Hm."}]
    assert whole[0]["encrypted_content"] == "seal"
    streamed = events(ask(house, "thinker", stream=True))
    assert streamed[-1]["response"]["output"] == [
        {**item, "id": other["id"]}
        for item, other in zip(whole, streamed[-1]["response"]["output"], strict=True)
    ]
    names = [event["type"] for event in streamed]
    assert names.index("response.reasoning_text.done") < names.index("response.output_text.delta")


def test_a_cut_answer_is_incomplete(house: Served) -> None:
    body = ask(house, "verbatim", include=["message.output_text.logprobs"]).json
    assert body["status"] == "incomplete"
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    assert body["output"][0]["content"][0]["logprobs"][0]["logprob"] == -0.25
    assert events(ask(house, "verbatim", stream=True))[-1]["type"] == "response.incomplete"


def test_a_conversation_goes_on_from_a_kept_response(house: Served, openai: OpenAI) -> None:
    first = openai.responses.create(model="small", input="First.", instructions="Be brief.")
    second = openai.responses.create(
        model="small", input="Second.", previous_response_id=first.id, stream=True
    )
    [done] = [event for event in second if event.type == "response.completed"]
    assert done.response.previous_response_id == first.id
    third = openai.responses.create(
        model="small", input="Third.", previous_response_id=done.response.id
    )
    assert third.output_text == "Paris."
    assert [message["content"] for message in sent(house).messages] == [
        "First.",
        "Paris.",
        "Second.",
        "Paris. ",
        "Third.",
    ]
    again = openai.responses.retrieve(done.response.id)
    assert again.output_text == "Paris. "
    openai.responses.delete(done.response.id)
    for call in (openai.responses.retrieve, openai.responses.delete):
        with pytest.raises(official.NotFoundError):
            call(done.response.id)


def test_what_may_not_be_kept_is_not(house: Served) -> None:
    answer = ask(house, store=False).json
    assert answer["store"] is False
    assert house.get(f"{PATH}/{answer['id']}").status == 404
    reply = ask(house, previous_response_id=answer["id"])
    assert reply.status == 400
    assert reply.error["param"] == "previous_response_id"


TEXT: dict[str, str] = {"type": "output_text", "text": "a"}
IMAGE: dict[str, str] = {"type": "input_image", "image_url": "https://x.test/a.png"}
FILE: dict[str, str] = {"type": "input_file", "file_data": "data:x;base64,BB=="}


@pytest.mark.parametrize("choice", ["auto", "none", None])
def test_a_choice_among_no_tools_says_nothing(house: Served, choice: str | None) -> None:
    assert ask(house, tool_choice=choice).status == 200
    assert not sent(house).params.keys() & {"tools", "tool_choice"}


def test_texts_stay_apart_as_they_were_sent(house: Served) -> None:
    texts = [{"type": "input_text", "text": "foo"}, {"type": "input_text", "text": "bar"}]
    said = [TEXT, {"type": "refusal", "refusal": "b"}]
    items = [{"role": "user", "content": texts}, {"role": "assistant", "content": said}]
    assert ask(house, input=[*items, {"role": "user", "content": texts[:1]}]).status == 200
    assert list(sent(house).messages) == [
        {"role": "user", "content": [{"type": "text", "text": text} for text in ("foo", "bar")]},
        {"role": "assistant", "content": "ab"},
        {"role": "user", "content": "foo"},
    ]


def test_a_kept_response_is_not_streamed(house: Served) -> None:
    path = f"{PATH}/{ask(house).json['id']}"
    assert house.get(f"{path}?stream=false").status == 200
    reply = house.get(f"{path}?stream=true")
    assert (reply.status, reply.error["param"]) == (400, "stream")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [{"type": "web_search_call"}]}, "input[0]"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "video"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "function_call", "name": "x"}]}, "input[0].arguments"),
        ({"input": [{"role": "user", "content": 7}]}, "input[0]"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "x"}]}]},
            "input[0].content[0]",
        ),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0]"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": TOOLS, "tool_choice": {"type": "mcp"}}, "tool_choice"),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [], "tool_choice": {"type": "function", "name": "f"}}, "tool_choice"),
        (
            {"input": [{"role": "assistant", "content": [TEXT, IMAGE]}]},
            "input[0].content[1]",
        ),
        (
            {"input": [{"role": "assistant", "content": [FILE]}]},
            "input[0].content[0]",
        ),
        ({"text": {"format": {"type": "grammar"}}}, "text.format"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"model": None}, "model"),
    ],
)
def test_what_is_wrong_is_named(house: Served, fields: dict[str, Any], param: str) -> None:
    reply = ask(house, **fields)
    assert reply.status == 400
    assert reply.error["param"] == param


def test_a_refusal_is_a_part_of_its_own() -> None:
    delta = {"role": "assistant", "refusal": "No."}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks = [{"choices": [{"index": 0, "delta": delta}]}, {"choices": [end]}]
    with served(client_of({"small": Script(text="", chunks=chunks)})) as house:
        found = events(ask(house, stream=True))
    assert found[4]["type"] == "response.refusal.delta"
    part = {"type": "refusal", "refusal": "No."}
    assert found[-1]["response"]["output"][0]["content"] == [part]


async def test_a_streams_options_are_handed_on() -> None:
    body = {"model": "small", "input": ASK, "stream": True}
    options = {"include_obfuscation": False}
    data = json.dumps({**body, "stream_options": options}).encode()
    asked = await Responses(Memory()).parse(data, ["small"], ANYONE)
    assert asked.request.params == {"stream_options": options}


def test_log_probabilities_stream(house: Served) -> None:
    fields: dict[str, Any] = {"include": ["message.output_text.logprobs"], "stream": True}
    found = events(ask(house, "verbatim", **fields))
    [token] = next(e for e in found if e["type"] == "response.output_text.delta")["logprobs"]
    assert token["logprob"] == -0.25
    done = next(e for e in found if e["type"] == "response.output_text.done")
    assert done["logprobs"] == [token]
    assert found[-1]["response"]["output"][0]["content"][0]["logprobs"] == [token]
    # What a stream ends with is what is kept of it.
    name = found[-1]["response"]["id"]
    kept = house.get(f"{PATH}/{name}").json["output"]
    assert kept[0]["content"] == found[-1]["response"]["output"][0]["content"]


def test_a_streamed_answer_is_kept_with_its_reasoning(house: Served) -> None:
    found = events(ask(house, "thinker", stream=True))
    last = found[-1]["response"]
    assert [item["type"] for item in last["output"]] == ["reasoning", "message"]
    assert house.get(f"{PATH}/{last['id']}").json["output"] == last["output"]
    ask(house, "thinker", previous_response_id=last["id"])
    assert sent(house, "thinker").messages[1]["reasoning"] == {"content": "Hm."}


def test_other_parts_are_handed_on(house: Served) -> None:
    file = {"type": "input_file", "file_id": "file_1"}
    parts = [file, {"type": "input_text", "text": "?"}]
    refused = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    ask(
        house,
        input=[refused, {"role": "user", "content": parts}],
        text={"format": {"type": "text"}},
    )
    first, second = sent(house).messages
    assert first == {"role": "assistant", "content": "No."}
    assert second["content"][0] == {"type": "file", "file": {"file_id": "file_1"}}
    ask(house, tools=TOOLS, tool_choice="required", text={"format": {"type": "json_object"}})
    assert sent(house).params["tool_choice"] == "required"
    assert sent(house).params["response_format"] == {"type": "json_object"}


def test_a_failure_in_mid_stream_is_told(house: Served) -> None:
    *_, failed = events(ask(house, "breaking", stream=True))
    assert failed["type"] == "response.failed"
    assert failed["response"]["error"]["code"] == "upstream_unavailable"


def kept(name: str, tenant: str = "team:a", size: int = 10) -> Kept:
    return Kept(tenant=tenant, id=name, turns=(), body={}, size=size)


@pytest.fixture(params=["memory", "shared"])
async def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    if request.param == "memory":
        yield Memory()
        return
    notes = FileNotes(tmp_path / "kept" / "notes")
    yield Noted(notes)
    await notes.aclose()


async def test_a_shelf_keeps_tenants_apart(shelf: Any) -> None:
    turn = {"role": "user", "content": "a\ud83d\x00b", "n": 10**30}
    await shelf.put(replace(kept("one"), turns=(turn,), body={"id": "one", "output": [turn]}))
    found = await shelf.get("team:a", "one")
    assert found is not None
    assert found.turns[0]["n"] == 10**30
    assert found.body["id"] == "one"
    assert await shelf.get("team:b", "one") is None
    assert await shelf.get("team:a", "two") is None
    assert not await shelf.delete("team:b", "one")
    await shelf.put(kept("one", size=11))
    again = await shelf.get("team:a", "one")
    assert again is not None
    assert again.size == 11
    assert await shelf.delete("team:a", "one")
    assert not await shelf.delete("team:a", "one")
    assert await shelf.get("team:a", "one") is None


async def test_a_shelf_forgets_what_is_old(shelf: Any) -> None:
    shelf.max_age_s = -1.0
    await shelf.put(kept("one"))
    assert await shelf.get("team:a", "one") is None


async def test_memory_is_bounded() -> None:
    shelf = Memory(max_bytes=25)
    for name in ("one", "two", "three"):
        await shelf.put(kept(name))
    assert await shelf.get("team:a", "one") is None
    assert await shelf.get("team:a", "three") is not None
    await shelf.put(kept("huge", size=26))
    assert await shelf.get("team:a", "huge") is None
    assert await shelf.get("team:a", "two") is not None
    await shelf.put(kept("three", size=25))
    assert await shelf.get("team:a", "two") is None
    assert await shelf.get("team:a", "three") is not None


async def test_who_has_most_in_memory_makes_room_for_others() -> None:
    shelf = Memory(max_bytes=50)
    await shelf.put(kept("one", "team:little"))
    for number in range(9):
        await shelf.put(kept(str(number)))
    assert await shelf.get("team:little", "one") is not None
    held = [number for number in range(9) if await shelf.get("team:a", str(number)) is not None]
    assert held == [5, 6, 7, 8]


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Noted(FileNotes(tmp_path))  # a folder is no file
    client = client_of({"small": Script()})
    app = gateway.app(client, shelf=shelf)
    body = json.dumps({"model": "small", "input": ASK}).encode()
    status, answer = asyncio.run(post(app, body, path=PATH))
    assert status == 200
    assert answer["status"] == "completed"
    assert "was not kept" in caplog.text
    status, _ = asyncio.run(post(app, b"", path=f"{PATH}/{answer['id']}", method="GET"))
    assert status == 503


def test_another_worker_goes_on_from_a_response(tmp_path: Path) -> None:
    exchanges = [
        Exchange(client_of({"small": Script()}), notes=FileNotes(tmp_path / "notes"))
        for _ in range(2)
    ]
    with served(exchanges[0]) as one, served(exchanges[1]) as other:
        first = ask(one, stream=True)
        name = events(first)[-1]["response"]["id"]
        assert ask(other, previous_response_id=name).status == 200
        assert [turn["role"] for turn in sent(other).messages] == ["user", "assistant", "user"]
        assert other.ask(b"", method="DELETE", path=f"{PATH}/{name}").status == 200
        # What was forgotten there is not to be had here.
        assert one.get(f"{PATH}/{name}").status == 404
        assert ask(one, previous_response_id=name).status == 400
