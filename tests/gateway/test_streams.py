"""Streams, event by event and as the official client reads them."""

from __future__ import annotations

from typing import Any

import pytest
from openai import APIError, AsyncOpenAI, OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState

from . import upstreams
from .parts import Script, Served, client_of, served

ASK: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]


def stream(model: str = "emafusion", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": ASK, "stream": True, **fields}


def test_the_order_is_role_content_finish_end(house: Served) -> None:
    reply = house.ask(stream(emafusion={"models": ["small"]}))
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    *events, done = reply.events
    deltas = [event["choices"][0]["delta"] for event in events]
    assert deltas == [{"role": "assistant", "content": ""}, {"content": "Paris. "}, {}]
    reasons = [event["choices"][0]["finish_reason"] for event in events]
    assert reasons == [None, None, "stop"]
    assert done == "[DONE]"
    assert {event["id"] for event in events} == {reply.headers["x-emafusion-decision"]}
    assert [event["model"] for event in events] == ["emafusion", "emafusion", "small"]
    assert "usage" not in events[-1]
    account = events[-1]["emafusion"]
    assert account["cost_usd"] == pytest.approx((11 + 14) / 1e6)
    assert house.get(f"/v1/decisions/{account['decision_id']}").json["model"] == "small"


def test_usage_comes_last_when_asked_for(house: Served) -> None:
    options = {"include_usage": True}
    *events, done = house.ask(stream("small", stream_options=options)).events
    assert done == "[DONE]"
    assert [event["usage"] for event in events[:-1]] == [None] * (len(events) - 1)
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["total_tokens"] == 18
    assert events[-1]["emafusion"]["model"] == "small"


def test_a_named_models_events_are_handed_on_whole(house: Served) -> None:
    options = {"include_usage": True}
    *events, _ = house.ask(stream("verbatim", stream_options=options)).events
    account = events[-1].pop("emafusion")
    expected = [{"usage": None, **chunk, "model": "verbatim"} for chunk in upstreams.CHUNKS]
    assert events == expected
    assert account["model"] == "verbatim"


def test_a_usage_that_was_not_asked_for_is_kept_back(house: Served) -> None:
    *events, _ = house.ask(stream("verbatim")).events
    assert [event["choices"] for event in events] == [c["choices"] for c in upstreams.CHUNKS[:-1]]
    assert not any("usage" in event for event in events)


def test_tool_calls_stream_in_pieces(openai: OpenAI) -> None:
    state = ChatCompletionStreamState()
    for chunk in openai.chat.completions.create(**stream("toolbox")):
        state.handle_chunk(chunk)
    choice = state.get_final_completion().choices[0]
    calls = choice.message.tool_calls or []
    assert [(c.function.name, c.function.arguments) for c in calls] == [
        ("add", '{"a": 1}'),
        ("sub", '{"b": 2}'),
    ]
    assert choice.finish_reason == "tool_calls"


async def test_the_asynchronous_client_streams_a_judged_draft(async_openai: AsyncOpenAI) -> None:
    knobs = {"models": ["small", "large"], "arrangement": "fusion"}
    async with async_openai as client:
        stream = await client.chat.completions.create(
            model="emafusion",
            messages=ASK,
            stream=True,
            extra_body={"emafusion": knobs},
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text in {"Paris.", "Paris, of course."}
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].model == ("small" if text == "Paris." else "large")


def test_comments_keep_a_silent_stream_alive(house: Served) -> None:
    reply = house.ask(stream("musing"))
    comments = [block for block in reply.content.split(b"\n\n") if block.startswith(b":")]
    # Half a second of silence, a heartbeat of a tenth.
    assert 2 <= len(comments) <= 5
    assert reply.content.index(b": working") < reply.content.index(b"data: ")
    assert reply.events[-1] == "[DONE]"


def test_a_failure_before_the_first_word_has_its_own_status(house: Served) -> None:
    reply = house.ask(stream("limited"))
    assert reply.status == 429
    assert reply.error["code"] == "rate_limit_exceeded"


def test_a_failure_in_mid_stream_is_the_last_event(house: Served) -> None:
    reply = house.ask(stream("breaking"))
    assert reply.status == 200
    assert reply.events[-1]["error"]["code"] == "upstream_unavailable"
    assert b"[DONE]" not in reply.content


def test_the_client_raises_what_failed_in_mid_stream(openai: OpenAI) -> None:
    chunks = []
    with pytest.raises(APIError, match="broken") as caught:
        for chunk in openai.chat.completions.create(**stream("breaking")):
            chunks.append(chunk)  # noqa: PERF402 - what came before the failure counts
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "Paris. "]
    assert caught.value.code == "upstream_unavailable"


_TOKEN = {"token": "A", "logprob": -0.5, "bytes": [65], "top_logprobs": []}
SIDE_BY_SIDE = [
    upstreams.chunk(
        upstreams.piece({"role": "assistant", "content": "A"}, logprobs={"content": [_TOKEN]})
    ),
    upstreams.chunk(
        {"index": 1, "delta": {"role": "assistant", "content": "B"}, "finish_reason": None}
    ),
    upstreams.chunk(upstreams.piece({}, finish_reason="stop")),
    upstreams.chunk({"index": 1, "delta": {"refusal": "No."}, "finish_reason": None}),
    upstreams.chunk({"index": 1, "delta": {}, "finish_reason": "stop"}),
]


@pytest.mark.parametrize("model", ["odd", "emafusion"])
def test_the_client_gathers_answers_that_stream_side_by_side(model: str) -> None:
    with (
        served(client_of({"odd": Script(chunks=SIDE_BY_SIDE)})) as house,
        OpenAI(base_url=f"{house.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        with client.chat.completions.stream(model=model, messages=ASK, n=2, logprobs=True) as found:
            events = list(found)
            final = found.get_final_completion()
        chunks = [event.chunk.model_dump() for event in events if event.type == "chunk"]
        decision = chunks[-1]["emafusion"]["decision_id"]
        recorded = house.get(f"/v1/decisions/{decision}").json
    first, second = final.choices
    assert (first.message.content, first.finish_reason) == ("A", "stop")
    assert first.logprobs is not None
    assert [token.logprob for token in first.logprobs.content or ()] == [-0.5]
    assert (second.message.content, second.message.refusal) == ("B", "No.")
    assert second.finish_reason == "stop"
    assert {"logprobs.content.delta", "refusal.done"} <= {event.type for event in events}
    # What is on record is the first of them, not both by turns.
    assert recorded["text"] == "A"


def test_the_clients_own_events_tell_parallel_calls_apart(openai: OpenAI) -> None:
    tools: list[Any] = [
        {"type": "function", "function": {"name": name, "parameters": {}, "strict": True}}
        for name in ("add", "sub")
    ]
    with openai.chat.completions.stream(model="toolbox", messages=ASK, tools=tools) as found:
        done = [event for event in found if event.type == "tool_calls.function.arguments.done"]
    assert [(event.index, event.name, event.arguments) for event in done] == [
        (0, "add", '{"a": 1}'),
        (1, "sub", '{"b": 2}'),
    ]
