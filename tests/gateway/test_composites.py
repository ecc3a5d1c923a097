"""Prompts that ask several things, through the official client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from emafusion.errors import UnavailableError
from emafusion.testing import ScriptedProvider
from emafusion.testing.scripted import Reply
from emafusion.types import Model
from emafusion.understand.splitting import FastSplitter

from .parts import Script, Served, client_of, served

PROMPT = "Please answer both questions:\n1. What is the capital of France?\n2. What is 3 + 4?"
ASK: list[Any] = [{"role": "user", "content": PROMPT}]


@pytest.fixture(scope="module")
def parted() -> Iterator[Served]:
    with served(client_of({"small": Script()}, splitter=FastSplitter())) as found:
        yield found


@pytest.fixture(scope="module")
def halved() -> Iterator[Served]:
    """A house whose model fails at arithmetic."""
    script: dict[str, Reply] = {
        "What is the capital of France?": "Paris.",
        "What is 3 + 4?": UnavailableError("down", "only"),
    }
    model = Model(
        name="only",
        provider="picky",
        upstream="only",
        usd_per_mtok_in=1.0,
        usd_per_mtok_out=1.0,
    )
    client = client_of(
        {}, models=[model], providers={"picky": ScriptedProvider(script)}, splitter=FastSplitter()
    )
    with served(client) as found:
        yield found


def test_both_parts_are_answered_under_the_prompts_labels(parted: Served) -> None:
    with OpenAI(base_url=f"{parted.url}/v1", api_key="unused", max_retries=0) as client:
        reply = client.chat.completions.create(model="emafusion", messages=ASK)
    assert reply.choices[0].message.content == "1. Paris.\n\n2. Paris."
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.completion_tokens > 0
    decision = parted.get(f"/v1/decisions/{reply.id}").json
    assert decision["plan"]["arrangement"]["arrangement"] == "decompose"
    assert [piece["prompt"] for piece in decision["parts"]] == [
        "What is the capital of France?",
        "What is 3 + 4?",
    ]


def test_parts_stream_one_after_the_other(parted: Served) -> None:
    with OpenAI(base_url=f"{parted.url}/v1", api_key="unused", max_retries=0) as client:
        stream = client.chat.completions.create(model="emafusion", messages=ASK, stream=True)
        texts = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
    assert [text for text in texts if text] == ["1. Paris.", "\n\n2. Paris."]


def test_a_program_can_tell_which_part_failed(halved: Served) -> None:
    reply = halved.ask({"model": "emafusion", "messages": ASK})
    assert reply.status == 200
    assert reply.headers["x-emafusion-failed-parts"] == "1"
    good, bad = reply.json["emafusion"]["parts"]
    assert (good["label"], good["model"], good["error"]) == ("1.", "only", None)
    assert 0.0 < good["confidence"] <= 1.0
    assert (bad["label"], bad["model"], bad["confidence"]) == ("2.", None, 0.0)
    assert bad["error"].startswith("UnavailableError")


def test_a_stream_ends_with_what_became_of_its_parts(halved: Served) -> None:
    *events, done = halved.ask({"model": "emafusion", "messages": ASK, "stream": True}).events
    assert done == "[DONE]"
    assert [part["error"] is None for part in events[-1]["emafusion"]["parts"]] == [True, False]


def test_an_answer_in_one_piece_has_no_parts(parted: Served) -> None:
    one = [{"role": "user", "content": "What is the capital of France?"}]
    reply = parted.ask({"model": "emafusion", "messages": one})
    assert "x-emafusion-failed-parts" not in reply.headers
    assert "parts" not in reply.json["emafusion"]


def test_where_no_part_failed_no_header_says_so(parted: Served) -> None:
    reply = parted.ask({"model": "emafusion", "messages": ASK})
    assert "x-emafusion-failed-parts" not in reply.headers
    assert [part["error"] for part in reply.json["emafusion"]["parts"]] == [None, None]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_every_protocol_tells_of_parts_in_comments(parted: Served, path: str) -> None:
    asked = {
        "/v1/messages": {"max_tokens": 4000, "messages": ASK},
        "/v1/responses": {"max_output_tokens": 4000, "input": PROMPT},
    }
    body = {"model": "emafusion", "stream": True, **asked[path]}
    content = parted.ask(body, path=path).content.decode()
    assert "1. Paris." in content
    assert "2. Paris." in content
    known = (": working", ": emafusion part ", "event: ")
    assert all(block.startswith(known) for block in content.split("\n\n") if block)
