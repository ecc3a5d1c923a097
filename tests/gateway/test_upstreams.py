"""A real upstream that misbehaves in every way, seen through the gateway by the official client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import openai as official
import pytest

from emafusion import gateway
from emafusion.providers.openai import OpenAIProvider
from emafusion.testing.upstream import Upstream
from emafusion.types import Model

from .parts import Served, client_of, served

ASK: list[Any] = [{"role": "user", "content": "Say this."}]
FAILING = {
    "wrong-json": (502, "upstream_bad_response"),
    "wrong-shape": (502, "upstream_bad_response"),
    "bad-utf8": (502, "upstream_bad_response"),
    "early-close": (502, "upstream_unavailable"),
    "close-midway": (502, "upstream_unavailable"),
    "500": (502, "upstream_unavailable"),
    "503": (502, "upstream_unavailable"),
    "429": (429, "rate_limit_exceeded"),
    "400": (400, "upstream_rejected"),
    "403": (502, "upstream_authentication"),
    "404": (400, "upstream_rejected"),
    "redirect": (502, "upstream_bad_response"),
    "error-in-200": (502, "upstream_unavailable"),
    "drip": (504, "deadline_exceeded"),
    "silent": (504, "deadline_exceeded"),
    "huge": (502, "upstream_bad_response"),
}
FAILING_MIDWAY = {
    "close-midway": "upstream_unavailable",
    "end-midway": "upstream_unavailable",
    "error-midway": "upstream_unavailable",
}
ODD = ["no-usage", "no-stream", "no-finish", "chopped", "slow-stream"]


@pytest.fixture(scope="module")
def house() -> Iterator[Served]:
    with running() as upstream:
        names = sorted({"echo", *FAILING, *FAILING_MIDWAY, *ODD})
        models = [
            Model(
                name=name,
                provider="http",
                upstream=name,
                usd_per_mtok_in=1.0,
                usd_per_mtok_out=2.0,
            )
            for name in names
        ]
        provider = OpenAIProvider(upstream.base_url, attempts=1)
        client = client_of({}, models=models, providers={"http": provider})
        # No heartbeat: a stream's status stays open until the upstream has spoken or failed.
        with served(client, gateway.Settings(heartbeat_s=60.0)) as found:
            yield found


class running:  # noqa: N801 - reads as a statement
    """The upstream in a thread of its own."""

    def __enter__(self) -> Upstream:
        self.upstream = Upstream()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._wait(self.upstream.__aenter__())
        return self.upstream

    def __exit__(self, *_: object) -> None:
        self._wait(self.upstream.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)


def ask(house: Served, model: str, **fields: Any) -> Any:
    knobs = {"max_latency_s": 0.4 if model in {"drip", "silent"} else 30.0}
    return house.ask({"model": model, "messages": ASK, "emafusion": knobs, **fields})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", FAILING)
def test_every_failure_has_its_status_and_names_the_model(
    house: Served, model: str, stream: bool
) -> None:
    reply = ask(house, model, stream=stream)
    status, code = FAILING[model]
    begun = stream and model in FAILING_MIDWAY
    assert reply.status == (200 if begun else status)
    error = reply.events[-1]["error"] if begun else reply.error
    assert error["code"] == code
    assert f"{model!r}" in error["message"]
    assert "abcdefgh12345678" not in error["message"]
    assert "Traceback" not in error["message"]


def test_a_limit_is_passed_on_with_its_time(house: Served) -> None:
    assert ask(house, "429").headers["retry-after"] == "30"


@pytest.mark.parametrize("model", FAILING_MIDWAY)
def test_a_stream_that_breaks_says_so(house: Served, model: str) -> None:
    reply = ask(house, model, stream=True)
    assert reply.status == 200
    assert reply.events[-1]["error"]["code"] == FAILING_MIDWAY[model]
    assert "[DONE]" not in reply.events
    assert not any(e["choices"][0].get("finish_reason") for e in reply.events[:-1])


@pytest.mark.parametrize("model", ["echo", *ODD])
def test_an_odd_stream_reads_like_any_other(house: Served, model: str) -> None:
    with official.OpenAI(base_url=f"{house.url}/v1", api_key="x", max_retries=0) as client:
        stream = client.chat.completions.create(
            model=model,
            messages=ASK,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
    *spoken, last = chunks
    assert spoken[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in spoken).endswith("Say this.")
    assert [c.choices[0].finish_reason for c in spoken][-1] == "stop"
    assert last.usage is not None
    assert last.usage.completion_tokens > 0
    assert {chunk.model for chunk in chunks} == {model}
