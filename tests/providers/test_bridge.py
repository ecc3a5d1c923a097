"""The bridge against a real server that speaks Anthropic's format."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest

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
from emafusion.providers.bridge import HANDED_ON, BridgeProvider, vendors
from emafusion.testing import check_provider
from emafusion.testing.upstream import Upstream
from emafusion.types import Call, Usage, replace

from .calls import call, model

pytest.importorskip("any_llm")
pytest.importorskip("anthropic")


@pytest.fixture
async def bridge(upstream: Upstream) -> AsyncIterator[BridgeProvider]:
    provider = BridgeProvider("anthropic", api_key="the-key", base_url=upstream.root)
    yield provider
    await provider.aclose()


async def ask(provider: BridgeProvider, question: Call, *, stream: bool) -> str:
    if not stream:
        return (await provider.complete(question)).text
    return "".join([chunk.text async for chunk in provider.stream(question)])


both_ways = pytest.mark.parametrize("stream", [False, True])


async def test_it_keeps_the_contract(bridge: BridgeProvider) -> None:
    await check_provider(bridge, model())


async def test_the_vendors_own_format_is_spoken(bridge: BridgeProvider, upstream: Upstream) -> None:
    question = replace(call(max_tokens=9, temperature=0.5), model=model(system="Be brief."))
    completion = await bridge.complete(question)
    assert completion.text == "echo: Hi there"
    assert completion.finish_reason == "stop"
    assert completion.usage == Usage(prompt_tokens=3, completion_tokens=3)
    seen = upstream.seen[-1]
    assert seen.path == "/v1/messages"
    assert seen.headers["X-Api-Key"] == "the-key"
    assert seen.body["system"] == "Be brief."
    assert seen.body["messages"] == [{"role": "user", "content": "Hi there"}]
    assert (seen.body["max_tokens"], seen.body["temperature"]) == (9, 0.5)


MARK = {"cache_control": {"type": "ephemeral"}}


@both_ways
async def test_what_a_cache_shall_keep_is_told(
    stream: bool, bridge: BridgeProvider, upstream: Upstream
) -> None:
    part = {"type": "text", "text": "Hi there"}
    function = {"name": "add", "parameters": {"type": "object"}}
    call_ = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    question = replace(
        call("caching", tools=[{"type": "function", "function": function, **MARK}]),
        messages=(
            {"role": "system", "content": [part | MARK]},
            {"role": "user", "content": [part | MARK]},
            {"role": "assistant", "content": None, "tool_calls": [call_]},
            {"role": "tool", "tool_call_id": "c1", "content": [part | MARK]},
        ),
    )
    await ask(bridge, question, stream=stream)
    body: Any = upstream.seen[-1].body
    schema = {"type": "object", "properties": {}}
    assert body["tools"] == [{"name": "add", "input_schema": schema, **MARK}]
    assert body["system"] == [part | MARK]
    first, used, result = body["messages"]
    assert first["content"] == [part | MARK]
    assert used["content"] == [{"type": "tool_use", "id": "c1", "name": "add", "input": {}}]
    told = {"type": "tool_result", "tool_use_id": "c1", "content": [part], **MARK}
    assert result == {"role": "user", "content": [told]}


async def test_a_stream(bridge: BridgeProvider) -> None:
    chunks = [chunk async for chunk in bridge.stream(call())]
    assert "".join(chunk.text for chunk in chunks) == "echo: Hi there"
    assert chunks[-1].usage == Usage(prompt_tokens=3, completion_tokens=3)
    assert chunks[-1].finish_reason == "stop"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("500", UnavailableError),
        ("overloaded", UnavailableError),
        ("early-close", UnavailableError),
        ("close-midway", UnavailableError),
        ("429", RateLimitedError),
        ("403", AuthenticationError),
        ("404", RejectedError),
        ("400", RejectedError),
        ("bad-utf8", BadResponseError),
    ],
)
@both_ways
async def test_each_fault_has_its_error(
    fault: str, error: type[ProviderError], stream: bool, upstream: Upstream
) -> None:
    provider = BridgeProvider("anthropic", api_key="k", base_url=upstream.root, attempts=1)
    with pytest.raises(error) as raised:
        await ask(provider, call(fault, timeout_s=20), stream=stream)
    assert raised.value.model == f"the-{fault}"
    assert "sk-proj" not in str(raised.value)
    await provider.aclose()


@pytest.mark.parametrize("fault", ["wrong-json", "wrong-shape"])
async def test_what_is_no_answer_is_a_bad_response(fault: str, bridge: BridgeProvider) -> None:
    with pytest.raises(BadResponseError):
        await bridge.complete(call(fault))
    with pytest.raises(UnavailableError, match="before its answer was complete"):
        await ask(bridge, call(fault), stream=True)


@both_ways
async def test_what_may_pass_is_tried_again(
    stream: bool, bridge: BridgeProvider, upstream: Upstream
) -> None:
    assert await ask(bridge, call("429-once"), stream=stream) == "echo: Hi there"
    assert upstream.count("429-once") == 2


@both_ways
async def test_the_deadline_holds(stream: bool, bridge: BridgeProvider, upstream: Upstream) -> None:
    await bridge.complete(call())  # the package's import is no part of what is tested
    with pytest.raises(DeadlineError, match=r"no complete answer in 0\.3 s"):
        await ask(bridge, call("silent", timeout_s=0.3), stream=stream)
    assert await asyncio.wait_for(upstream.left.wait(), 2)


async def test_health(bridge: BridgeProvider) -> None:
    assert await bridge.healthy(model())
    nobody = BridgeProvider("anthropic", api_key="k", base_url="http://127.0.0.1:1")
    assert not await nobody.healthy(model())
    await nobody.aclose()


async def test_a_parameter_the_vendor_does_not_know_is_refused(bridge: BridgeProvider) -> None:
    knob: dict[str, Any] = {"vendor_knob": 3}
    with pytest.raises(RejectedError, match="vendor_knob"):
        await bridge.complete(call(**knob))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("extra_body", {"model": "a-dearer-one", "max_tokens": 64000}),
        ("extra_headers", {"x-api-key": "another"}),
        ("extra_query", {"a": "b"}),
        ("http_options", {"base_url": "http://127.0.0.1:1"}),
        ("client_args", {}),
        ("timeout", 0.0001),
        ("self", 1),
        ("session_label", "x"),
    ],
)
@both_ways
async def test_no_argument_of_the_vendors_package_can_be_smuggled_in(
    name: str, value: object, stream: bool, bridge: BridgeProvider, upstream: Upstream
) -> None:
    params: dict[str, Any] = {name: value}
    with pytest.raises(RejectedError, match=name):
        await ask(bridge, call(**params), stream=stream)
    assert not upstream.seen


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", "hot"), ("tool_choice", 7), ("reasoning_effort", "much")]
)
@both_ways
async def test_what_is_wrong_with_the_request_is_not_laid_at_the_vendors_door(
    name: str, value: object, stream: bool, bridge: BridgeProvider, upstream: Upstream
) -> None:
    params: dict[str, Any] = {name: value}
    with pytest.raises(RejectedError):
        await ask(bridge, call(**params), stream=stream)
    assert not upstream.seen


async def test_every_argument_that_is_handed_on_is_one_of_the_chat_protocol() -> None:
    from any_llm import AnyLLM

    named = set(inspect.signature(AnyLLM.acompletion).parameters)
    assert HANDED_ON - named == {"top_k"}
    others = {"self", "model", "messages", "stream", "stream_options", "session_label", "timeout"}
    assert named - HANDED_ON == others | {"kwargs"}


async def test_notes_of_clients_are_left_out(bridge: BridgeProvider, upstream: Upstream) -> None:
    notes: dict[str, Any] = {"metadata": {"a": "b"}, "store": False, "verbosity": "low"}
    await bridge.complete(call(**notes))
    assert not {*notes} & {*upstream.seen[-1].body}


async def test_a_missing_key_is_an_authentication_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    provider = BridgeProvider("anthropic")
    assert not await provider.healthy(model())
    with pytest.raises(AuthenticationError, match="ANTHROPIC_API_KEY"):
        await provider.complete(call())


async def test_a_vendor_whose_package_is_missing() -> None:
    pytest.importorskip("any_llm")
    with pytest.raises(UnavailableError, match=r"pip install 'any-llm-sdk\[watsonx\]'"):
        await BridgeProvider("watsonx", api_key="k").complete(call())


def test_an_unknown_vendor_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no vendor is named 'antropic'; there are anthropic"):
        BridgeProvider("antropic")
    assert {"anthropic", "gemini", "bedrock", "mistral"} <= set(vendors())


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(BridgeProvider("anthropic", api_key="secret"))


async def test_a_prompts_cache_is_counted(bridge: BridgeProvider) -> None:
    """The vendor counts it beside the input; here it is a part of the prompt."""
    whole = (await bridge.complete(call("caching"))).usage
    chunks = [chunk async for chunk in bridge.stream(call("caching"))]
    streamed = chunks[-1].usage
    assert streamed is not None
    for usage in (whole, streamed):
        assert usage.prompt_tokens == 1003
        assert usage.cached_tokens == 700
        assert (usage.cache_write_tokens, usage.cache_write_1h_tokens) == (100, 200)
