"""Anthropic's protocol, as its official client reads it and event by event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from emafusion.gateway import Settings
from emafusion.providers import marks
from emafusion.providers.bridge import BridgeProvider
from emafusion.providers.wire import THINKING, request_body
from emafusion.testing.upstream import Upstream
from emafusion.types import Model

from .parts import Reply, Script, Served, client_of, served

ASK: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
TOOLS: list[Any] = [
    {"name": "add", "description": "Adds", "input_schema": {"type": "object", "properties": {}}}
]
PATH = "/v1/messages"


@pytest.fixture(scope="module")
def claude(house: Served) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=house.url, api_key="unused", max_retries=0) as client:
        yield client


def ask(house: Served, model: str = "small", **fields: Any) -> Reply:
    body = {"model": model, "max_tokens": 100, "messages": ASK, **fields}
    return house.ask(body, path=PATH)


def sent(house: Served, model: str = "small") -> Any:
    """The last call that the gateway made of `model`."""
    return house.script(model).calls[-1]


def events(reply: Reply) -> list[tuple[str, Any]]:
    found = []
    for block in reply.content.decode().split("\n\n"):
        if block.startswith("event: "):
            name, data = block.split("\n", 1)
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_an_answer_is_a_message(house: Served, claude: anthropic.Anthropic) -> None:
    raw = claude.messages.with_raw_response.create(
        model="emafusion",
        max_tokens=100,
        messages=ASK,
        extra_body={"emafusion": {"models": ["small"]}},
    )
    answer = raw.parse()
    assert answer.type == "message"
    assert answer.role == "assistant"
    assert answer.model == "small"
    [block] = answer.content
    assert block.type == "text"
    assert block.text == "Paris."
    assert answer.stop_reason == "end_turn"
    assert answer.stop_sequence is None
    # Of 11 tokens 3 came from the cache, which this protocol counts apart.
    assert answer.usage.input_tokens == 8
    assert answer.usage.cache_read_input_tokens == 3
    assert answer.usage.output_tokens == 7
    assert answer.id == raw.headers["x-emafusion-decision"]
    assert answer._request_id == answer.id
    assert house.get(f"/v1/decisions/{answer.id}").json["model"] == "small"


PICTURE = {"type": "base64", "media_type": "image/png", "data": "AA=="}
PAPER = {"type": "base64", "media_type": "application/pdf", "data": "BB=="}
CONVERSATION: list[Any] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Look"},
            {"type": "image", "source": PICTURE},
            {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
            {"type": "document", "source": PAPER, "title": "a.pdf"},
            {"type": "document", "source": {"type": "text", "data": "Words."}},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "seal"},
            {"type": "text", "text": "I add."},
            {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}},
            {"type": "tool_use", "id": "t2", "name": "add", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "2"},
            {
                "type": "tool_result",
                "tool_use_id": "t2",
                "is_error": True,
                "content": [
                    {"type": "text", "text": "no"},
                    {"type": "image", "source": PICTURE},
                ],
            },
            {"type": "text", "text": "Go on"},
        ],
    },
]
EPHEMERAL = {"type": "ephemeral"}
MARK = {"cache_control": EPHEMERAL}
SYSTEM = [{"type": "text", "text": "Be brief.", **MARK}]


def test_a_conversation_is_translated_whole(house: Served) -> None:
    assert ask(house, messages=CONVERSATION, system=SYSTEM, tools=TOOLS).status == 200
    found = list(sent(house).messages)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    assert found == [
        {
            "role": "system",
            "content": [{"type": "text", "text": "Be brief.", **marks.carried(EPHEMERAL)}],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                image,
                {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
                {
                    "type": "file",
                    "file": {
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,BB==",
                    },
                },
                {"type": "text", "text": "<document>\nWords.\n</document>"},
            ],
        },
        {
            "role": "assistant",
            "content": "I add.",
            "reasoning": {"content": "Hm."},
            "extra_content": {"anthropic": {"signature": "seal"}},
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a":1}'},
                },
                {"id": "t2", "type": "function", "function": {"name": "add", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "2"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: no"},
        {"role": "user", "content": [image, {"type": "text", "text": "Go on"}]},
    ]


def test_what_a_cache_shall_keep_is_carried_along(house: Served) -> None:
    carried = marks.carried(EPHEMERAL)
    result = {"type": "tool_result", "tool_use_id": "c", "content": "1", **MARK}
    within = {**result, "content": [{"type": "text", "text": "2", **MARK}]}
    use = {"type": "tool_use", "id": "c", "name": "add", "input": {}, **MARK}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Hi", **MARK}]},
        {"role": "assistant", "content": [{"type": "text", "text": "I add.", **MARK}, use]},
        {"role": "user", "content": [result, within]},
    ]
    assert ask(house, messages=messages, tools=[{**TOOLS[0], **MARK}]).status == 200
    first, second, *results = sent(house).messages
    assert first["content"] == [{"type": "text", "text": "Hi", **carried}]
    assert second["content"] == [{"type": "text", "text": "I add.", **carried}]
    assert second["tool_calls"][0]["extra_content"] == carried["extra_content"]
    assert [one["content"] for one in results] == [
        [{"type": "text", "text": "1", **carried}],
        [{"type": "text", "text": "2", **carried}],
    ]
    assert sent(house).params["tools"][0]["extra_content"] == carried["extra_content"]
    # A mark on the whole body is one on its last block.
    for last in ("Hi", [{"type": "text", "text": "Hi"}]):
        asked = [*ASK, {"role": "user", "content": last}]
        assert ask(house, messages=asked, cache_control=EPHEMERAL).status == 200
        assert list(sent(house).messages) == [
            *ASK,
            {"role": "user", "content": [{"type": "text", "text": "Hi", **carried}]},
        ]
    assert ask(house, system=[{**SYSTEM[0], "cache_control": 1}]).status == 400


async def test_the_vendor_is_told_what_to_keep_and_tells_what_it_kept() -> None:
    pytest.importorskip("any_llm")
    async with Upstream() as upstream:
        claude = Model(
            name="claude",
            provider="vendor",
            upstream="caching",
            usd_per_mtok_in=1.0,
            usd_per_mtok_out=2.0,
            usd_per_mtok_cached=0.1,
            usd_per_mtok_cache_write=1.25,
            usd_per_mtok_cache_write_1h=2.0,
        )
        provider = BridgeProvider("anthropic", api_key="k", base_url=upstream.root)
        client = client_of({}, models=[claude], providers={"vendor": provider})
        with served(client, Settings(heartbeat_s=60.0)) as house:
            for stream in (False, True):
                reply = await asyncio.to_thread(ask, house, "claude", system=SYSTEM, stream=stream)
                seen = upstream.seen[-1].body
                assert seen["system"] == SYSTEM
                told = events(reply)[-2][1] if stream else reply.json
                used = told["usage"]
                assert (used["cache_read_input_tokens"], used["cache_creation_input_tokens"]) == (
                    700,
                    300,
                )
                assert used["cache_creation"] == {
                    "ephemeral_5m_input_tokens": 100,
                    "ephemeral_1h_input_tokens": 200,
                }
                assert 0 < used["input_tokens"] < 100
                paid = used["input_tokens"] + 700 * 0.1 + 100 * 1.25 + 200 * 2.0
                paid += 2.0 * used["output_tokens"]
                assert told["emafusion"]["cost_usd"] == pytest.approx(paid / 1e6)


def test_the_fields_have_their_names_in_the_chat_protocol(house: Served) -> None:
    ask(
        house,
        temperature=0.5,
        top_k=4,
        stop_sequences=["END"],
        metadata={"user_id": "ann"},
        tools=TOOLS,
        tool_choice={"type": "tool", "name": "add", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 5000},
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
        service_tier="auto",
        not_yet_invented=[1],
    )
    schema = {"name": "answer", "schema": {"type": "object"}, "strict": True}
    function = {
        "name": "add",
        "description": "Adds",
        "parameters": {"type": "object", "properties": {}},
    }
    assert sent(house).params == {
        "temperature": 0.5,
        "top_k": 4,
        "max_tokens": 100,
        "stop": ["END"],
        "user": "ann",
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "parallel_tool_calls": False,
        "reasoning_effort": "medium",
        THINKING: {"type": "enabled", "budget_tokens": 5000},
        "response_format": {"type": "json_schema", "json_schema": schema},
        "not_yet_invented": [1],
    }


@pytest.mark.parametrize(
    ("given", "told"), [("auto", "auto"), ("any", "required"), ("none", "none")]
)
def test_tools_may_be_left_alone_or_not(house: Served, given: str, told: str) -> None:
    ask(house, tools=TOOLS, tool_choice={"type": given})
    assert sent(house).params["tool_choice"] == told


@pytest.mark.parametrize("kind", ["auto", "none"])
def test_a_choice_among_no_tools_says_nothing(house: Served, kind: str) -> None:
    choice = {"type": kind, "disable_parallel_tool_use": True}
    assert ask(house, tool_choice=choice).status == 200
    assert not sent(house).params.keys() & {"tools", "tool_choice", "parallel_tool_calls"}


@pytest.mark.parametrize("kind", ["disabled", "adaptive"])
def test_thinking_that_nobody_is_told_of_is_left_to_the_model(house: Served, kind: str) -> None:
    assert ask(house, thinking={"type": kind}).status == 200
    assert not sent(house).params.keys() & {"thinking", "reasoning_effort"}
    body = request_body(sent(house), stream=False)
    assert not [name for name in body if "thinking" in name]


def test_thinking_is_nobodys_where_the_engine_chooses(house: Served) -> None:
    thinking = {"type": "enabled", "budget_tokens": 5000}
    assert ask(house, model="emafusion", thinking=thinking).status == 200
    assert not sent(house).params.keys() & {THINKING, "reasoning_effort"}


def test_tool_calls_are_blocks(claude: anthropic.Anthropic) -> None:
    answer = claude.messages.create(model="toolbox", max_tokens=9, messages=ASK, tools=TOOLS)
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert [(call.id, call.name, call.input) for call in calls] == [
        ("call_a", "add", {"a": 1}),
        ("call_b", "sub", {"b": 2}),
    ]
    assert answer.stop_reason == "tool_use"


def test_a_streams_events_come_in_order(house: Served) -> None:
    found = events(ask(house, stream=True))
    assert [name for name, _ in found] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert all(name == data["type"] for name, data in found)
    start, delta = found[0][1]["message"], found[-2][1]
    assert start["model"] == "small"
    assert start["content"] == []
    assert found[3][1]["delta"] == {"type": "text_delta", "text": "Paris. "}
    assert delta["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert delta["usage"]["output_tokens"] == 7
    assert delta["emafusion"]["model"] == "small"


def test_the_client_gathers_streamed_tool_calls(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(model="toolbox", max_tokens=9, messages=ASK, tools=TOOLS) as stream:
        final = stream.get_final_message()
    calls = [(block.id, block.input) for block in final.content if block.type == "tool_use"]
    assert calls == [("call_a", {"a": 1}), ("call_b", {"b": 2})]
    assert final.stop_reason == "tool_use"
    assert final.usage.output_tokens == 7


def test_a_judged_draft_streams_at_once(claude: anthropic.Anthropic) -> None:
    knobs = {"models": ["small", "large"], "arrangement": "fusion"}
    with claude.messages.stream(
        model="emafusion", max_tokens=9, messages=ASK, extra_body={"emafusion": knobs}
    ) as stream:
        text = "".join(stream.text_stream)
    assert text in {"Paris.", "Paris, of course."}


def test_silence_is_filled_with_comments_until_there_is_a_message(house: Served) -> None:
    reply = ask(house, "musing", stream=True)
    assert reply.content.startswith(b": working\n\n")
    assert events(reply)[0][0] == "message_start"


def test_silence_amid_a_message_is_filled_with_pings(house: Served) -> None:
    found = events(ask(house, "halting", stream=True))
    names = [name for name, _ in found]
    last = max(n for n, name in enumerate(names) if name == "content_block_delta")
    assert "ping" in names[names.index("content_block_delta") : last]
    assert found[-1][0] == "message_stop"


def test_reasoning_comes_as_thinking(house: Served, claude: anthropic.Anthropic) -> None:
    answer = claude.messages.create(model="thinker", max_tokens=9, messages=ASK)
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert answer.content[0].model_dump()["thinking"] == "Hm."
    names = [name for name, _ in events(ask(house, "thinker", stream=True))]
    assert names.count("content_block_start") == names.count("content_block_stop") == 2
    with claude.messages.stream(model="thinker", max_tokens=9, messages=ASK) as stream:
        final = stream.get_final_message()
    assert final.content[0].model_dump()["thinking"] == "Hm."
    assert final.content[0].model_dump()["signature"] == "seal"
    assert final.content[1].model_dump()["text"] == "Paris."


def test_the_client_hears_everything_in_order(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(model="voluble", max_tokens=9, messages=ASK) as stream:
        names = [event.type for event in stream if event.type.startswith(("content", "message"))]
        final = stream.get_final_message()
    blocks = [name for pieces in (2, 1, 1, 2, 1) for name in ("start", *["delta"] * pieces, "stop")]
    told = [name.removeprefix("content_block_") for name in names]
    assert told == ["message_start", *blocks, "message_delta", "message_stop"]
    assert [block.to_dict() for block in final.content[:3]] == [
        {"type": "thinking", "thinking": "Hm so.", "signature": ""},
        {"type": "text", "text": "A"},
        {"type": "text", "text": "No."},
    ]
    assert [block.type for block in final.content[3:]] == ["tool_use", "tool_use"]


def test_calls_that_come_by_turns_end_the_stream_with_an_error(house: Served) -> None:
    found = events(ask(house, "weaving", stream=True))
    assert found[-1][0] == "error"
    assert found[-1][1]["error"]["code"] == "upstream_bad_response"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "mp3"}]}]},
            "messages[0].content[0]",
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "s"}]}, "tools[0].type"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [], "tool_choice": {"type": "tool", "name": "f"}}, "tool_choice"),
        ({"thinking": {"type": "sometimes"}}, "thinking.type"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        ({"system": [{"type": "image"}]}, "system.content[0]"),
        ({"thinking": {"type": "enabled", "budget_tokens": "many"}}, "thinking.budget_tokens"),
    ],
)
def test_what_is_wrong_is_told_in_this_protocols_shape(
    house: Served, fields: dict[str, Any], param: str
) -> None:
    reply = ask(house, **fields)
    assert reply.status == 400
    assert reply.json["type"] == "error"
    assert reply.error["type"] == "invalid_request_error"
    assert reply.error["param"] == param


def test_failures_are_the_clients_own_errors(claude: anthropic.Anthropic) -> None:
    expected = {
        "limited": anthropic.RateLimitError,
        "refusing": anthropic.BadRequestError,
        "nobody": anthropic.NotFoundError,
        "down": anthropic.InternalServerError,
    }
    for model, kind in expected.items():
        with pytest.raises(kind) as caught:
            claude.messages.create(model=model, max_tokens=9, messages=ASK)
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["type"] == "error"


def test_a_failure_in_mid_stream_is_raised_by_the_client(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError, match="broken"):
        with claude.messages.stream(model="breaking", max_tokens=9, messages=ASK) as stream:
            stream.get_final_message()


def test_tokens_are_counted_without_asking_anybody(
    house: Served, claude: anthropic.Anthropic
) -> None:
    before = len(house.script("small").calls)
    short = claude.messages.count_tokens(model="small", messages=ASK).input_tokens
    long = claude.messages.count_tokens(model="small", messages=ASK, tools=TOOLS, system="x" * 99)
    assert 7 <= short < long.input_tokens
    assert len(house.script("small").calls) == before


def test_the_catalog_reads_as_anthropics(claude: anthropic.Anthropic) -> None:
    models = claude.models.list()
    assert models.data[0].id == "emafusion"
    assert models.data[0].type == "model"
    assert models.has_more is False


def scripted(**choice: Any) -> Script:
    """A model whose whole answer is `choice`."""
    whole = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, **choice}
    calls = whole["message"].get("tool_calls", ())
    return Script(text="Hi", raw={"choices": [whole]}, tool_calls=tuple(calls))


def test_the_sequence_it_stopped_at_is_named_where_the_upstream_tells() -> None:
    script = scripted(finish_reason="stop", stop_reason="END")
    with served(client_of({"small": script})) as house:
        told = ask(house, stop_sequences=["END"]).json
        assert (told["stop_reason"], told["stop_sequence"]) == ("stop_sequence", "END")
        told = ask(house, stop_sequences=["FIN"]).json
        assert (told["stop_reason"], told["stop_sequence"]) == ("end_turn", None)


def test_a_call_ends_a_turn_even_where_the_upstream_says_it_just_stopped() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{oops"}}
    message = {"role": "assistant", "content": "Hi", "tool_calls": [call]}
    with served(client_of({"small": scripted(message=message, finish_reason="stop")})) as house:
        told = ask(house).json
    assert told["stop_reason"] == "tool_use"
    # A client can only read an object here.
    assert told["content"][1]["input"] == {"arguments": "{oops"}


def test_a_refusal_is_text_and_says_so() -> None:
    message = {"role": "assistant", "content": None, "refusal": "No."}
    script = scripted(message=message, finish_reason="content_filter")
    script.text = ""
    with served(client_of({"small": script})) as house:
        told = ask(house).json
    assert told["content"] == [{"type": "text", "text": "No."}]
    assert told["stop_reason"] == "refusal"


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {"type": "document", "source": {"type": "content", "content": "Words."}},
            {"type": "text", "text": "<document>\nWords.\n</document>"},
        ),
        (
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "text", "text": "Words."}]},
            },
            {"type": "text", "text": "<document>\nWords.\n</document>"},
        ),
        (
            {"type": "document", "title": "A", "source": {"type": "text", "data": "Words."}},
            {"type": "text", "text": "<document>\nA\nWords.\n</document>"},
        ),
        (
            {
                "type": "search_result",
                "title": "A",
                "source": "https://x.test/a",
                "content": [{"type": "text", "text": "Words."}],
            },
            {
                "type": "text",
                "text": "<search_result>\nA\nhttps://x.test/a\nWords.\n</search_result>",
            },
        ),
        ({"type": "search_result", "content": 7}, None),
        ({"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}}, None),
        ({"type": "document", "source": {"type": "content", "content": 7}}, None),
        ({"type": "image", "source": {"type": "base64", "data": "AA=="}}, None),
        ({"type": "image"}, None),
        ({"type": "text"}, None),
        ({"type": "tool_result", "content": "1"}, None),
        ({"type": "tool_result", "tool_use_id": "c", "content": 7}, None),
    ],
)
def test_every_block_is_read_or_refused(
    house: Served, block: dict[str, Any], part: dict[str, Any] | None
) -> None:
    text = {"type": "text", "text": "Hi"}
    reply = ask(house, messages=[{"role": "user", "content": [text, block]}])
    if part is None:
        assert reply.status == 400
        assert "messages[0].content[1]" in reply.error["param"]
    else:
        assert sent(house).messages[0]["content"] == [text, part]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([{"type": "thinking", "thinking": "Hm."}], {"reasoning_content": "Hm.", "content": ""}),
        ([{"type": "thinking"}, {"type": "text", "text": "a"}], {"content": "a"}),
        ([{"type": "redacted_thinking", "data": "x"}], {"content": ""}),
        ([{"type": "tool_use", "id": "c"}], None),
        ([{"type": "server_tool_use", "id": "c"}], None),
    ],
)
def test_earlier_turns_are_read_or_refused(
    house: Served, blocks: list[Any], message: dict[str, Any] | None
) -> None:
    reply = ask(house, messages=[*ASK, {"role": "assistant", "content": blocks}, *ASK])
    if message is None:
        assert reply.status == 400
    else:
        assert sent(house).messages[1] == {"role": "assistant", **message}


def test_reasoning_is_for_the_model_it_came_from_alone(house: Served) -> None:
    turn = {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}]}
    knobs = {"models": ["small"]}
    ask(house, "emafusion", messages=[*ASK, turn, *ASK], emafusion=knobs)
    assert sent(house).messages[1] == {"role": "assistant", "content": ""}
