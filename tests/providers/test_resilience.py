"""A vendor that fails is left alone, one that is slow does not take the process with it."""

from __future__ import annotations

import asyncio

import pytest

from emafusion.errors import (
    AuthenticationError,
    BadResponseError,
    DeadlineError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from emafusion.providers.embedding import Embedder, Embedding
from emafusion.providers.openai import OpenAIProvider
from emafusion.providers.resilience import Resilient, Terms, resilient
from emafusion.testing import ScriptedProvider, check_provider
from emafusion.testing.scripted import Script
from emafusion.testing.upstream import Upstream
from emafusion.types import Call, Completion

from .calls import call, model
from .test_breaker import Clock

TERMS = Terms(failures=3, open_s=1.0, patience_s=5.0)


def down() -> UnavailableError:
    return UnavailableError("down", "m")


def around(script: Script, clock: Clock | None = None) -> Resilient:
    return Resilient(ScriptedProvider(script), terms=TERMS, now=clock or Clock())


def asked(provider: Resilient) -> int:
    inner = provider.inner
    assert isinstance(inner, ScriptedProvider)
    return len(inner.calls)


async def complete(provider: Resilient, times: int, question: Call | None = None) -> None:
    for _ in range(times):
        with pytest.raises((UnavailableError, RateLimitedError, BadResponseError, DeadlineError)):
            await provider.complete(question or call())


async def test_it_keeps_the_contract() -> None:
    async with Upstream() as upstream:
        provider = Resilient(OpenAIProvider(upstream.base_url))
        await check_provider(provider, model())
        assert provider.status().busy == 0
        await provider.aclose()


async def test_a_model_that_is_down_is_not_asked() -> None:
    provider = around(down())
    await complete(provider, 3)
    assert asked(provider) == 3
    assert not provider.reachable(model())
    assert not await provider.healthy(model())
    with pytest.raises(UnavailableError, match=r"'the-echo' has failed time and again"):
        await provider.complete(call())
    with pytest.raises(UnavailableError):
        await anext(provider.stream(call()))
    assert asked(provider) == 3
    (circuit,) = provider.status().circuits
    assert (circuit.upstream, circuit.state) == ("echo", "open")


async def test_another_model_of_the_vendor_is_asked() -> None:
    provider = around(lambda one: down() if one.model.upstream == "echo" else "yes")
    await complete(provider, 3)
    assert provider.reachable(model("other"))
    assert (await provider.complete(call("other"))).text == "yes"


async def test_a_trial_that_is_answered_closes_it() -> None:
    clock = Clock()
    provider = around([down(), down(), down(), "yes", "yes"], clock)
    await complete(provider, 3)
    clock.time += 1.0
    assert provider.reachable(model())
    assert (await provider.complete(call())).text == "yes"
    assert (await provider.complete(call())).text == "yes"


async def test_a_stream_that_begins_lets_others_ask() -> None:
    clock = Clock()
    provider = around([down(), down(), down(), "a long answer", "yes"], clock)
    await complete(provider, 3)
    clock.time += 1.0
    stream = provider.stream(call())
    await anext(stream)
    assert (await provider.complete(call())).text == "yes"
    await stream.aclose()
    assert provider.reachable(model())
    assert provider.status().busy == 0


@pytest.mark.parametrize("kind", [RateLimitedError, UnavailableError])
async def test_a_pause_that_was_asked_for_is_kept(
    kind: type[RateLimitedError | UnavailableError],
) -> None:
    clock = Clock()
    provider = around(kind("slow down", "m", retry_after_s=40.0), clock)
    await complete(provider, 1)
    clock.time += 39.0
    with pytest.raises(RateLimitedError) as raised:
        await provider.complete(call())
    assert raised.value.retry_after_s is not None
    assert 1.0 <= raised.value.retry_after_s <= 5.0
    assert asked(provider) == 1


async def test_while_a_short_wait_is_kept_others_are_asked_instead() -> None:
    async with Upstream() as upstream:
        provider = Resilient(OpenAIProvider(upstream.base_url))
        task = asyncio.create_task(provider.complete(call("429-once", timeout_s=30.0)))
        while provider.reachable(model("429-once")):
            assert not task.done()
            await asyncio.sleep(0.01)
        assert provider.reachable(model())
        assert (await task).text == "echo: Hi there"
        assert provider.reachable(model("429-once"))
        await provider.aclose()


@pytest.mark.parametrize(
    ("failure", "closes"),
    [
        (down(), True),
        (BadResponseError("no JSON", "m"), True),
        (AuthenticationError("wrong key", "m"), True),
        (RateLimitedError("slow down", "m"), True),
        (ZeroDivisionError(), True),
        (RejectedError("too long", "m"), False),
        (DeadlineError("at the caller's own haste", "m"), False),
    ],
)
async def test_what_counts_as_the_upstreams_fault(failure: Exception, closes: bool) -> None:
    provider = around(failure)
    for _ in range(6):
        with pytest.raises((type(failure), UnavailableError)):
            await provider.complete(call())
    assert asked(provider) == (3 if closes else 6)


async def test_silence_counts_once_it_was_given_time() -> None:
    clock = Clock()

    class Silent(ScriptedProvider):
        async def complete(self, call: Call) -> Completion:
            self.calls.append(call)
            clock.time += call.timeout_s
            raise DeadlineError("late", "m")

    provider = Resilient(Silent(), terms=TERMS, now=clock)
    await complete(provider, 4, call(timeout_s=1.0))
    assert asked(provider) == 4
    await complete(provider, 4, call(timeout_s=9.0))
    assert asked(provider) == 4 + 3


async def test_a_caller_who_leaves_says_nothing_of_the_upstream() -> None:
    provider = Resilient(ScriptedProvider("x", delay_s=60.0), terms=TERMS)
    for _ in range(4):
        task = asyncio.create_task(provider.complete(call(timeout_s=100.0)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert provider.reachable(model())
    assert provider.status().busy == 0


async def test_so_many_are_asked_at_once_and_so_many_wait() -> None:
    terms = Terms(concurrent=2, queue=3, queue_s=30.0)
    inner = ScriptedProvider("x", delay_s=0.2)
    provider = Resilient(inner, terms=terms)
    tasks = [asyncio.create_task(provider.complete(call(timeout_s=20.0))) for _ in range(9)]
    await asyncio.sleep(0.05)
    assert (provider.status().busy, provider.status().waiting) == (2, 3)
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [end for end in ends if isinstance(end, UnavailableError)]
    assert len(refused) == 4
    assert "2 calls are under way and 3 wait" in str(refused[0])
    assert len(inner.calls) == 5
    assert (provider.status().busy, provider.status().waiting) == (0, 0)
    # Being busy is no failure of the upstream's.
    assert provider.reachable(model())


async def test_nobody_waits_for_ever() -> None:
    terms = Terms(concurrent=1, queue=3, queue_s=0.05)
    provider = Resilient(ScriptedProvider("x", delay_s=60.0), terms=terms)
    task = asyncio.create_task(provider.complete(call(timeout_s=100.0)))
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError, match=r"none ended in 0\.05 s"):
        await provider.complete(call())
    task.cancel()
    await asyncio.wait([task])
    assert (provider.status().busy, provider.status().waiting) == (0, 0)


async def test_what_was_waited_is_taken_off_the_calls_time() -> None:
    terms = Terms(concurrent=1, queue_s=30.0)
    inner = ScriptedProvider("x", delay_s=0.2)
    provider = Resilient(inner, terms=terms)
    await asyncio.gather(*(provider.complete(call(timeout_s=20.0)) for _ in range(2)))
    assert inner.calls[1].timeout_s < 19.9


def test_it_serves_several_loops() -> None:
    provider = Resilient(ScriptedProvider("x", delay_s=0.01), terms=Terms(concurrent=1))

    async def several() -> None:
        await asyncio.gather(*(provider.complete(call()) for _ in range(3)))

    for _ in range(2):
        asyncio.run(several())
    assert provider.status().busy == 0


async def test_it_makes_vectors_where_its_provider_does() -> None:
    class Vectors(ScriptedProvider):
        async def embed(self, call: Call) -> Embedding:
            self.calls.append(call)
            raise down()

    assert not isinstance(resilient(ScriptedProvider()), Embedder)
    provider = resilient(Vectors(), TERMS)
    assert isinstance(provider, Embedder)
    for _ in range(4):
        with pytest.raises(UnavailableError):
            await provider.embed(call())
    assert asked(provider) == 3
