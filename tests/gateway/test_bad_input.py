"""What is wrong with a request is named, with what to do instead; nothing is a server error."""

from __future__ import annotations

import asyncio
import functools
import json
import random
import re
import socket
from typing import Any

import openai as official
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion import gateway
from emafusion.types import replace

from .mutations import BODIES, Lying, application, statuses
from .parts import Script, Served, catalog, client_of

ASK: list[Any] = [{"role": "user", "content": "Hi"}]
CHAT: dict[str, Any] = {"model": "small", "messages": ASK}


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b"{", None, "not JSON"),
        (b'{"model": "small", "messages": "\xff"}', None, "UTF-8|not JSON"),
        (b"[]", None, "JSON object"),
        (b"[" * 200_000, None, "nested|not JSON"),
        ({"messages": ASK}, "model", "required field `model`"),
        ({"model": 7, "messages": ASK}, "model", "model: .*`str`"),
        ({"model": "small"}, "messages", "required field `messages`"),
        ({**CHAT, "messages": []}, "messages", "empty"),
        ({**CHAT, "messages": "Hi"}, "messages", "messages: .*`array`"),
        ({**CHAT, "messages": [7]}, "messages[0]", "`object`"),
        ({**CHAT, "messages": [{"content": "Hi"}]}, "messages", "role"),
        ({**CHAT, "messages": [{"role": "user"}]}, "messages", "no content"),
        ({**CHAT, "messages": [{"role": "user", "content": 7}]}, "messages", "string or a list"),
        ({**CHAT, "messages": [{"role": "user", "content": " "}]}, "messages", "empty"),
        ({**CHAT, "temperature": "hot"}, "temperature", "temperature: .*`float"),
        ({**CHAT, "max_tokens": "9"}, "max_tokens", "`int"),
        ({**CHAT, "max_completion_tokens": 0}, "max_completion_tokens", ">= 1"),
        ({**CHAT, "n": 0}, "n", ">= 1"),
        ({**CHAT, "stream": "yes"}, "stream", "`bool"),
        ({**CHAT, "stream_options": True}, "stream_options", "`object"),
        ({**CHAT, "tools": {}}, "tools", "`array"),
        ({**CHAT, "emafusion": []}, "emafusion", "`object"),
        ({**CHAT, "emafusion": {"prefers": 1}}, "emafusion.prefers", "did you mean 'prefer'"),
        ({**CHAT, "emafusion": {"zzz": 1}}, "emafusion.zzz", "the knobs are prefer, max_cost_usd"),
        ({**CHAT, "emafusion": {"prefer": 2}}, "emafusion.prefer", "<= 1"),
        ({**CHAT, "emafusion": {"prefer": "1"}}, "emafusion.prefer", "`float"),
        ({**CHAT, "emafusion": {"arrangement": "duel"}}, "emafusion.arrangement", "duel"),
        ({**CHAT, "emafusion": {"models": []}}, "emafusion.models", "names no model"),
        ({**CHAT, "emafusion": {"arrangement": "fusion"}}, "emafusion", "set model to 'emafusion'"),
        ({**CHAT, "emafusion": {"private": True}}, None, "visibility = 'private'"),
    ],
)
def test_a_malformed_request_is_named(
    house: Served, body: object, param: str | None, words: str
) -> None:
    reply = house.ask(body)
    assert reply.status == 400
    assert reply.headers["content-type"] == "application/json"
    assert reply.error["type"] == "invalid_request_error"
    assert reply.error["param"] == param
    assert re.search(words, reply.error["message"])


@pytest.mark.parametrize(
    ("model", "knobs", "words"),
    [
        ("smal", {}, "did you mean 'small'?"),
        ("emafusio", {}, "did you mean 'emafusion'?"),
        ("zzz", {}, "GET /v1/models lists them"),
        ("emafusion/zzz", {}, "no policy 'zzz'"),
        ("emafusion", {"models": ["smal"]}, "did you mean 'small'?"),
    ],
)
def test_an_unknown_model_is_not_found(
    openai: official.OpenAI, model: str, knobs: dict[str, Any], words: str
) -> None:
    with pytest.raises(official.NotFoundError) as caught:
        openai.chat.completions.create(
            model=model,
            messages=ASK,
            extra_body={"emafusion": knobs},
        )
    assert caught.value.code == "model_not_found"
    assert caught.value.param == ("emafusion.models" if knobs else "model")
    assert words in str(caught.value)


