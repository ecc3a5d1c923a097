"""The provider for OpenAI-compatible endpoints against a real HTTP server, right and wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from emafusion.errors import (
    AuthenticationError,
    BadResponseError,
    ConfigError,
    DeadlineError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from emafusion.providers import endpoint
from emafusion.providers.openai import OpenAIProvider
from emafusion.testing import check_provider
from emafusion.testing.upstream import Upstream
from emafusion.types import Call, Usage, replace

from .calls import call, model

Ask = Callable[[OpenAIProvider, Call], Awaitable[object]]


async def whole(provider: OpenAIProvider, question: Call) -> object:
    return await provider.complete(question)


async def streamed(provider: OpenAIProvider, question: Call) -> object:
    return [chunk async for chunk in provider.stream(question)]


both_ways = pytest.mark.parametrize("ask", [whole, streamed])


async def gone(upstream: Upstream) -> bool:
    """Whether a client is seen to leave in good time."""
    return await asyncio.wait_for(upstream.left.wait(), 30)


async def test_it_keeps_the_contract(provider: OpenAIProvider) -> None:
    await check_provider(provider, model())


async def test_a_completion_carries_all_that_came(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    completion = await provider.complete(call(logprobs=True, temperature=0.3, vendor_knob=[1]))
    assert completion.text == "echo: Hi there"
    assert completion.usage == Usage(prompt_tokens=3, completion_tokens=3, cached_tokens=1)
    assert completion.logprobs == (-0.25, -0.25, -0.25)
    assert completion.raw is not None
    assert completion.raw["vendor_field"] == {"kept": True}
    body = upstream.seen[0].body
    assert body == {
        "model": "echo",
        "messages": [{"role": "user", "content": "Hi there"}],
        "logprobs": True,
        "temperature": 0.3,
        "vendor_knob": [1],
    }


async def test_a_stream_carries_all_that_came(provider: OpenAIProvider, upstream: Upstream) -> None:
    chunks = [chunk async for chunk in provider.stream(call(max_tokens=9))]
    assert "".join(chunk.text for chunk in chunks) == "echo: Hi there"
    assert chunks[-1].usage == Usage(prompt_tokens=3, completion_tokens=3, cached_tokens=1)
    assert chunks[-1].finish_reason == "stop"
    assert all(chunk.raw and chunk.raw["vendor_field"] == {"kept": True} for chunk in chunks)
    assert upstream.seen[0].body["stream_options"] == {"include_usage": True}
    assert upstream.seen[0].body["max_tokens"] == 9


async def test_tools_pass_both_ways(provider: OpenAIProvider, upstream: Upstream) -> None:
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    completion = await provider.complete(call(tools=tools))
    assert completion.finish_reason == "tool_calls"
    assert completion.tool_calls[0]["function"] == {
        "name": "look_up",
        "arguments": '{"text": "echo: Hi there"}',
    }
    assert upstream.seen[0].body["tools"] == tools


async def test_the_models_system_prompt_leads_where_there_is_none(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    terse = model(system="Be brief.")
    await provider.complete(replace(call(), model=terse))
    own = ({"role": "system", "content": "Rhyme."}, {"role": "user", "content": "Hi"})
    await provider.complete(replace(call(), model=terse, messages=own))
    first, second = (seen.body["messages"] for seen in upstream.seen)
    assert isinstance(first, list)
    assert first[0] == {"role": "system", "content": "Be brief."}
    assert second == list(own)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("wrong-json", BadResponseError),
        ("wrong-shape", BadResponseError),
        ("bad-utf8", BadResponseError),
        ("huge", BadResponseError),
        ("redirect", BadResponseError),
        ("early-close", UnavailableError),
        ("close-midway", UnavailableError),
        ("500", UnavailableError),
        ("503", UnavailableError),
        ("error-in-200", UnavailableError),
        ("429", RateLimitedError),
        ("400", RejectedError),
        ("404", RejectedError),
        ("403", AuthenticationError),
    ],
)
@both_ways
async def test_each_fault_has_its_error(
    ask: Ask, fault: str, error: type[ProviderError], upstream: Upstream
) -> None:
    provider = OpenAIProvider(upstream.base_url, attempts=1)
    with pytest.raises(error) as raised:
        await ask(provider, call(fault, timeout_s=20))
    await provider.aclose()
    assert raised.value.model == f"the-{fault}"
    assert "sk-proj" not in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("fault", ["end-midway", "error-midway"])
async def test_a_stream_that_breaks_off_is_not_an_answer(
    fault: str, provider: OpenAIProvider
) -> None:
    texts = ""
    with pytest.raises(UnavailableError):
        async for chunk in provider.stream(call(fault)):
            texts += chunk.text
    assert texts == "echo: Hi"


@pytest.mark.parametrize("fault", ["429-once", "500-once", "early-close-once"])
@both_ways
async def test_what_may_pass_is_tried_again(
    ask: Ask, fault: str, provider: OpenAIProvider, upstream: Upstream
) -> None:
    begun = time.monotonic()
    assert await ask(provider, call(fault))
    assert upstream.count(fault) == 2
    if fault == "429-once":
        assert time.monotonic() - begun >= 0.2, "Retry-After was not waited for"


async def test_what_will_not_pass_is_not_tried_again(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    for fault in ("400", "403", "wrong-json"):
        with pytest.raises(ProviderError):
            await provider.complete(call(fault))
        assert upstream.count(fault) == 1


async def test_a_wait_that_outlasts_the_deadline_is_not_begun(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    begun = time.monotonic()
    with pytest.raises(RateLimitedError) as raised:
        await provider.complete(call("429"))
    assert raised.value.retry_after_s == 30
    assert time.monotonic() - begun < 20
    assert upstream.count("429") == 1


@pytest.mark.parametrize("fault", ["silent", "drip"])
@both_ways
async def test_the_deadline_holds_and_the_connection_is_closed(
    ask: Ask, fault: str, provider: OpenAIProvider, upstream: Upstream
) -> None:
    begun = time.monotonic()
    with pytest.raises(DeadlineError, match=f"'the-{fault}' gave no complete answer in 0.3 s"):
        await ask(provider, call(fault, timeout_s=0.3))
    assert time.monotonic() - begun < 20
    assert await gone(upstream)


async def test_a_slow_reader_does_not_cost_the_upstream_its_deadline(
    provider: OpenAIProvider,
) -> None:
    texts = []
    async for chunk in provider.stream(call(timeout_s=0.4)):
        texts.append(chunk.text)
        await asyncio.sleep(0.15)
    assert "".join(texts) == "echo: Hi there"


async def test_cancelling_closes_the_connection(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    task = asyncio.create_task(provider.complete(call("silent", timeout_s=60)))
    await upstream.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(upstream)


async def test_leaving_a_stream_closes_the_connection(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    stream = provider.stream(call("slow-stream", prompt="many words " * 20))
    await anext(stream)
    await stream.aclose()
    assert await gone(upstream)


async def test_the_connection_is_used_again_after_a_stream(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    await streamed(provider, call())
    first = await open_connections(provider)
    await streamed(provider, call())
    await whole(provider, call())
    assert await open_connections(provider) == first == 1


async def open_connections(provider: OpenAIProvider) -> int:
    """Idle pooled connections; a look inside aiohttp, which has no other way to tell."""
    session = provider._endpoint._session()
    assert session.connector is not None
    return sum(len(conns) for conns in session.connector._conns.values())


@pytest.mark.parametrize("fault", ["chopped", "no-finish", "no-stream", "no-usage"])
async def test_odd_streams_are_understood(fault: str, provider: OpenAIProvider) -> None:
    chunks = [chunk async for chunk in provider.stream(call(fault, prompt="é € 𝄞 ok"))]
    assert "".join(chunk.text for chunk in chunks) == "echo: é € 𝄞 ok"
    assert chunks[-1].finish_reason == "stop"
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.counted == (fault != "no-usage")
    assert usage.completion_tokens > 0


async def test_usage_that_is_missing_is_estimated_and_marked(provider: OpenAIProvider) -> None:
    completion = await provider.complete(call("no-usage", prompt="x" * 100))
    assert completion.usage == Usage(prompt_tokens=29, completion_tokens=27, counted=False)


async def test_health(upstream: Upstream) -> None:
    right = OpenAIProvider(upstream.base_url)
    async with Upstream(api_key="the-key") as locked:
        refused = OpenAIProvider(locked.base_url, api_key="another")
        admitted = OpenAIProvider(locked.base_url, api_key="the-key")
        assert await right.healthy(model())
        assert await admitted.healthy(model())
        assert not await refused.healthy(model())
        for provider in (right, refused, admitted):
            await provider.aclose()
    nobody = OpenAIProvider("http://127.0.0.1:1/v1")
    assert not await nobody.healthy(model())
    await nobody.aclose()


@pytest.mark.parametrize("host", ["127.0.0.1:1", "nobody.invalid"])
async def test_nobody_there(host: str, caplog: pytest.LogCaptureFixture) -> None:
    """Callers read what is raised: where we asked is for the log."""
    provider = OpenAIProvider(f"http://{host}/v1", attempts=1)
    told = r"^no connection to the upstream of 'the-echo': [\w ]+$"
    with pytest.raises(UnavailableError, match=told) as raised:
        await provider.complete(call())
    assert host.partition(":")[0] not in str(raised.value)
    assert host in caplog.text
    await provider.aclose()


async def test_the_key_is_sent_and_never_shown() -> None:
    key = "plain words as a key"
    async with Upstream(api_key="another") as locked:
        provider = OpenAIProvider(locked.base_url, api_key=key)
        with pytest.raises(AuthenticationError) as raised:
            await provider.complete(call())
        assert key not in str(raised.value)
        assert key not in repr(provider)
        assert "[redacted]" in str(raised.value), "the upstream repeats the key: it was sent"
        await provider.aclose()


async def test_credentials_in_the_address_are_not_shown() -> None:
    assert "hunter2" not in repr(OpenAIProvider("http://me:hunter2@127.0.0.1/v1"))


@pytest.mark.parametrize("address", ["", "127.0.0.1:80", "ftp://host/v1", "http:///v1"])
def test_a_bad_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        OpenAIProvider(address)


def test_a_key_with_a_line_break_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="line break") as raised:
        OpenAIProvider("http://127.0.0.1/v1", api_key="top\nsecret")
    assert "secret" not in str(raised.value)


async def test_what_is_not_json_is_refused_before_it_is_sent(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    with pytest.raises(RejectedError, match="'object'"):
        await provider.complete(call(stop=object()))
    assert upstream.seen == []


def test_it_serves_several_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    async def session() -> None:
        async with Upstream() as upstream:
            provider = OpenAIProvider(upstream.base_url)
            here = await provider.complete(call())
            there = await asyncio.to_thread(asyncio.run, elsewhere(provider))
            assert here.text == there == "echo: Hi there"
            await provider.aclose()

    async def elsewhere(provider: OpenAIProvider) -> str:
        completion = await provider.complete(call())
        await provider.aclose()
        return completion.text

    asyncio.run(session())


async def test_vectors_may_be_longer_than_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answered(request: web.Request) -> web.Response:
        wide = {"index": 0, "embedding": "A" * (96 << 10)}
        return web.json_response({"data": [wide], "choices": [{"message": wide}]})

    app = web.Application()
    app.router.add_post("/{path:.*}", answered)
    monkeypatch.setattr(endpoint, "LARGEST_BODY", 64 << 10)
    assert endpoint.LARGEST_VECTORS > 4 * 2048 * 3072 * 4 / 3
    async with TestServer(app) as server:
        provider = OpenAIProvider(str(server.make_url("/v1")))
        assert (await provider.embed(replace(call(input="x"), purpose="embed"))).raw["data"]
        monkeypatch.setattr(endpoint, "LARGEST_VECTORS", 64 << 10)
        with pytest.raises(BadResponseError, match="sent more than"):
            await provider.embed(replace(call(input="x"), purpose="embed"))
        await provider.aclose()


async def test_answers_that_are_read_together_have_a_bound_together(
    provider: OpenAIProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "LARGEST_HELD", 1 << 20)
    long = replace(call(), messages=({"role": "user", "content": "x" * (300 << 10)},))
    assert await provider.complete(long)
    together = await asyncio.gather(
        *(provider.complete(long) for _ in range(12)), return_exceptions=True
    )
    refused = [one for one in together if isinstance(one, BadResponseError)]
    assert "more at once than 1 MiB in all" in str(refused[0])
    assert await provider.complete(long), "what was read is let go"
