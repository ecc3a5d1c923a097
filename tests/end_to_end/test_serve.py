"""``emafusion serve`` as its users meet it: a process, a settings file, the official client."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import openai as official
import pytest

from emafusion.record import Store
from emafusion.types import Outcome

ASK: list[Any] = [{"role": "user", "content": "Say this back to me."}]
MODELS = ["small", "large", "slow-stream", "silent", "500", "close-midway", "wrong-json"]


class Serving:
    """The serving process, its upstream and its record."""

    def __init__(self, process: subprocess.Popen[str], url: str, upstream: str, record: Path):
        self.process = process
        self.url = url
        self.upstream = upstream
        self.record = record

    def outcomes(self) -> dict[str, Outcome]:
        """What is on record, by decision."""
        found = asyncio.run(Store(self.record).recent(10**6))
        return {outcome.decision_id: outcome for outcome in found}

    def gone(self) -> int:
        """How many calls the upstream saw being hung up on."""
        with urllib.request.urlopen(self.upstream.replace("/v1", "/stats"), timeout=5) as stats:
            return int(json.load(stats)["disconnected"])


@contextmanager
def running(
    *command: str, marker: str, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A Python process and the address that it prints, known by `marker`."""
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **environment},
    )
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if marker in line:
                address = next(word for word in line.split() if word.startswith("http://"))
                yield process, address
                return
        raise AssertionError("".join(lines))
    finally:
        process.kill()
        process.communicate()


@contextmanager
def serving(folder: Path) -> Iterator[Serving]:
    """The whole stack, its files in `folder`."""
    with running("-m", "emafusion.testing.upstream", marker="http://") as (_, upstream):
        models = "".join(
            f'[models."{name}"]\nprovider = "there"\n'
            f"usd_per_mtok_in = {place + 1}\nusd_per_mtok_out = {place + 2}\n"
            for place, name in enumerate(MODELS)
        )
        record = folder / "record.db"
        settings = folder / "emafusion.toml"
        settings.write_text(
            f'[providers.there]\ntype = "openai"\nbase_url = "{upstream}"\n{models}'
            f'[policy]\nmodels = ["small", "large"]\n[record]\npath = "{record}"\n'
        )
        command = ["-m", "emafusion", "serve", "--config", str(settings), "--port", "0"]
        with running(*command, marker="http://") as (process, url):
            yield Serving(process, url, upstream, record)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("serve")) as found:
        yield found


@pytest.fixture(scope="module")
def openai(stack: Serving) -> Iterator[official.OpenAI]:
    with official.OpenAI(base_url=stack.url, api_key="unused", max_retries=0) as client:
        yield client


def test_a_question_is_answered_and_explained(stack: Serving, openai: official.OpenAI) -> None:
    raw = openai.chat.completions.with_raw_response.create(model="emafusion", messages=ASK)
    answer = raw.parse()
    assert answer.choices[0].message.content == "echo: Say this back to me."
    assert answer.model in {"small", "large"}
    outcome = stack.outcomes()[raw.headers["x-emafusion-decision"]]
    assert outcome.model == answer.model
    assert outcome.cost_usd == answer.model_dump()["emafusion"]["cost_usd"] > 0
    assert outcome.cost_usd == pytest.approx(sum(step.cost_usd for step in outcome.steps))
    assert outcome.labels.axes
    with urllib.request.urlopen(f"{stack.url}/decisions/{answer.id}", timeout=5) as response:
        assert json.load(response)["explanation"] == outcome.explain()


async def test_the_asynchronous_client_streams(stack: Serving) -> None:
    async with official.AsyncOpenAI(base_url=stack.url, api_key="x", max_retries=0) as client:
        stream = await client.chat.completions.create(model="large", messages=ASK, stream=True)
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "echo: Say this back to me."
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_wrong_model_and_an_over_long_prompt_are_told_apart(openai: official.OpenAI) -> None:
    with pytest.raises(official.NotFoundError, match="did you mean 'small'"):
        openai.chat.completions.create(model="smal", messages=ASK)
    long: list[Any] = [{"role": "user", "content": "word " * 500_000}]
    with pytest.raises(official.BadRequestError) as caught:
        openai.chat.completions.create(model="emafusion", messages=long)
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("500", official.InternalServerError),
        ("close-midway", official.InternalServerError),
        ("wrong-json", official.InternalServerError),
        ("silent", official.InternalServerError),
    ],
)
def test_a_failing_upstream_is_told_and_recorded(
    stack: Serving, openai: official.OpenAI, model: str, kind: type[official.APIStatusError]
) -> None:
    knobs = {"emafusion": {"max_latency_s": 1.5}}
    with pytest.raises(kind) as caught:
        openai.chat.completions.create(model=model, messages=ASK, extra_body=knobs)
    assert model in str(caught.value)
    assert any(
        outcome.error and step.model == model
        for outcome in stack.outcomes().values()
        for step in outcome.steps
    )


