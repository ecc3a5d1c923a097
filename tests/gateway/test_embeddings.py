"""Vectors from configured models: passed through, priced and on record."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import openai as official
import pytest
from aiohttp import web

from emafusion.errors import (
    BadResponseError,
    DeadlineError,
    RejectedError,
    UnavailableError,
)
from emafusion.providers.embedding import Embedder, Embedding
from emafusion.providers.ending import BrokenOff
from emafusion.providers.openai import OpenAIProvider
from emafusion.record.memory import Memory
from emafusion.types import Call, Model, Usage, replace

from .parts import Script, Scripted, Served, catalog, client_of, served, until

Answering = Callable[[web.Request], Awaitable[web.Response]]
PATH = "/v1/embeddings"
RAW: dict[str, Any] = {
    "object": "list",
    "model": "upstream-name",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5], "novelty": 1}],
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}


class Vectors(Scripted):
    """A provider that can do both."""

    failure: Exception | None = None
    took_s = 0.0
    calls: list[Call]

    async def embed(self, call: Call) -> Embedding:
        self.calls = [call]
        await asyncio.sleep(self.took_s)
        if self.failure is not None:
            raise self.failure
        return Embedding(raw=RAW, usage=Usage(prompt_tokens=4))


@pytest.fixture
def vectors() -> Vectors:
    return Vectors({"small": Script()})


@pytest.fixture
def house(vectors: Vectors) -> Iterator[Served]:
    [model] = catalog(["vec"], capabilities=frozenset({"embeddings"}))
    models = [*catalog(["small"]), replace(model, provider="vectors", usd_per_mtok_out=0.0)]
    client = client_of({"small": Script()}, models=models, providers={"vectors": vectors})
    with served(client) as found:
        yield found


def test_the_official_client_gets_its_vectors(house: Served, vectors: Vectors) -> None:
    with official.OpenAI(base_url=f"{house.url}/v1", api_key="x", max_retries=0) as client:
        raw = client.embeddings.with_raw_response.create(
            model="vec",
            input=["one", "two"],
            encoding_format="float",
            dimensions=2,
            extra_body={"novelty": 7},
        )
    found = raw.parse()
    assert found.data[0].embedding == [0.5, -0.5]
    assert found.model == "vec"
    assert found.usage.prompt_tokens == 4
    [call] = vectors.calls
    assert call.params == {
        "input": ["one", "two"],
        "encoding_format": "float",
        "dimensions": 2,
        "novelty": 7,
    }
    assert float(raw.headers["x-emafusion-cost-usd"]) == pytest.approx(4e-6)
    decision = house.get(f"/v1/decisions/{raw.headers['x-emafusion-decision']}").json
    assert decision["model"] == "vec"
    assert decision["cost_usd"] == pytest.approx(4e-6)


def test_a_failure_has_its_status_and_is_on_record(house: Served, vectors: Vectors) -> None:
    vectors.failure = UnavailableError("down", "vec")
    reply = house.ask({"model": "vec", "input": "one"}, path=PATH)
    assert reply.status == 502
    decision = house.get(f"/v1/decisions/{reply.headers['x-emafusion-decision']}").json
    assert decision["error"] == "UnavailableError: down"


@pytest.mark.parametrize(
    "failure",
    [BadResponseError("odd", "vec"), DeadlineError("late", "vec"), BrokenOff("cut", "vec")],
)
def test_what_may_have_been_billed_is_booked(
    house: Served, vectors: Vectors, failure: Exception
) -> None:
    vectors.failure = failure
    body = {"model": "vec", "input": ["x" * 4000, [5] * 300, 7]}
    reply = house.ask(body, path=PATH)
    decision = house.get(f"/v1/decisions/{reply.headers['x-emafusion-decision']}").json
    assert decision["cost_usd"] == pytest.approx(1301e-6)


def test_who_leaves_may_owe_all_that_was_sent(house: Served, vectors: Vectors) -> None:
    vectors.took_s = 30.0
    link = http.client.HTTPConnection("127.0.0.1", house.port)
    link.request("POST", PATH, json.dumps({"model": "vec", "input": "x" * 4000}))
    until(lambda: bool(getattr(vectors, "calls", None)))
    link.close()
    recorder = house.client.engine.stages.recorder
    assert isinstance(recorder, Memory)
    until(lambda: bool(asyncio.run(recorder.recent(1))))
    [outcome] = asyncio.run(recorder.recent(1))
    [step] = outcome.steps
    assert step.cost_usd == pytest.approx(1000e-6)
    assert step.cost_usd + step.unsettled_usd > 4000 / 3 * 1e-6


@pytest.mark.parametrize("ids", [[5] * 8000, [[5] * 800] * 10])
def test_ids_of_tokens_count_one_each(house: Served, ids: list[Any]) -> None:
    cheap = {"model": "vec", "input": ids, "emafusion": {"max_cost_usd": 7999e-6}}
    assert house.ask(cheap, path=PATH).status == 402


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"model": "emafusion", "input": "x"}, 400, "name the model"),
        ({"model": "small", "input": "x"}, 400, "makes no embeddings"),
        ({"model": "nobody", "input": "x"}, 404, "no model"),
        ({"model": "vec", "input": []}, 400, "empty"),
        ({"model": "vec", "input": [{}]}, 400, "input"),
        ({"model": "vec"}, 400, "input"),
        ({"model": "vec", "input": "x", "emafusion": {"max_cost_usd": 1e-9}}, 402, "max_cost_usd"),
    ],
)
def test_what_is_wrong_is_named(
    house: Served, body: dict[str, Any], status: int, words: str
) -> None:
    reply = house.ask(body, path=PATH)
    assert reply.status == status
    assert words in reply.error["message"]


def test_a_model_for_vectors_is_never_asked_to_talk(house: Served) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    body = house.ask({"model": "emafusion", "messages": messages}).json
    assert body["model"] == "small"
    outcome = house.get(f"/v1/decisions/{body['id']}").json
    assert [one["model"] for one in outcome["forecast"]["estimates"]] == ["small"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[]", BadResponseError),
        (b"\xff", BadResponseError),
        (b'{"data": 1}', BadResponseError),
        (b'{"error": {"message": "no", "code": 400}}', (RejectedError, UnavailableError)),
    ],
)
async def test_what_an_upstream_says_amiss_is_told(body: bytes, kind: Any) -> None:
    with pytest.raises(kind):
        await at_address(body)


async def test_an_upstream_that_is_down_is_not_stormed() -> None:
    """Retries are earned by calls, as a chat's are."""
    asked = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=503)

    [model] = catalog(["vec"])
    async with upstream(answer, attempts=3) as provider:
        tries = await asyncio.gather(
            *(provider.embed(_call(model)) for _ in range(40)), return_exceptions=True
        )
    assert len(tries) == 40
    assert asked < 70


