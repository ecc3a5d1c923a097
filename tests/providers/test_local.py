"""The in-process provider with the smallest real model, on one thread."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emafusion.errors import DeadlineError, RejectedError, UnavailableError
from emafusion.providers.local import LocalProvider, _threads
from emafusion.providers.weights import Weights
from emafusion.testing import check_provider
from emafusion.types import Call, Model, replace

pytest.importorskip("xllamacpp")


@pytest.fixture(scope="module")
def model(smollm2: Path) -> Model:
    return Model(
        name="small",
        provider="local",
        upstream=str(smollm2),
        usd_per_mtok_in=0.01,
        usd_per_mtok_out=0.04,
        context_window=512,
        max_output=24,
        system="Answer in English, briefly.",
    )


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProvider]:
    provider = LocalProvider(weights=Weights(tmp_path_factory.mktemp("cache")), threads=1)
    yield provider
    asyncio.run(provider.aclose())


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (3, 2), (4, 3), (9, 8), (64, 8)])
def test_one_core_is_left_to_the_rest_of_the_machine(cores: int, threads: int) -> None:
    assert _threads(cores) == threads


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells a process its cores")
def test_only_the_cores_this_process_may_use_count() -> None:
    given = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(given)})
        assert LocalProvider().threads == 1
    finally:
        os.sched_setaffinity(0, given)


def ask(model: Model, prompt: str, *, timeout_s: float = 60.0, **params: object) -> Call:
    return Call(
        model=model,
        messages=({"role": "user", "content": prompt},),
        params={"temperature": 0, **params},
        timeout_s=timeout_s,
    )


async def test_it_keeps_the_contract(provider: LocalProvider, model: Model) -> None:
    await check_provider(provider, model, max_tokens=6)


async def test_it_answers(provider: LocalProvider, model: Model) -> None:
    completion = await provider.complete(ask(model, "What is the capital of France?"))
    assert "Paris" in completion.text
    assert completion.finish_reason == "stop"
    assert completion.logprobs is not None
    assert len(completion.logprobs) in {
        completion.usage.completion_tokens,
        completion.usage.completion_tokens - 1,
    }
    assert completion.usage.counted
    assert completion.raw is not None
    assert completion.raw["object"] == "chat.completion"


async def test_a_stream_says_what_a_completion_says(provider: LocalProvider, model: Model) -> None:
    question = ask(model, "Name a colour.", max_tokens=8)
    completion = await provider.complete(question)
    chunks = [chunk async for chunk in provider.stream(question)]
    assert "".join(chunk.text for chunk in chunks) == completion.text
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == completion.usage.completion_tokens


async def test_the_models_system_prompt_is_used(provider: LocalProvider, model: Model) -> None:
    question = ask(model, "Hi", max_tokens=1)
    bare = await provider.complete(replace(question, model=replace(model, system=None)))
    longer = replace(model, system="Answer in English, briefly. " * 5)
    led = await provider.complete(replace(question, model=longer))
    own = ({"role": "system", "content": "x"}, *question.messages)
    given = await provider.complete(replace(question, model=longer, messages=own))
    assert led.usage.prompt_tokens > bare.usage.prompt_tokens
    assert given.usage.prompt_tokens < led.usage.prompt_tokens


async def test_the_answer_is_bounded_by_the_model_or_by_the_caller(
    provider: LocalProvider, model: Model
) -> None:
    story = "Tell a very long story about a dog."
    own = await provider.complete(ask(model, story))
    given = await provider.complete(ask(model, story, max_completion_tokens=5))
    assert (own.usage.completion_tokens, own.finish_reason) == (24, "length")
    assert given.usage.completion_tokens == 5


@pytest.mark.parametrize(
    ("prompt", "params", "message"),
    [
        ("word " * 600, {}, r"the prompt has \d+ tokens and 'small' takes 512; shorten it"),
        ("Hi", {"max_tokens": "lots"}, "'small' refused the request: Field 'max_tokens'"),
        ("Hi", {"n": 2}, "'small' refused the request: Field 'n'"),
    ],
)
async def test_a_request_it_cannot_take_is_refused(
    prompt: str, params: dict[str, Any], message: str, provider: LocalProvider, model: Model
) -> None:
    with pytest.raises(RejectedError, match=message):
        await provider.complete(ask(model, prompt, **params))


async def test_a_picture_is_refused(provider: LocalProvider, model: Model) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}}
    with pytest.raises(RejectedError, match="'small' cannot take this request"):
        await provider.complete(
            replace(ask(model, "Hi"), messages=({"role": "user", "content": [picture]},))
        )


async def test_a_deadline_stops_the_generation(provider: LocalProvider, model: Model) -> None:
    story = "Tell a very long story about a dog."
    await provider.complete(ask(model, story))
    begun = time.process_time()
    await provider.complete(ask(model, story))
    for_24_tokens = time.process_time() - begun
    begun = time.process_time()
    with pytest.raises(DeadlineError, match=r"gave no complete answer in 0\.1 s"):
        await provider.complete(ask(model, story, max_tokens=450, timeout_s=0.1))
    await provider.complete(ask(model, story, max_tokens=1))
    worked = time.process_time() - begun
    assert worked < 0.1 + 9 * for_24_tokens, "the next call waited for an answer nobody wants"


async def test_calls_wait_for_a_slot(provider: LocalProvider, model: Model) -> None:
    asked = [ask(model, f"Say {number}", max_tokens=2) for number in range(3)]
    answers = await asyncio.gather(*map(provider.complete, asked))
    assert all(answer.text for answer in answers)


async def test_a_damaged_file_is_named(
    provider: LocalProvider, model: Model, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + bytes(5000))
    broken = replace(model, upstream=str(damaged))
    with pytest.raises(UnavailableError, match=r"damaged\.gguf': the file is damaged"):
        await provider.complete(ask(broken, "Hi"))
    missing = replace(model, upstream=str(tmp_path / "missing.gguf"))
    assert not await provider.healthy(missing)
    with pytest.raises(UnavailableError, match="put it there"):
        await provider.complete(ask(missing, "Hi"))
    assert (await provider.complete(ask(model, "Hi", max_tokens=1))).text, "the others go on"


async def test_closing_ends_calls_and_threads(model: Model, tmp_path: Path) -> None:
    provider = LocalProvider(weights=Weights(tmp_path), threads=1)
    model = replace(model, name="closing")
    running = asyncio.create_task(provider.complete(ask(model, "A long story.", max_tokens=400)))
    waiting = asyncio.create_task(provider.complete(ask(model, "Hi")))
    await provider.prepare(model)
    await provider.aclose()
    for task in (running, waiting):
        with pytest.raises(UnavailableError, match="closed"):
            await task
    with pytest.raises(UnavailableError, match="closed"):
        await provider.complete(ask(model, "Hi"))
    assert not await provider.healthy(model)
    assert not [t for t in threading.enumerate() if t.name.startswith("local-closing")]


SILENT = """
import asyncio, sys
from emafusion.providers.local import LocalProvider, _threads
from emafusion.types import Call, Model

async def main():
    provider = LocalProvider(threads=1)
    model = Model(name="m", provider="p", upstream=sys.argv[1], usd_per_mtok_in=1,
                  usd_per_mtok_out=1, context_window=256, max_output=2)
    call = Call(model=model, messages=({"role": "user", "content": "Hi"},))
    sys.exit(0 if (await provider.complete(call)).text else "no text")

asyncio.run(main())
"""


def test_it_says_nothing_leaves_nothing_and_needs_no_closing(model: Model, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SILENT, model.upstream],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == [], "a socket or a folder was left behind"
