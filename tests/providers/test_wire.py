"""The OpenAI format read: whole bodies, pieces, and pieces gathered into a whole."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.providers import wire
from emafusion.providers.ending import ended
from emafusion.testing import chat
from emafusion.types import Chunk, Usage, replace
from emafusion.types.models import Bound

from .calls import call

TOOL = {"type": "function", "function": {"name": "look_up"}}


def gathered(events: list[str]) -> wire.Gathered:
    whole = wire.Gathered()
    for event in events[:-1]:
        whole.add(wire.chunk_of(json.loads(event)))
    return whole


@given(st.text(max_size=40), st.booleans(), st.booleans())
def test_a_stream_gathered_is_the_whole_answer(text: str, logprobs: bool, tools: bool) -> None:
    body: dict[str, object] = {
        "model": "echo",
        "messages": [{"role": "user", "content": text}],
        "logprobs": logprobs and not tools,
        "tools": [TOOL] if tools else [],
        "stream_options": {"include_usage": True},
    }
    whole = wire.completion_of(chat.completion(body, chat.echo), call())
    pieces = gathered(chat.events(body, chat.echo)).completion(call())
    assert pieces.text == whole.text
    assert pieces.usage == whole.usage
    assert pieces.finish_reason == whole.finish_reason
    assert pieces.logprobs == whole.logprobs
    assert pieces.tool_calls == whole.tool_calls
    assert pieces.raw is not None
    assert wire.completion_of(pieces.raw, call()).text == whole.text, "its raw is no body"


def test_tool_calls_come_in_fragments() -> None:
    fragments: list[list[dict[str, object]]] = [
        [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"x":'}}, {"index": 1, "id": "b"}],
        [{"index": 0, "id": None, "function": {"arguments": "1}"}}],
    ]
    whole = wire.Gathered()
    for fragment in fragments:
        whole.add(wire.chunk_of({"choices": [{"delta": {"tool_calls": fragment}}]}))
    assert whole.completion(call()).tool_calls == (
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "b"},
    )


def test_several_calls_under_one_index_are_told_apart_by_their_identifiers() -> None:
    fragments: list[dict[str, object]] = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}},
        # Some upstreams give every piece an identifier of its own; only a first one has the name.
        {"index": 0, "id": "z", "function": {"arguments": "}"}},
        {"index": 0, "id": "b", "function": {"name": "g", "arguments": "["}},
        {"index": 0, "id": "b", "function": {"name": "g", "arguments": "]"}},
        {"index": 1, "id": "c", "function": {"name": "f", "arguments": ""}},
    ]
    whole = wire.Gathered()
    for fragment in fragments:
        whole.add(wire.chunk_of({"choices": [{"delta": {"tool_calls": [fragment]}}]}))
    calls = whole.completion(call()).tool_calls
    assert [told["function"] for told in calls] == [
        {"name": "f", "arguments": "{}"},
        {"name": "g", "arguments": "[]"},
        {"name": "f", "arguments": ""},
    ]
    assert [told["id"] for told in calls] == ["z", "b", "c"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ([], "the body is not a JSON object"),
        ({}, "no list 'choices'"),
        ({"choices": []}, "no list 'choices'"),
        ({"choices": [1]}, r"choices\[0\] is not"),
        ({"choices": [{}]}, r"choices\[0\]\.message is not"),
        ({"choices": [{"message": {"content": 7}}]}, "'content' is neither text nor a list"),
    ],
)
def test_what_is_no_body_is_named(body: object, problem: str) -> None:
    with pytest.raises(wire.Malformed, match=problem):
        wire.completion_of(body, call())


@pytest.mark.parametrize("body", [3, {}, {"choices": {}}, {"choices": [{"delta": []}]}])
def test_what_is_no_piece_is_refused(body: object) -> None:
    with pytest.raises(wire.Malformed):
        wire.chunk_of(body)


def test_content_may_be_parts() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    body = {"choices": [{"message": {"content": parts}, "finish_reason": None}]}
    completion = wire.completion_of(body, call())
    assert (completion.text, completion.finish_reason) == ("one\ntwo", "stop")


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (None, None),
        ({"prompt_tokens": "many", "completion_tokens": 1}, None),
        ({"prompt_tokens": -1, "completion_tokens": 1}, None),
        ({"prompt_tokens": 3, "completion_tokens": 1}, Usage(prompt_tokens=3, completion_tokens=1)),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 9},
                "completion_tokens_details": {"reasoning_tokens": 1},
            },
            Usage(prompt_tokens=3, completion_tokens=2, cached_tokens=3, reasoning_tokens=1),
        ),
        # More than any answer can have: a slip that must not empty a budget.
        ({"prompt_tokens": 3, "completion_tokens": 10**12}, None),
        # The total tells of reasoning that the answer's count leaves out.
        (
            {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 105},
            Usage(prompt_tokens=3, completion_tokens=102),
        ),
        (
            {
                "prompt_tokens": 90,
                "completion_tokens": 20,
                "total_tokens": 110,
                "prompt_tokens_details": {
                    "cached_tokens": 10,
                    "cache_write_tokens": 30,
                    "cache_creation_token_details": {
                        "ephemeral_5m_input_tokens": 10,
                        "ephemeral_1h_input_tokens": 20,
                    },
                    "audio_tokens": 5,
                    "image_tokens": None,
                },
                "completion_tokens_details": {"audio_tokens": 7, "reasoning_tokens": 0},
            },
            Usage(
                prompt_tokens=90,
                completion_tokens=20,
                cached_tokens=10,
                cache_write_tokens=10,
                cache_write_1h_tokens=20,
                audio_tokens=5,
                audio_out_tokens=7,
            ),
        ),
        # Spellings of upstreams that have no details.
        (
            {
                "prompt_tokens": 90,
                "completion_tokens": 1,
                "cache_read_input_tokens": 10,
                "cache_creation_input_tokens": 20,
            },
            Usage(prompt_tokens=90, completion_tokens=1, cached_tokens=10, cache_write_tokens=20),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4},
            Usage(prompt_tokens=9, completion_tokens=1, cached_tokens=4),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 4},
            Usage(prompt_tokens=9, completion_tokens=1, cached_tokens=4),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "cached_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 3},
            },
            Usage(prompt_tokens=9, completion_tokens=1, cached_tokens=3),
        ),
    ],
)
def test_usage(usage: object, read: Usage | None) -> None:
    assert wire.usage_of({"usage": usage}) == read


def test_without_a_stream_nothing_is_gathered() -> None:
    whole = wire.Gathered()
    assert not whole.finished
    whole.add(Chunk(text="a", finish_reason="length"))
    assert whole.finished
    assert whole.completion(call()).usage.counted is False


def test_answers_that_stream_side_by_side_are_gathered_apart() -> None:
    pieces: list[tuple[int, dict[str, object], str | None]] = [
        (1, {"content": "B1", "reasoning": {"content": "so "}}, None),
        (0, {"content": "A1", "refusal": "N"}, None),
        (1, {"content": "B2", "reasoning": {"content": "then"}}, "length"),
        (0, {"content": "A2", "refusal": "o", "tool_calls": [{"index": 0, "id": "a"}]}, "stop"),
    ]
    whole, texts = wire.Gathered(), []
    for index, delta, reason in pieces:
        choice = {"index": index, "delta": delta, "finish_reason": reason}
        chunk = wire.chunk_of({"choices": [choice]})
        texts.append((chunk.text, chunk.finish_reason))
        whole.add(chunk)
    # The text of a stream is its first answer's.
    assert texts == [("", None), ("A1", None), ("", None), ("A2", "stop")]
    completion = whole.completion(call())
    assert (completion.text, completion.finish_reason) == ("A1A2", "stop")
    assert completion.tool_calls == ({"id": "a"},)
    assert completion.raw is not None
    assert completion.raw["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "A1A2",
                "refusal": "No",
                "tool_calls": [{"id": "a"}],
            },
            "finish_reason": "stop",
        },
        {
            "index": 1,
            "message": {
                "role": "assistant",
                "content": "B1B2",
                "reasoning": {"content": "so then"},
            },
            "finish_reason": "length",
        },
    ]


def test_a_streams_options_are_handed_on_beside_our_own() -> None:
    asked = call(stream_options={"include_obfuscation": False, "include_usage": False})
    body = wire.request_body(asked, stream=True)
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert "stream_options" not in wire.request_body(asked, stream=False)


@pytest.mark.parametrize(
    ("bound", "told", "sent"),
    [
        (None, {"max_tokens": 9}, {"max_tokens": 9}),
        (None, {"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
        ("max_completion_tokens", {"max_tokens": 9}, {"max_completion_tokens": 9}),
        (
            "max_completion_tokens",
            {"max_tokens": 9, "max_completion_tokens": 5},
            {"max_completion_tokens": 5},
        ),
        (
            "max_completion_tokens",
            {"max_tokens": 9, "max_completion_tokens": None},
            {"max_completion_tokens": 9},
        ),
        ("max_completion_tokens", {"max_tokens": None}, {}),
        ("max_tokens", {"max_completion_tokens": 9}, {"max_tokens": 9}),
    ],
)
def test_the_bound_is_spelt_as_the_upstream_takes_it(
    bound: Bound | None, told: dict[str, Any], sent: dict[str, object]
) -> None:
    asked = call(**told)
    asked = replace(asked, model=replace(asked.model, bound=bound))
    body = wire.request_body(asked, stream=False)
    assert {name: value for name, value in body.items() if name.startswith("max_")} == sent


@pytest.mark.parametrize(
    "said",
    [
        {"content": "word " * 80},
        {"reasoning_content": "word " * 80},
        {"reasoning": "word " * 80, "reasoning_details": [{"text": "word " * 80}]},
        {"thinking": {"deeply": ["word " * 80]}},
        {"tool_calls": [{"index": 0, "function": {"name": "", "arguments": "word " * 80}}]},
        {"function_call": {"arguments": "word " * 80}},
    ],
)
@pytest.mark.parametrize("choices", [1, 3])
def test_without_a_count_all_that_was_said_is_estimated(said: dict[str, Any], choices: int) -> None:
    pieces = wire.Gathered()
    for index in range(choices):
        for _ in range(2):
            pieces.add(wire.chunk_of({"choices": [{"index": index, "delta": said}]}))
    assert pieces.completion(call()).usage.completion_tokens == 200 * choices
    body = {"choices": [{"index": index, "message": said} for index in range(choices)]}
    assert wire.completion_of(body, call()).usage.completion_tokens == 100 * choices


async def test_a_stream_that_ends_without_a_count_is_estimated_whole() -> None:
    async def spoken() -> AsyncGenerator[Chunk]:
        for index in range(4):
            delta = {"content": "word " * 80}
            yield wire.chunk_of(
                {"choices": [{"index": index, "delta": delta, "finish_reason": "stop"}]}
            )

    pieces = wire.Gathered()
    async for chunk in ended(spoken(), call()):
        pieces.add(chunk)
    assert pieces.completion(call()).usage.completion_tokens == 400


def test_where_a_stream_stopped_is_gathered() -> None:
    gathered = wire.Gathered()
    for choice in (
        {"index": 0, "delta": {"content": "a"}, "stop_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "END"},
    ):
        gathered.add(wire.chunk_of({"choices": [choice]}))
    (choice,) = gathered.completion(call()).raw["choices"]  # type: ignore[index,misc] # a table
    assert choice["stop_reason"] == "END"
