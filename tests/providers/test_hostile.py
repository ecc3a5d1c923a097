"""An upstream that does what none should: the right error, in time, and nothing left behind."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from emafusion.errors import (
    BadResponseError,
    DeadlineError,
    ProviderError,
    UnavailableError,
)
from emafusion.providers.ending import BrokenOff
from emafusion.providers.openai import OpenAIProvider
from emafusion.testing.hostile import HOSTILE, PLANTED, Hostile
from emafusion.types import Call

from .calls import call

Ask = Callable[[OpenAIProvider, Call], Awaitable[str]]
MOST_BYTES = 140 << 20
"""Of memory that the greatest flood may take while it lasts: four times what is read of it."""

# What a whole answer and a stream come to; None is an answer.
Error = type[ProviderError]
# Read to its bound, if the machine is quick enough for the deadline.
BOUNDED = (BadResponseError, DeadlineError)
ENDS: dict[str, tuple[Error | None, Error | tuple[Error, ...] | None]] = {
    "hang": (DeadlineError, DeadlineError),
    "hang-after-head": (DeadlineError, DeadlineError),
    "hang-midway": (DeadlineError, BrokenOff),
    "drip-head": (DeadlineError, DeadlineError),
    "drip-body": (DeadlineError, DeadlineError),
    "comments": (DeadlineError, BrokenOff),
    "continues": (DeadlineError, DeadlineError),
    "reset": (UnavailableError, UnavailableError),
    "reset-after-head": (BadResponseError, BrokenOff),
    "reset-midway": (BadResponseError, BrokenOff),
    "endless-heads": (BadResponseError, BadResponseError),
    "long-head": (BadResponseError, BadResponseError),
    "endless-body": (BadResponseError, BadResponseError),
    "endless-events": (BadResponseError, BOUNDED),
    "endless-chunks": (DeadlineError, DeadlineError),
    "bomb": (BadResponseError, BadResponseError),
    "long-answer": (None, None),
    "garbage": (BadResponseError, BadResponseError),
    "page": (BadResponseError, BadResponseError),
    "metadata": (BadResponseError, BadResponseError),
    "bad-chunk": (BadResponseError, BadResponseError),
    "short-length": (None, None),
    "late-answer": (None, None),
    "long-length": (BrokenOff, BrokenOff),
    "done-at-once": (BadResponseError, BadResponseError),
    "null": (BadResponseError, BadResponseError),
    "list": (BadResponseError, BadResponseError),
    "text": (BadResponseError, BadResponseError),
    "no-choices": (BadResponseError, None),
    "null-choices": (BadResponseError, BadResponseError),
    "null-choice": (BadResponseError, BadResponseError),
    "number-content": (BadResponseError, BadResponseError),
    "deep": (BadResponseError, BadResponseError),
    "surrogate": (BadResponseError, BadResponseError),
    "usage-missing": (None, None),
    "usage-negative": (None, None),
    "usage-huge": (None, None),
    "usage-fraction": (None, None),
    "usage-text": (None, None),
    "usage-nan": (BadResponseError, BadResponseError),
}
QUICK = [name for name, ends in ENDS.items() if DeadlineError not in ends]
FLOODS = [name for name in ENDS if name.startswith(("endless", "long", "bomb"))]


@pytest.fixture
async def hostile() -> AsyncIterator[Hostile]:
    async with Hostile() as server:
        yield server


@pytest.fixture
async def asked(hostile: Hostile) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider(hostile.base_url, attempts=1, stall_s=0.3)
    yield provider
    await provider.aclose()


async def whole(provider: OpenAIProvider, question: Call) -> str:
    return (await provider.complete(question)).text


async def streamed(provider: OpenAIProvider, question: Call) -> str:
    return "".join([chunk.text async for chunk in provider.stream(question)])


def test_every_fault_has_its_end() -> None:
    assert set(ENDS) == set(HOSTILE)


def patience(fault: str) -> float:
    quick = {"endless-events": 3.0}
    return 0.6 if DeadlineError in ENDS[fault] else quick.get(fault, 120.0)


@pytest.mark.parametrize(("place", "ask"), [(0, whole), (1, streamed)])
@pytest.mark.parametrize("fault", ENDS)
async def test_each_fault_has_its_end(
    fault: str, place: int, ask: Ask, asked: OpenAIProvider
) -> None:
    await asked.warm()
    begun = time.monotonic()
    error = ENDS[fault][place]
    if error is None:
        assert PLANTED not in await ask(asked, call(fault, timeout_s=patience(fault)))
    else:
        with pytest.raises(error) as raised:
            await ask(asked, call(fault, timeout_s=patience(fault)))
        assert raised.value.model == f"the-{fault}"
        assert len(str(raised.value)) < 500
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("ask", [whole, streamed])
@pytest.mark.parametrize(
    "fault", [name for name, ends in ENDS.items() if DeadlineError not in ends]
)
async def test_the_next_question_gets_its_own_answer(
    fault: str, ask: Ask, asked: OpenAIProvider
) -> None:
    """Whatever a connection still holds, nobody reads it as the answer to another question."""
    with pytest.raises(ProviderError):
        await ask(asked, call(fault))
        raise UnavailableError("it was answered, which is as good here", "m")
    await asyncio.sleep(0.1)
    # What was sent unasked is found when the connection is used again, and asking again mends it.
    asked.attempts = 2
    assert await ask(asked, call(prompt="Who?")) == "echo: Who?"
    assert await whole(asked, call(prompt="Where?")) == "echo: Where?"


@pytest.mark.parametrize("ask", [whole, streamed])
@pytest.mark.parametrize("fault", FLOODS)
async def test_a_flood_takes_bounded_memory(fault: str, ask: Ask, asked: OpenAIProvider) -> None:
    await asked.warm()
    tracemalloc.start()
    try:
        with pytest.raises(ProviderError):
            await ask(asked, call(fault, timeout_s=1.5))
            raise UnavailableError("it was answered, which is as good here", "m")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MOST_BYTES


async def test_the_right_answer_is_kept_alive(hostile: Hostile, asked: OpenAIProvider) -> None:
    for _ in range(3):
        assert await whole(asked, call()) == "echo: Hi there"
        assert await streamed(asked, call()) == "echo: Hi there"
    assert hostile.connections == 1


@pytest.mark.parametrize("fault", ["usage-missing", "usage-negative", "usage-huge"])
async def test_a_count_that_cannot_be_is_estimated(fault: str, asked: OpenAIProvider) -> None:
    completion = await asked.complete(call(fault))
    assert not completion.usage.counted
    assert 0 < completion.usage.prompt_tokens < 100
    chunks = [chunk async for chunk in asked.stream(call(fault))]
    assert chunks[-1].usage is not None
    assert 0 < chunks[-1].usage.prompt_tokens < 100


async def test_a_pause_before_the_answer_is_no_stall(asked: OpenAIProvider) -> None:
    with pytest.raises(DeadlineError):
        await streamed(asked, call("hang-after-head", timeout_s=0.6))


async def test_a_client_that_leaves_ends_the_call(asked: OpenAIProvider) -> None:
    stream = asked.stream(call("comments", timeout_s=600))
    await anext(stream)
    begun = time.monotonic()
    await stream.aclose()
    assert time.monotonic() - begun < 20
