"""The order of events for chunks of every kind, without a server."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from emafusion.gateway.body import Asked, parse
from emafusion.gateway.events import Events
from emafusion.types import (
    Answer,
    Chunk,
    Completion,
    Forecast,
    Labels,
    Outcome,
    Plan,
    Single,
    Usage,
)

from . import upstreams


def asked(**fields: Any) -> Asked:
    body = {"model": "emafusion", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return parse(msgspec.json.encode(body), ["small"])


def answer(completion: Completion) -> Answer:
    plan = Plan(arrangement=Single(model="small"), quality=0.5, cost_usd=0.0, latency_s=0.0)
    outcome = Outcome(
        decision_id="dec_1",
        created=1.0,
        prompt="Hi",
        labels=Labels(axes={}),
        forecast=Forecast(estimates=()),
        plan=plan,
        steps=(),
        verdicts=(),
        model="small",
        text=completion.text,
        confidence=0.5,
        cost_usd=0.0,
        latency_s=0.0,
    )
    return Answer(
        text=completion.text,
        model="small",
        confidence=0.5,
        cost_usd=0.0,
        latency_s=0.0,
        decision_id="dec_1",
        plan=plan,
        completion=completion,
        outcome=outcome,
    )


def told(data: bytes) -> list[Any]:
    blocks = data.decode().split("\n\n")
    assert blocks.pop() == ""
    return [json.loads(block.removeprefix("data: ")) for block in blocks if "[DONE]" not in block]


def test_a_judged_draft_brings_its_tool_calls_and_further_choices() -> None:
    completion = Completion(text="", usage=Usage(), raw=upstreams.TOOL_BODY)
    events = Events(asked())
    found = told(events.of(Chunk(text="")) + events.last(answer(completion)))
    deltas = [event["choices"][0]["delta"] for event in found]
    names = [call["function"]["name"] for call in deltas[1]["tool_calls"]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert names == ["add", "sub"]
    assert [call["index"] for call in deltas[1]["tool_calls"]] == [0, 1]
    assert found[-1]["choices"][0]["finish_reason"] == "tool_calls"

    events = Events(asked())
    completion = Completion(text="Hi", usage=Usage(), raw=upstreams.BODY)
    found = told(events.of(Chunk(text="Hi")) + events.last(answer(completion)))
    texts = {0: "", 1: ""}
    for event in found:
        for choice in event["choices"]:
            texts[choice["index"]] += choice["delta"].get("content") or ""
    assert texts == {0: "Hi", 1: "Ho"}
    logprobs = [c["logprobs"] for e in found for c in e["choices"] if "logprobs" in c]
    assert logprobs == [upstreams.BODY["choices"][0]["logprobs"]]
    finished = [c["finish_reason"] for e in found for c in e["choices"] if c["finish_reason"]]
    assert finished == ["length", "stop"]


def test_of_a_streams_options_usage_is_ours_and_the_rest_is_handed_on() -> None:
    options = {"include_usage": True, "include_obfuscation": False}
    found = asked(stream=True, stream_options=options)
    assert found.include_usage
    assert found.request.params == {"stream_options": {"include_obfuscation": False}}
    # An upstream that is not asked for a stream refuses them.
    assert asked(stream_options=options).request.params == {}


def test_half_a_surrogate_pair_does_not_break_the_stream() -> None:
    [role, content] = told(Events(asked()).of(Chunk(text="a\ud83d")))
    assert role["choices"][0]["delta"]["role"] == "assistant"
    assert content["choices"][0]["delta"]["content"] == "a\ufffd"


def test_a_part_that_is_done_is_told_in_a_comment_alone() -> None:
    events = Events(asked())
    assert events.of(Chunk(done=(2, 3))) == b": emafusion part 2 of 3 done\n\n"
    # An upstream cannot say so in our name.
    assert events.of(Chunk(raw={"emafusion": {"part": 2, "of": 3}})) == b""


def test_an_index_that_is_no_number_is_taken_for_the_first() -> None:
    odd = upstreams.chunk({"index": [], "delta": {"content": "Hi"}})
    [role, content] = told(Events(asked()).of(Chunk(text="Hi", raw=odd)))
    assert role["choices"][0]["index"] == 0
    assert content["choices"][0]["delta"] == {"content": "Hi"}


texts = st.lists(st.text(max_size=5), max_size=6)


@given(texts=texts, raw=st.booleans(), usage=st.booleans(), include=st.booleans())
def test_every_text_arrives_in_order_between_its_role_and_its_finish(
    texts: list[str], raw: bool, usage: bool, include: bool
) -> None:
    events = Events(asked(stream_options={"include_usage": include}))
    chunks = [_chunk(text, raw) for text in texts]
    finish = upstreams.chunk(upstreams.piece({}, finish_reason="length"))
    chunks.append(Chunk(finish_reason="length", raw=finish if raw else None))
    if usage:
        chunks.append(Chunk(usage=Usage(), raw={"choices": [], "usage": {"prompt_tokens": 9}}))
    text = "".join(texts)
    data = b"".join(events.of(chunk) for chunk in chunks)
    data += events.last(answer(Completion(text=text, usage=Usage(prompt_tokens=9))))
    assert data.endswith(b"data: [DONE]\n\n")
    found = told(data)
    spoken = [event for event in found if event["choices"]]
    assert spoken[0]["choices"][0]["delta"]["role"] == "assistant"
    parts = [event["choices"][0]["delta"].get("content") or "" for event in spoken]
    assert "".join(parts) == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    reasons = [event["choices"][0]["finish_reason"] for event in spoken]
    assert reasons[-1] == "length"
    assert set(reasons[:-1]) <= {None}
    assert [e["usage"]["prompt_tokens"] for e in found if e.get("usage")] == [9] * include
    assert [event for event in found if "emafusion" in event] == [found[-1]]


def _chunk(text: str, raw: bool) -> Chunk:
    own = upstreams.chunk(upstreams.piece({"content": text})) if raw else None
    return Chunk(text=text, raw=own)