def test_an_over_long_prompt_says_which_window_it_exceeds(openai: official.OpenAI) -> None:
    long: list[Any] = [{"role": "user", "content": "word " * 2000}]
    with pytest.raises(official.BadRequestError, match="'tight', holds 400") as caught:
        openai.chat.completions.create(model="tight", messages=long)
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "messages"


def test_a_limit_below_any_price_is_payment_required(openai: official.OpenAI) -> None:
    with pytest.raises(official.APIStatusError, match="max_cost_usd") as caught:
        openai.chat.completions.create(
            model="small",
            messages=ASK,
            extra_body={"emafusion": {"max_cost_usd": 1e-12}},
        )
    assert caught.value.status_code == 402
    assert caught.value.code == "budget_exceeded"


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/chat/completions", 405, "GET is not possible"),
        ("POST", "/v1/models", 405, "POST is not possible"),
        ("POST", "/v1/engines", 404, "nothing at '/v1/engines'"),
        ("GET", "/v1/models/", 404, "no model ''"),
        ("GET", "/", 404, "nothing at '/'"),
        ("GET", "/v1/../healthz", 404, "nothing at"),
    ],
)
def test_a_wrong_address_is_told_in_the_protocols_shape(
    house: Served, method: str, path: str, status: int, words: str
) -> None:
    reply = house.ask(b"", method=method, path=path)
    assert reply.status == status
    assert words in reply.error["message"]
    assert ("allow" in reply.headers) == (status == 405)


def test_a_compressed_body_is_not_unpacked(house: Served) -> None:
    assert house.ask(CHAT, content_encoding="gzip").status == 415


def test_a_body_beyond_the_bound_is_refused_before_it_is_read() -> None:
    app = gateway.app(client_of({"small": Script()}), gateway.Settings(max_body_bytes=1000))
    told, _ = asyncio.run(post(app, b"", (b"content-length", b"1001")))
    assert told == 413
    told, reply = asyncio.run(post(app, b'"' + b"x" * 1000))
    assert told == 413
    assert reply["error"]["code"] == "body_too_long"
    assert "1000 bytes" in reply["error"]["message"]


def test_a_body_that_never_comes_is_not_waited_for() -> None:
    limits = gateway.Settings(body_timeout_s=0.05)
    app = gateway.app(client_of({"small": Script()}), limits)
    told, reply = asyncio.run(post(app, b"{", more=True))
    assert told == 408
    assert reply["error"]["code"] == "body_timeout"


@pytest.mark.parametrize("unit", [b"[]", b"{}", b"1", b'""'])
def test_a_body_with_too_many_values_is_not_decoded(unit: bytes) -> None:
    app = gateway.app(client_of({"small": Script()}))
    data = b'{"model": "small", "messages": [' + b",".join([unit] * 500_001) + b"]}"
    told, reply = asyncio.run(post(app, data))
    assert told == 413
    assert "500,000 values" in reply["error"]["message"]


def test_bodies_have_room_for_so_much_at_once() -> None:
    """And what is made of them; the room of a request that is done is free again."""
    small = Script(wait_s=0.2)
    limits = gateway.Settings(max_held_bytes=5000)
    app = gateway.app(client_of({"small": small}), limits)
    ask = functools.partial(post, app)

    def body(text: str) -> bytes:
        return json.dumps({"model": "small", "messages": [{**ASK[0], "content": text}]}).encode()

    async def at_once(*texts: str) -> list[tuple[int, str | None]]:
        said = await asyncio.gather(*(ask(body(text)) for text in texts))
        return sorted((status, reply.get("error", {}).get("code")) for status, reply in said)

    full = [(200, None), (503, "overloaded")]
    assert asyncio.run(at_once("x" * 3000, "x" * 3000)) == full
    assert asyncio.run(at_once("," * 20, "," * 20)) == full
    assert asyncio.run(at_once("x" * 1000, "x" * 1000)) == [(200, None)] * 2
    assert asyncio.run(at_once("x" * 5000)) == [(503, "overloaded")]
    assert asyncio.run(at_once("x" * 4000)) == [(200, None)]


def test_endless_headers_end_the_connection(house: Served) -> None:
    with socket.create_connection(("127.0.0.1", house.port), timeout=5) as link:
        link.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n")
        answer = b""
        try:
            for _ in range(100):
                link.sendall(b"x-more: " + b"x" * 60_000 + b"\r\n")
            answer = link.recv(1000)
        except ConnectionError:
            answer = answer or b"HTTP/1.1 431 reset"
    assert answer.split(b" ")[1] in {b"431", b"400"}
    assert house.get("/healthz").status == 200


