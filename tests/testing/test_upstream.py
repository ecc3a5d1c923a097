"""The fake upstream is what the official client takes for a real one, and a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from openai import APIStatusError, AsyncOpenAI, OpenAI

from emafusion.testing.faults import FAULTS
from emafusion.testing.upstream import Upstream


async def test_the_official_client_is_answered() -> None:
    async with Upstream(lambda messages: f"{len(messages)} messages") as upstream:
        async with AsyncOpenAI(base_url=upstream.base_url, api_key="any") as client:
            answer = await client.chat.completions.create(
                model="echo", messages=[{"role": "user", "content": "Hi"}], logprobs=True
            )
            stream = await client.chat.completions.create(
                model="echo",
                messages=[{"role": "user", "content": "Hi"}],
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = [chunk async for chunk in stream]
            models = [model.id async for model in client.models.list()]
    assert answer.choices[0].message.content == "1 messages"
    assert answer.choices[0].logprobs is not None
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 2
    said = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(said) == "1 messages"
    assert chunks[-1].usage == answer.usage
    assert models == ["echo"]
    assert [seen.body["model"] for seen in upstream.seen] == ["echo", "echo"]


async def test_a_header_may_name_the_fault() -> None:
    async with Upstream() as upstream:
        async with AsyncOpenAI(base_url=upstream.base_url, api_key="any", max_retries=0) as client:
            with pytest.raises(APIStatusError) as raised:
                await client.chat.completions.create(
                    model="echo",
                    messages=[{"role": "user", "content": "Hi"}],
                    extra_headers={"x-fault": "503"},
                )
    assert raised.value.status_code == 503


async def test_only_the_right_key_is_admitted() -> None:
    async with Upstream(api_key="right") as upstream:
        async with AsyncOpenAI(base_url=upstream.base_url, api_key="wrong") as client:
            with pytest.raises(APIStatusError) as raised:
                await client.models.list()
        async with AsyncOpenAI(base_url=upstream.base_url, api_key="right") as client:
            assert await client.models.list()
    assert raised.value.status_code == 401


async def test_it_listens_on_the_loopback_address_alone() -> None:
    upstream = Upstream()
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = upstream.base_url
    async with upstream:
        assert upstream.base_url.startswith("http://127.0.0.1:")


def test_as_a_process_it_says_its_address_and_answers() -> None:
    command = [sys.executable, "-m", "emafusion.testing.upstream"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            with OpenAI(base_url=address, api_key="any") as client:
                answer = client.chat.completions.create(
                    model="echo", messages=[{"role": "user", "content": "Hi"}]
                )
        finally:
            process.terminate()
    assert answer.choices[0].message.content == "echo: Hi"
    assert process.returncode == -15


def test_every_fault_is_exercised_by_the_providers_tests() -> None:
    from pathlib import Path

    tests = Path(__file__).parents[1] / "providers" / "test_openai.py"
    text = tests.read_text()
    assert [name for name in FAULTS if f'"{name}"' not in text] == []
