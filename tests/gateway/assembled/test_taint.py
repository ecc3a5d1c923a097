"""What is sensitive reaches no public model and no file, whichever way a request comes in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from ..parts import Reply, until
from .house import House, decision
from .taint import (
    CARD,
    EMAIL,
    RESTRICTED,
    SECRETS,
    TEXT,
    WORD,
    Place,
    placed,
    said,
    settings,
    streamed,
    tapped,
)
from .tap import PLACEHOLDER, Tap


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Two workers."""
    with tapped() as taps:
        told = settings(*taps)
        with placed(tmp_path_factory.mktemp("taint"), told, taps) as found:
            yield found
        if any(one.placeholders for one in found.public.asked("draft")):
            traces = b"\n".join(found.private.traces)
            for kept in (traces, (found.house.folder / "record.db").read_bytes()):
                assert PLACEHOLDER.search(kept.decode("latin-1")) is not None
            assert b"gen_ai.input.messages" in traces


@pytest.fixture(scope="module")
def house(place: Place) -> House:
    return place.house


@pytest.fixture(scope="module")
def key(place: Place) -> str:
    return place.key


@pytest.fixture(scope="module")
def public(place: Place) -> Tap:
    return place.public


@pytest.fixture(scope="module")
def private(place: Place) -> Tap:
    return place.private


@pytest.fixture(autouse=True)
def untainted(place: Place) -> Iterator[None]:
    yield
    place.clean()


@pytest.mark.parametrize("model", ["plain", "loud", "inventive", "bytewise"])
def test_an_answer_has_what_its_question_had(house: House, key: str, model: str) -> None:
    found = said(house.ask(key, model, text=f"{model}: {TEXT}", user=EMAIL))
    for one in SECRETS.values():
        assert one in found
    assert ("[EMAIL_aaaaaaaaaa]" in found) == (model == "inventive")


@pytest.mark.parametrize("model", ["plain", "loud", "inventive", "bytewise", "dripping"])
def test_a_stream_has_what_its_question_had(house: House, key: str, model: str) -> None:
    found = streamed(house.ask(key, model, text=f"{model} stream: {TEXT}", stream=True))
    for one in SECRETS.values():
        assert one in found


