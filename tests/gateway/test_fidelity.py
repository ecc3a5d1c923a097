"""What a model that was named says comes through untouched, whatever it is."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from emafusion import gateway
from emafusion.providers.openai import OpenAIProvider
from emafusion.types import Model

from . import upstreams
from .parts import Script, Served, client_of, served, until
from .test_upstreams import running

ASK: list[Any] = [{"role": "user", "content": "Hi"}]


def odd(index: int, **delta: Any) -> dict[str, Any]:
    """A choice as some vendors send it: no finish_reason until there is one."""
    return {"index": index, "delta": delta}


CHUNKS: list[dict[str, Any]] = [
    {**upstreams.chunk(), "prompt_filter_results": [{"index": 0}]},
    upstreams.chunk(odd(0, role="assistant", content=None, refusal=None)),
    upstreams.chunk(odd(1, role="assistant", content=""), service_tier="flex"),
    upstreams.chunk(odd(0, reasoning_content="Hm.")),
    upstreams.chunk(odd(1, content="B"), odd(0, content="A"), obfuscation="xyz"),
    upstreams.chunk(odd(0, audio={"id": "a", "data": "AA=="})),
    upstreams.chunk({"index": 1, "delta": {}, "finish_reason": "length", "stop_reason": None}),
    upstreams.chunk({"index": 0, "delta": {"refusal": "No."}, "finish_reason": "stop"}),
    upstreams.chunk(usage={"prompt_tokens": 3, "completion_tokens": 2, "novel": None}, cost=1e-6),
]
BODY: dict[str, Any] = {
    **upstreams.BODY,
    "service_tier": None,
    "citations": ["https://x.test"],
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": None,
                "refusal": "No.",
                "audio": {"id": "a"},
                "annotations": [],
            },
            "logprobs": None,
            "finish_reason": "content_filter",
            "content_filter_results": {"hate": {"filtered": False}},
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "completion_tokens_details": None},
}


@pytest.mark.parametrize("usage", [False, True])
def test_every_event_comes_through_as_it_was(usage: bool) -> None:
    with served(client_of({"odd": Script(chunks=CHUNKS)})) as house:
        options = {"include_usage": usage, "include_obfuscation": False}
        body = {"model": "odd", "messages": ASK, "stream": True, "stream_options": options}
        *events, done = house.ask(body).events
        told = house.script("odd").calls[0].params
    assert told == {"stream_options": {"include_obfuscation": False}}
    assert done == "[DONE]"
    assert events[-1].pop("emafusion")["model"] == "odd"
    expected = [{**chunk, "model": "odd"} for chunk in (CHUNKS if usage else CHUNKS[:-1])]
    if usage:
        expected = [{"usage": None, **chunk} for chunk in expected]
    assert events == expected


def test_a_whole_body_comes_through_as_it_was() -> None:
    with served(client_of({"odd": Script(text="", raw=BODY)})) as house:
        found = house.ask({"model": "odd", "messages": ASK}).json
    found.pop("emafusion")
    assert found == {**BODY, "model": "odd"}


def test_several_choices_that_were_asked_for_stream_side_by_side() -> None:
    pieces = [upstreams.piece({"content": text}) for text in "AB"]
    chunks = [upstreams.chunk({**pieces[n % 2], "index": n % 2}) for n in range(4)]
    ends = [upstreams.piece({}, finish_reason="stop") for _ in range(2)]
    chunks += [upstreams.chunk({**end, "index": n}) for n, end in enumerate(ends)]
    with served(client_of({"odd": Script(chunks=chunks)})) as house:
        body = {"model": "emafusion", "messages": ASK, "n": 2, "stream": True}
        *events, _ = house.ask(body).events
        assert house.script("odd").calls[0].params["n"] == 2
    texts = {0: "", 1: ""}
    for event in events:
        for choice in event["choices"]:
            texts[choice["index"]] += choice["delta"].get("content") or ""
    assert texts == {0: "AA", 1: "BB"}
    reasons = [c["finish_reason"] for e in events for c in e["choices"] if c["finish_reason"]]
    assert reasons == ["stop", "stop"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
@pytest.mark.parametrize("model", ["silent", "slow-stream"])
def test_an_upstream_hears_that_the_caller_has_gone(path: str, model: str) -> None:
    with running() as upstream:
        priced = Model(
            name=model,
            provider="http",
            upstream=model,
            usd_per_mtok_in=1.0,
            usd_per_mtok_out=2.0,
        )
        provider = OpenAIProvider(upstream.base_url, attempts=1)
        client = client_of({}, models=[priced], providers={"http": provider})
        with served(client, gateway.Settings(heartbeat_s=60.0)) as house:
            hang_up(house, path, model)
            until(lambda: upstream.seen and upstream.seen[0].disconnected)


def hang_up(house: Served, path: str, model: str) -> None:
    """Ask, wait for the first words where there are some, and leave."""
    asked = {
        "model": model,
        "stream": True,
        "max_tokens": 99,
        "messages": ASK,
        "input": "word " * 9,
    }
    asked["messages"] = [{"role": "user", "content": "word " * 200}]
    data = json.dumps(asked).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(data)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", house.port), timeout=5) as link:
        link.sendall(head.encode() + data)
        if model == "silent":
            link.settimeout(0.3)
            with pytest.raises(TimeoutError):
                link.recv(1)
        else:
            heard = b""
            while b"word" not in heard:
                heard += link.recv(4096)