def test_what_is_not_http_is_told_so(house: Served) -> None:
    with socket.create_connection(("127.0.0.1", house.port), timeout=5) as link:
        link.sendall(b"How do you do?\r\n\r\n")
        answer = b""
        while block := link.recv(1000):
            answer += block
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"Invalid HTTP request" in body


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
KNOWN = """
    model messages stream stream_options max_tokens max_completion_tokens n temperature tools
    emafusion stop logprobs response_format
"""
known = st.sampled_from(KNOWN.split())
knob = st.sampled_from(["prefer", "max_cost_usd", "max_latency_s", "models", "arrangement"])


@functools.cache
def _one_app() -> Any:
    return gateway.app(client_of({"small": Script()}))


@settings(max_examples=100, deadline=None)
@given(
    fields=st.dictionaries(known, json_values, max_size=4),
    knobs=st.dictionaries(knob, json_values, max_size=2),
)
def test_no_body_whatsoever_is_a_server_error(
    fields: dict[str, Any], knobs: dict[str, Any]
) -> None:
    body = {**CHAT, "emafusion": knobs, **fields}
    status, reply = asyncio.run(post(_one_app(), json.dumps(body).encode()))
    assert status < 500
    assert (status == 200) == ("choices" in str(reply))


def nested(levels: int) -> Any:
    found: Any = 1
    for level in range(levels):
        found = {"a": found} if level % 2 else [found]
    return found


@pytest.mark.parametrize("path", BODIES)
def test_a_body_too_deep_to_be_written_again_is_refused(house: Served, path: str) -> None:
    reply = house.ask({**BODIES[path], "extra": nested(200)}, path=path)
    assert reply.status == 400
    assert "nested too deeply" in reply.error["message"]


def test_what_is_odd_but_right_reaches_the_model_as_it_is(house: Served) -> None:
    odd = {"seed": 10**30, "small": 1e-300, "deep": nested(100), "text": "a\x00b\u2028"}
    many = [{"role": "user", "content": "{" * 10}] * 100
    assert house.ask({"model": "small", "messages": many, **odd}).status == 200
    assert house.script("small").calls[-1].params == odd


def test_of_a_field_given_twice_the_last_counts(house: Served) -> None:
    data = b'{"model": "down", "model": "small", "messages": [{"role": "user", "content": "Hi"}]}'
    assert house.ask(data).json["model"] == "small"


@pytest.mark.parametrize("data", [b'{"a": "\\ud800"}', b"\xef\xbb\xbf{}", b'{"a": 1e999}', b""])
def test_what_is_hardly_json_is_refused(house: Served, data: bytes) -> None:
    reply = house.ask(data, path="/v1/responses")
    assert reply.status == 400
    assert "not JSON" in reply.error["message"]


@pytest.mark.parametrize("seed", range(3))
def test_no_changed_body_is_a_server_error(seed: int) -> None:
    found = asyncio.run(statuses(application(masks=seed % 2 == 1), random.Random(seed), 200))
    assert {path for path, _ in found} == set(BODIES)
    assert {200, 400} <= {status for _, status in found}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_no_upstreams_lie_is_our_mistake(
    path: str, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(path)
    model = replace(catalog(["liar"])[0], provider="lying")
    client = client_of({}, models=[model], providers={"lying": Lying(chance)})
    app = gateway.app(client)

    async def ask() -> set[int]:
        found = set()
        for count in range(150):
            name = "liar" if count % 2 else "emafusion"
            body = {"model": name, "messages": ASK, "input": "Hi", "max_tokens": 9}
            status, _ = await post(app, json.dumps({**body, "stream": stream}).encode(), path=path)
            found.add(status)
        return found

    assert asyncio.run(ask()) <= {200, 502}
    assert not [record for record in caplog.records if record.exc_info]


async def post(
    app: Any,
    body: bytes,
    *headers: tuple[bytes, bytes],
    more: bool = False,
    path: str = "/v1/chat/completions",
    method: str = "POST",
) -> tuple[int, Any]:
    """One request straight to the application; `more` promises a body that never comes."""
    sent: list[dict[str, Any]] = []
    parts = [{"type": "http.request", "body": body, "more_body": more}]

    async def receive() -> dict[str, Any]:
        if not parts:
            await asyncio.sleep(10)
        return parts.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(b"host", b"localhost"), *headers],
        "query_string": b"",
    }
    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(content) if content.startswith(b"{") else content.decode()