def test_a_client_gone_in_mid_stream_ends_the_upstreams_work(
    stack: Serving, openai: official.OpenAI
) -> None:
    before = stack.gone()
    stream = openai.chat.completions.create(model="slow-stream", messages=ASK, stream=True)
    decision = stream.response.headers["x-emafusion-decision"]
    next(iter(stream))
    stream.close()
    deadline = time.monotonic() + 60
    while stack.gone() == before or decision not in stack.outcomes():
        assert time.monotonic() < deadline, "the upstream is still at work, or nothing recorded"
        time.sleep(0.02)
    outcome = stack.outcomes()[decision]
    assert outcome.error == "CancelledError"
    assert outcome.cost_usd > 0


def test_a_request_without_its_models_is_not_lost(openai: official.OpenAI) -> None:
    knobs = {"emafusion": {"models": ["500", "small"]}}
    answer = openai.chat.completions.create(model="emafusion", messages=ASK, extra_body=knobs)
    assert answer.model == "small"


def test_every_answer_that_was_delivered_survives_kill_9(tmp_path: Path) -> None:
    with serving(tmp_path) as stack:
        delivered = asyncio.run(_ask_until_killed(stack))
        assert stack.process.wait(timeout=60) == -signal.SIGKILL
        recorded = stack.outcomes()
    assert len(delivered) >= 200
    missing = [decision for decision in delivered if decision not in recorded]
    assert not missing
    assert all(recorded[decision].text for decision in delivered)


async def _ask_until_killed(stack: Serving) -> list[str]:
    """The decisions whose answers came whole, from 200 callers at once, until the kill."""
    delivered: list[str] = []
    deadline = time.monotonic() + 60

    async def call(number: int) -> None:
        body = {"model": "emafusion", "messages": ASK, "stream": number % 4 == 0}
        while stack.process.poll() is None and time.monotonic() < deadline:
            async with session.post(f"{stack.url}/chat/completions", json=body) as response:
                content = await response.read()
                assert response.status == 200, content
            if b"[DONE]" in content or not body["stream"]:
                delivered.append(response.headers["x-emafusion-decision"])

    async def kill() -> None:
        enough = 200 + random.randint(0, 200)
        while len(delivered) < enough and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        stack.process.kill()

    async def until_cut_off(number: int) -> None:
        with suppress(aiohttp.ClientError):
            await call(number)

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(kill(), *(until_cut_off(number) for number in range(200)))
    return delivered


@pytest.fixture
def stuck() -> Iterator[str]:
    """The address of a package index that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_it_serves_while_a_models_file_is_fetched(
    stack: Serving, stuck: str, tmp_path: Path
) -> None:
    settings = tmp_path / "emafusion.toml"
    settings.write_text(
        f'[providers.local]\ntype = "local"\ncache = "{tmp_path}"\n'
        f'[models."smollm2-135m"]\nprovider = "local"\n'
        f'[providers.there]\ntype = "openai"\nbase_url = "{stack.upstream}"\n'
        f'[models.small]\nprovider = "there"\nusd_per_mtok_in = 1\nusd_per_mtok_out = 2\n'
        f'[record]\npath = "memory"\n'
    )
    index = {"PIP_INDEX_URL": stuck, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    command = ["-m", "emafusion", "serve", "--config", str(settings), "--port", "0"]
    with running(*command, marker="http://", **index) as (process, url):
        assert process.stdout is not None
        assert process.stdout.readline().startswith("fetching smollm2-135m; meanwhile")
        with official.OpenAI(base_url=url, api_key="unused", max_retries=0) as client:
            answer = client.chat.completions.create(model="emafusion", messages=ASK)
            assert answer.model == "small"
            assert "smollm2-135m" in {model.id for model in client.models.list()}
        listing = [sys.executable, "-m", "emafusion", "models", "--config", str(settings), "--json"]
        listed = json.loads(subprocess.run(listing, capture_output=True, check=True).stdout)
        told = {model["name"]: (model["healthy"], model["loading"]) for model in listed}
        assert told == {"smollm2-135m": (False, True), "small": (True, False)}
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
        assert "Traceback" not in process.stdout.read()