@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls_and_their_results(house: House, key: str, stream: bool) -> None:
    tools = [{"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}]
    reply = house.ask(key, "plain", text=f"Pay: {TEXT}", tools=tools, stream=stream)
    assert reply.status == 200, reply.content
    if stream:
        deltas = [one["choices"][0]["delta"] for one in reply.events[:-1] if one["choices"]]
        calls = [call for one in deltas for call in one.get("tool_calls") or ()]
        written = "".join(call["function"].get("arguments", "") for call in calls)
    else:
        calls = reply.json["choices"][0]["message"]["tool_calls"]
        written = calls[0]["function"]["arguments"]
    assert json.loads(written)["text"] == f"echo: Pay: {TEXT}"
    messages = [
        {"role": "user", "content": f"Pay: {TEXT}"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": written}}
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": f"paid {TEXT}"},
    ]  # fmt: skip
    assert said(house.ask(key, "plain", messages=messages)) == f"echo: paid {TEXT}"


def test_answers_in_json_are_json(house: House, key: str) -> None:
    asked = json.dumps({"to": EMAIL, "card": CARD})
    form: Any = {"type": "json_object"}
    found = said(house.ask(key, "plain", text=asked, response_format=form))
    assert json.loads(found.removeprefix("echo: ")) == json.loads(asked)


def test_answers_that_are_given_again(house: House, key: str, public: Tap) -> None:
    text = f"What is the capital of Peru, asks {EMAIL}?"
    first = said(house.ask(key, "plain", text=text))
    until(lambda: house.ask(key, "plain", text=text).headers["x-emafusion-cache"] == "hit")
    heard = len(public.heard)
    again = house.ask(key, "plain", text=text, stream=True)
    if again.headers["x-emafusion-cache"] == "hit":
        assert len(public.heard) == heard
    assert streamed(again) == first == f"echo: {text}"


@pytest.mark.parametrize("stream", [False, True])
def test_responses_and_those_that_go_on(house: House, key: str, public: Tap, stream: bool) -> None:
    asked: dict[str, Any]
    asked = {"model": "plain", "input": TEXT, "instructions": f"You serve {EMAIL}."}
    asked |= {"metadata": {"who": EMAIL}, "user": EMAIL, "stream": stream}
    reply = house.send("/v1/responses", key, asked)
    assert reply.status == 200, reply.content
    body = _ended(reply) if stream else reply.json
    assert body["output"][0]["content"][0]["text"] == f"echo: {TEXT}"
    assert body["instructions"] == asked["instructions"]
    assert body["metadata"] == {"who": EMAIL}
    kept = house.get(f"/v1/responses/{body['id']}", key)
    assert kept.status == 200
    assert list(house.folder.rglob("conversations.sqlite3")) != []
    assert all(one not in kept.content.decode() for one in SECRETS.values())
    further = {"model": "plain", "input": f"And {EMAIL}, {stream}?"}
    reply = house.send("/v1/responses", key, {**further, "previous_response_id": body["id"]})
    assert reply.json["output"][0]["content"][0]["text"] == f"echo: And {EMAIL}, {stream}?"
    body = public.calls[-1].body
    assert body.count("[EMAIL_") > 2
    assert "[TEXT_" not in body


def _ended(reply: Reply) -> Any:
    lines = [one for one in reply.content.decode().split("\n") if one.startswith("data: ")]
    events = [json.loads(one.removeprefix("data: ")) for one in lines]
    pieces = [one["delta"] for one in events if one["type"] == "response.output_text.delta"]
    assert "".join(pieces) == f"echo: {TEXT}"
    return events[-1]["response"]


@pytest.mark.parametrize("stream", [False, True])
def test_messages(house: House, key: str, stream: bool) -> None:
    asked: dict[str, Any] = {"model": "plain", "max_tokens": 400, "stream": stream, "system": TEXT}
    asked |= {"messages": [{"role": "user", "content": TEXT}]}
    reply = house.send("/v1/messages", key, asked)
    assert reply.status == 200, reply.content
    if not stream:
        assert reply.json["content"][0]["text"] == f"echo: {TEXT}"
        return
    lines = [one for one in reply.content.decode().split("\n") if one.startswith("data: ")]
    events = [json.loads(one.removeprefix("data: ")) for one in lines]
    pieces = [one["delta"]["text"] for one in events if one["type"] == "content_block_delta"]
    assert "".join(pieces) == f"echo: {TEXT}"


def test_embeddings(house: House, key: str, public: Tap, private: Tap) -> None:
    asked = {"model": "vectors", "input": [TEXT, "other"], "user": EMAIL}
    assert house.send("/v1/embeddings", key, asked).status == 200
    heard = len(public.heard)
    refused = house.send("/v1/embeddings", key, {**asked, "input": WORD}, **RESTRICTED)
    numbers = house.send("/v1/embeddings", key, {"model": "vectors", "input": [[1, 2], [3]]})
    assert [refused.status, numbers.status] == [400, 400]
    assert len(public.heard) == heard
    ours = {"model": "our-vectors", "input": WORD}
    assert house.send("/v1/embeddings", key, ours, **RESTRICTED).status == 200
    assert private.has(WORD) == [WORD]


def test_feedback(house: House, key: str) -> None:
    name = decision(house.ask(key, "plain", text="What is the capital of Chile?"))
    opinion = {"decision_id": name, "score": 1, "user": EMAIL, "comment": TEXT}
    assert house.send("/v1/feedback", key, opinion).status == 200


def test_what_is_restricted_is_refused_by_name_and_kept_nowhere(
    house: House, key: str, public: Tap
) -> None:
    heard = len(public.heard)
    for path, asked in (
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": WORD}]}),
        ("/v1/responses", {"input": WORD}),
        ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": WORD}]}),
    ):
        reply = house.send(path, key, {"model": "plain", **asked}, **RESTRICTED)
        assert reply.status == 400
        assert "private" in reply.content.decode()
        assert WORD not in reply.content.decode()
    ours = {"model": "ours", "input": f"Say {WORD}"}
    reply = house.send("/v1/responses", key, ours, **RESTRICTED)
    assert WORD in reply.json["output"][0]["content"][0]["text"]
    assert house.get(f"/v1/responses/{reply.json['id']}", key).status == 404
    found = house.outcome(reply)
    assert found.protection is not None
    assert found.protection.data_class == "restricted"
    assert (found.prompt, found.text) == ("", "")
    assert len(public.heard) == heard


def test_a_keys_class_and_a_headers(house: House, public: Tap) -> None:
    closed = house.key("closed", "--class restricted")
    heard = len(public.heard)
    for headers in ({}, {"x_emafusion_class": "public"}):
        assert house.ask(closed, "plain", text=WORD, headers=headers).status == 400
        reply = house.ask(closed, text=f"What is the capital of {WORD}?", headers=headers)
        assert reply.headers["x-emafusion-model"] == "ours"
    assert len(public.heard) == heard
    unknown = house.ask(closed, "ours", text="Hi", headers={"x_emafusion_class": "secret"})
    assert unknown.status == 400
    assert "x-emafusion-class" in unknown.content.decode()


def test_what_was_found_is_told_without_values(house: House, key: str) -> None:
    reply = house.ask(key, "plain", text=f"Once more: {TEXT}")
    told = house.get(f"/v1/decisions/{decision(reply)}", key)
    assert told.json["protection"]["masked"]["EMAIL"] >= 1
    assert "protection  internal · masked " in told.json["explanation"]
    assert all(one not in told.content.decode() for one in SECRETS.values())


@pytest.mark.parametrize("stream", [False, True])
def test_the_official_openai_client(place: Place, stream: bool) -> None:
    link = {"base_url": f"{place.house.url}/v1", "api_key": place.key, "max_retries": 0}
    headers = {"x-emafusion-session": EMAIL, "x-request-id": EMAIL}
    before = len(place.public.calls)
    with openai.OpenAI(**link, default_headers=headers) as client:  # type: ignore[arg-type]
        if stream:
            asked: Any = {"model": "bytewise", "messages": [{"role": "user", "content": TEXT}]}
            with client.chat.completions.stream(**asked) as chunks:
                found = chunks.get_final_completion().choices[0].message.content
            with client.responses.stream(model="dripping", input=TEXT, store=False) as events:
                written = events.get_final_response().output_text
        else:
            asked = {"model": "loud", "messages": [{"role": "user", "content": TEXT}]}
            found = client.chat.completions.create(**asked).choices[0].message.content
            written = client.responses.create(model="plain", input=TEXT, user=EMAIL).output_text
    assert found == written == f"echo: {TEXT}"
    _both_masked(place, before)


@pytest.mark.parametrize("stream", [False, True])
def test_the_official_anthropic_client(place: Place, stream: bool) -> None:
    link = {"base_url": place.house.url, "api_key": place.key, "max_retries": 0}
    source = {"type": "text", "media_type": "text/plain", "data": TEXT}
    tool: Any = {"name": "pay", "description": f"Pays {EMAIL}", "input_schema": {"type": "object"}}
    used = {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {"id": EMAIL, "n": CARD}}
    ended = {"type": "tool_result", "tool_use_id": "toolu_1", "content": f"paid {EMAIL}"}
    turns: Any = [
        {"role": "user", "content": f"{stream}: Pay {EMAIL}"},
        {"role": "assistant", "content": [used]},
        {"role": "user", "content": [ended, {"type": "text", "text": TEXT}]},
    ]
    pages = [{"type": "document", "source": source}, {"type": "text", "text": f"Read {stream}."}]
    read: Any = [{"role": "user", "content": pages}]
    asked: Any = {"model": "plain", "max_tokens": 400, "metadata": {"user_id": EMAIL}}
    before = len(place.public.calls)
    with anthropic.Anthropic(**link) as client:  # type: ignore[arg-type]
        if stream:
            with client.messages.stream(**asked, messages=turns) as events:
                found = events.get_final_text()
            with client.messages.stream(**asked, messages=turns[:1], tools=[tool]) as events:
                block: Any = events.get_final_message().content[0]
        else:
            answer: Any = client.messages.create(**asked, messages=turns).content[0]
            found = answer.text
            block = client.messages.create(**asked, messages=turns[:1], tools=[tool]).content[0]
        assert found == f"echo: {TEXT}"
        assert block.type == "tool_use"
        assert block.input == {"text": f"echo: {stream}: Pay {EMAIL}"}
        _both_masked(place, before)
        client.messages.create(**asked, messages=read)
    assert len(place.public.calls[-1].placeholders) > 10


def _both_masked(place: Place, before: int) -> None:
    calls = place.public.calls[before:]
    assert len(calls) == 2
    assert all(len(one.placeholders) > 0 for one in calls)


def test_odd_places(place: Place) -> None:
    """Values where nobody looks for them: identifiers, names of fields, repeated names, URLs."""
    before = len(place.public.calls)
    arguments = f'{{"id": "{EMAIL}", "to": "{CARD}", "to": "you", "type": 4111111111111111}}'
    call = {"id": EMAIL, "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [
        {"role": "user", "content": f"data: {TEXT}", EMAIL: EMAIL},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": EMAIL, "content": "done"},
    ]
    form = {"type": "object", "properties": {"id": {"type": "string", "description": TEXT}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": form}}]
    asked = {"model": "plain", "messages": messages, "tools": tools, EMAIL: {"type": CARD}}
    headers = {"x_emafusion_session": EMAIL, "tracestate": f"a={EMAIL}", "user_agent": EMAIL}
    path = f"/v1/chat/completions?user={EMAIL}"
    assert place.house.send(path, place.key, asked, **headers).status == 200
    [heard] = place.public.calls[before:]
    assert len(heard.placeholders) > 20
    house, key = place.house, place.key
    assert house.ask(key, EMAIL, text="Hello").status == 404
    assert house.get(f"/v1/decisions/{EMAIL}", key).status == 404
    assert house.get(f"/v1/responses/{EMAIL}", key).status == 404
    assert house.get(f"/v1/models/{EMAIL}", key).status == 404
    opinion = {"decision_id": EMAIL, "score": 1}
    assert house.send("/v1/feedback", key, opinion).status == 404


def test_a_refusal_that_quotes_its_question(place: Place) -> None:
    reply = place.ask("refusing", text=TEXT)
    assert reply.status >= 400
    assert place.public.asked("draft", model="refusing")[-1].placeholders
    assert all(one not in reply.content.decode() for one in SECRETS.values())


def test_what_is_refused_is_kept_nowhere(place: Place) -> None:
    """Bodies that are wrong, with values in what is wrong of them: no log may quote them."""
    before = len(place.public.calls)
    messages = [{"role": "user", "content": TEXT}]
    wrong: list[dict[str, Any]] = [
        {"messages": TEXT},
        {"messages": [TEXT]},
        {"messages": [{"role": "user", "content": {"type": TEXT}}]},
        {"messages": [{"role": [TEXT], "content": TEXT}]},
        {"messages": messages, "max_tokens": TEXT},
        {"messages": messages, "stream": TEXT},
        {"messages": messages, "emafusion": {"policy": TEXT}},
        {"messages": messages, "emafusion": {"models": [TEXT]}},
        {"messages": messages, "emafusion": {TEXT: 1}},
        {"messages": messages, "emafusion": {"prefer": TEXT}},
    ]
    for body in wrong:
        reply = place.house.send("/v1/chat/completions", place.key, {"model": "plain", **body})
        assert 400 <= reply.status < 500, body
    for path in ("/v1/responses", "/v1/messages", "/v1/embeddings", "/v1/feedback"):
        assert 400 <= place.house.send(path, place.key, {"model": TEXT, "x": 1}).status < 500
    reply = place.ask("plain", text=TEXT, headers={"x_emafusion_class": EMAIL})
    assert reply.status == 400
    assert place.house.ask(EMAIL, "plain", text=TEXT).status == 401
    assert len(place.public.calls) == before