async def test_an_upstream_is_asked_as_it_expects() -> None:
    found = await at_address(json.dumps(RAW).encode())
    assert found.raw == RAW
    assert found.usage == Usage(prompt_tokens=4)
    silent = await at_address(json.dumps({**RAW, "usage": None}).encode())
    assert silent.usage == Usage(prompt_tokens=2, counted=False)


async def at_address(body: bytes) -> Embedding:
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.path, await request.json()))
        return web.Response(body=body, content_type="application/json")

    [model] = catalog(["vec"])
    async with upstream(answer) as provider:
        assert isinstance(provider, Embedder)
        found = await provider.embed(_call(replace(model, upstream="theirs")))
    assert asked == [("/v1/embeddings", {"input": "one two", "model": "theirs"})]
    return found


@asynccontextmanager
async def upstream(answer: Answering, *, attempts: int = 2) -> AsyncIterator[OpenAIProvider]:
    """A provider whose address answers so."""
    app = web.Application()
    app.router.add_post("/v1/embeddings", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    provider = OpenAIProvider(f"http://127.0.0.1:{port}/v1", attempts=attempts)
    try:
        yield provider
    finally:
        await provider.aclose()
        await runner.cleanup()
        await asyncio.sleep(0)


def _call(model: Model) -> Call:
    return Call(model=model, messages=(), params={"input": "one two", "model": "x"})
