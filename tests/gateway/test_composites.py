"""Prompts that ask several things, through the official client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from emafusion.understand.splitting import FastSplitter

from .parts import Script, Served, client_of, served

PROMPT = "Please answer both questions:\n1. What is the capital of France?\n2. What is 3 + 4?"


@pytest.fixture(scope="module")
def parted() -> Iterator[Served]:
    with served(client_of({"small": Script()}, splitter=FastSplitter())) as found:
        yield found


def test_both_parts_are_answered_under_the_prompts_labels(parted: Served) -> None:
    with OpenAI(base_url=f"{parted.url}/v1", api_key="unused", max_retries=0) as client:
        reply = client.chat.completions.create(
            model="emafusion", messages=[{"role": "user", "content": PROMPT}]
        )
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
        stream = client.chat.completions.create(
            model="emafusion", messages=[{"role": "user", "content": PROMPT}], stream=True
        )
        texts = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
    assert [text for text in texts if text] == ["1. Paris.", "\n\n2. Paris."]
