"""What Anthropic's format says that the chat protocol does not: asked so, and told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from emafusion.errors import ProviderError, RateLimitedError, RejectedError, UnavailableError
from emafusion.providers.bridge import BridgeProvider
from emafusion.providers.retry import asked_s
from emafusion.providers.wire import THINKING
from emafusion.types import Call, Chunk

from .calls import call

pytest.importorskip("any_llm")
pytest.importorskip("anthropic")

USED = {"input_tokens": 3, "output_tokens": 2}
MESSAGE: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "model": "claude"}
BLOCK: dict[str, Any] = {"type": "text", "text": ""}


class Vendor:
    """A server whose answers stop at the first sequence asked for, or are refused as it is told."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.refusal: web.Response | None = None
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        if self.refusal is not None:
            return self.refusal
        stops = body.get("stop_sequences") or [None]
        end = {
            "stop_reason": "stop_sequence" if stops[0] else "end_turn",
            "stop_sequence": stops[0],
        }
        if not body.get("stream"):
            content = [{"type": "text", "text": "Hel"}]
            return web.json_response({**MESSAGE, **end, "content": content, "usage": USED})
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        begun = {
            **MESSAGE,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": USED,
        }
        for event in (
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": BLOCK},
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": "Hel"},
            },
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": USED},
            {"type": "message_stop"},
        ):
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        return response


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    found = Vendor()
    app = web.Application()
    app.router.add_post("/v1/messages", found.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


@pytest.fixture
async def bridge(vendor: Vendor) -> AsyncIterator[BridgeProvider]:
    provider = BridgeProvider("anthropic", api_key="k", base_url=vendor.url, attempts=1)
    yield provider
    await provider.aclose()


def choices(raw: Any) -> Any:
    return raw["choices"][0]


async def test_the_sequence_that_ended_an_answer_is_told(bridge: BridgeProvider) -> None:
    question = call(timeout_s=60.0, stop=["lo"])
    whole = await bridge.complete(question)
    assert choices(whole.raw)["stop_reason"] == "lo"
    pieces: list[Chunk] = [chunk async for chunk in bridge.stream(question)]
    told = [choices(one.raw).get("stop_reason") for one in pieces if (one.raw or {}).get("choices")]
    assert [one for one in told if one] == ["lo"]
    assert "stop_reason" not in choices((await bridge.complete(call(timeout_s=60.0))).raw)


@pytest.mark.parametrize("effort", [{}, {"reasoning_effort": "low"}])
async def test_thinking_is_asked_for_as_the_caller_did(
    effort: dict[str, Any], bridge: BridgeProvider, vendor: Vendor
) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    params = {"max_tokens": 2000, THINKING: thinking, **effort}
    await bridge.complete(call("claude-sonnet-4-5", timeout_s=60.0, **params))
    assert vendor.asked[-1]["thinking"] == thinking
    assert vendor.asked[-1]["max_tokens"] == 2000


async def test_what_the_format_calls_otherwise(bridge: BridgeProvider, vendor: Vendor) -> None:
    params: dict[str, Any] = {"max_completion_tokens": 9, "user": "ann", "prompt_cache_key": "x"}
    await bridge.complete(call(timeout_s=60.0, **params))
    body = vendor.asked[-1]
    assert (body["max_tokens"], body["metadata"]) == (9, {"user_id": "ann"})
    assert not {*params} & {*body}


NOTHING: dict[str, Any] = {
    "frequency_penalty": 0,
    "presence_penalty": 0.0,
    "logit_bias": {},
    "logprobs": False,
    "top_logprobs": 0,
    "n": 1,
    "parallel_tool_calls": True,
    "response_format": {"type": "text"},
    "seed": None,
    "stop": [],
    "tools": [],
}


async def test_what_says_nothing_is_left_out(bridge: BridgeProvider, vendor: Vendor) -> None:
    await bridge.complete(call(timeout_s=60.0, **NOTHING))
    assert {*vendor.asked[-1]} == {"model", "messages", "max_tokens"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("presence_penalty", 0.5),
        ("frequency_penalty", 1),
        ("logit_bias", {"1": 2}),
        ("seed", 1),
        ("n", 2),
        ("logprobs", True),
        ("weird", 1),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_vendor_does_not_take_is_refused_by_name(
    name: str, value: object, stream: bool, bridge: BridgeProvider, vendor: Vendor
) -> None:
    params: dict[str, Any] = {name: value}
    question = call(timeout_s=60.0, **params)
    error = await failure(bridge, question, stream=stream)
    assert isinstance(error, RejectedError)
    assert (error.status, error.code, error.param) == (400, "unsupported_parameter", name)
    assert name in str(error)
    assert "argument" not in str(error)
    assert not vendor.asked


async def failure(bridge: BridgeProvider, question: Call, *, stream: bool = False) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        if stream:
            _ = [chunk async for chunk in bridge.stream(question)]
        else:
            await bridge.complete(question)
    return raised.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (408, UnavailableError),
        (429, RateLimitedError),
        (503, UnavailableError),
        (529, UnavailableError),
    ],
)
async def test_a_wait_that_is_asked_for_is_known(
    status: int, kind: type[ProviderError], bridge: BridgeProvider, vendor: Vendor
) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    vendor.refusal = web.json_response(error, status=status, headers={"Retry-After": "2"})
    found = await failure(bridge, call(timeout_s=60.0))
    assert type(found) is kind
    assert asked_s(found) == 2.0
    assert not bridge.reachable(call().model)


async def test_a_refusal_keeps_its_status(bridge: BridgeProvider, vendor: Vendor) -> None:
    error = {"type": "error", "error": {"type": "request_too_large", "message": "Too large"}}
    vendor.refusal = web.json_response(error, status=413)
    found = await failure(bridge, call(timeout_s=60.0))
    assert isinstance(found, RejectedError)
    assert (found.status, found.code) == (413, None)


async def test_where_nobody_answers_is_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    provider = BridgeProvider("anthropic", api_key="k", base_url="http://127.0.0.1:1", attempts=1)
    found = await failure(provider, call(timeout_s=60.0))
    assert isinstance(found, UnavailableError)
    assert "127.0.0.1" not in str(found)
    await provider.aclose()
