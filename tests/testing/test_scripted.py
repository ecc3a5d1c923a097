from __future__ import annotations

import asyncio

import pytest

from emafusion.errors import DeadlineError, RejectedError, UnavailableError
from emafusion.testing import ScriptedProvider, check_provider
from emafusion.types import Call, Completion, Model, Usage

MODEL = Model(name="m", provider="p", upstream="u", usd_per_mtok_in=1, usd_per_mtok_out=1)


def call(prompt: str = "question", *, timeout_s: float = 5.0) -> Call:
    return Call(model=MODEL, messages=({"role": "user", "content": prompt},), timeout_s=timeout_s)


async def texts(provider: ScriptedProvider, *prompts: str) -> list[str]:
    return [(await provider.complete(call(prompt))).text for prompt in prompts]


async def test_it_keeps_the_contract() -> None:
    await check_provider(ScriptedProvider("hello there", delay_s=0.01, logprob=-0.5), MODEL)


async def test_the_script_may_take_any_form() -> None:
    whole = Completion(text="whole", usage=Usage(prompt_tokens=1), finish_reason="length")
    assert await texts(ScriptedProvider("same"), "a", "b") == ["same", "same"]
    assert await texts(ScriptedProvider(["one", whole]), "a", "b") == ["one", "whole"]
    assert await texts(ScriptedProvider({"a": "to a", "m": "to m"}), "a", "b") == ["to a", "to m"]
    echo = ScriptedProvider(lambda asked: str(asked.messages[0]["content"]))
    assert await texts(echo, "a", "b") == ["a", "b"]
    assert (await ScriptedProvider(whole).complete(call())) is whole


async def test_a_script_that_has_nothing_to_say_says_so() -> None:
    with pytest.raises(RejectedError, match="ended after 1 replies"):
        await texts(ScriptedProvider(["one"]), "a", "b")
    with pytest.raises(RejectedError, match="no reply for this prompt, nor for 'm'"):
        await texts(ScriptedProvider({"a": "to a"}), "b")


async def test_it_fails_on_purpose() -> None:
    provider = ScriptedProvider([UnavailableError("down", "m"), "up"])
    with pytest.raises(UnavailableError, match="down"):
        await provider.complete(call())
    assert await texts(provider, "a") == ["up"]


async def test_it_remembers_its_calls() -> None:
    provider = ScriptedProvider()
    await texts(provider, "a", "b")
    assert [asked.messages[0]["content"] for asked in provider.calls] == ["a", "b"]


async def test_log_probabilities_are_one_a_token() -> None:
    completion = await ScriptedProvider("eight ch", logprob=-0.5).complete(call())
    assert completion.usage.completion_tokens == 2
    assert completion.logprobs == (-0.5, -0.5)


async def test_a_delay_longer_than_the_deadline() -> None:
    with pytest.raises(DeadlineError):
        await ScriptedProvider(delay_s=5).complete(call(timeout_s=0.01))


async def test_cancellations_are_counted() -> None:
    provider = ScriptedProvider("a long answer", delay_s=5)
    task = asyncio.create_task(provider.complete(call()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.cancelled == 1
    provider.delay_s = 0
    stream = provider.stream(call())
    assert (await anext(stream)).text == "a long a"
    await stream.aclose()
    assert provider.cancelled == 2


async def test_once_closed_it_answers_no_more() -> None:
    provider = ScriptedProvider()
    await provider.aclose()
    assert not await provider.healthy(MODEL)
    with pytest.raises(UnavailableError):
        await provider.complete(call())
