"""Spans and metrics by the GenAI conventions, in memory and at a real collector."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from emafusion.client import Client
from emafusion.errors import ConfigError, UnavailableError
from emafusion.gateway.operations import Operations
from emafusion.gateway.telemetry.export import Export
from emafusion.gateway.telemetry.traces import Traces
from emafusion.types import Call, Completion

from ..parts import USAGE, Script, Scripted, Served, broken, catalog, client_of, until
from .collecting import Collecting, names_of_metrics, names_of_spans, service_of
from .house import asking, operated

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Collected:
    """A house whose spans and measures are kept in memory."""

    def __init__(self, content: bool = False) -> None:
        self.exporter = InMemorySpanExporter()
        self.spans = TracerProvider()
        self.spans.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.outgoing: ContextVar[Mapping[str, str]] = ContextVar(
            "outgoing", default=MappingProxyType({})
        )
        measures = MeterProvider([self.reader])
        self.traces = Traces(self.spans, measures, outgoing=self.outgoing, content=content)

    def named(self, name: str) -> list[ReadableSpan]:
        """The finished spans of that name, in the order of their ends."""
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """The only span of that name."""
        until(lambda: self.named(name))
        (found,) = self.named(name)
        return found

    def attach(self, client: Client) -> Operations:
        self.traces.attach(client.engine)
        return Operations(listeners=(self.traces,))

    def points(self) -> dict[str, list[Any]]:
        """Every metric's points, by its name."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def scripts() -> dict[str, Script]:
    return {
        "small": Script(text="the secret answer"),
        "down": Script(failure=broken(UnavailableError)),
        "slow": Script(text="word " * 20, pace_s=0.05),
    }


ROOT = "POST /v1/chat/completions"


@pytest.fixture
def collected() -> Collected:
    return Collected()


@pytest.fixture
def house(collected: Collected) -> Iterator[Served]:
    client = client_of(scripts())
    with operated(client, collected.attach(client)) as found:
        yield found


def parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def own(span: ReadableSpan) -> int:
    found = span.get_span_context()
    assert found is not None
    return found.span_id


def trace_of(span: ReadableSpan) -> str:
    found = span.get_span_context()
    assert found is not None
    return format(found.trace_id, "032x")


def test_a_request_its_stages_and_its_call_are_one_trace(
    house: Served, collected: Collected
) -> None:
    asked = asking("my question", emafusion={"models": ["small"]}, temperature=0.5)
    reply = house.ask(asked, traceparent=PARENT)
    root, call = collected.one(ROOT), collected.one("chat small")
    assert trace_of(root) == TRACE
    assert parent(root) == 0xB7AD6B7169203331
    assert parent(call) == own(root)
    assert (root.kind, call.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    for stage in ("protect", "understand", "predict", "plan", "assess", "record"):
        assert parent(collected.one(stage)) == own(root), stage
    assert root.attributes is not None
    assert root.attributes["http.route"] == "/v1/chat/completions"
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["emafusion.decision"] == reply.headers["x-emafusion-decision"]
    assert root.attributes["emafusion.model"] == "small"
    assert root.start_time is not None
    assert call.start_time is not None
    assert call.end_time is not None
    assert root.end_time is not None
    assert root.start_time <= call.start_time <= call.end_time <= root.end_time


def test_a_call_has_the_attributes_of_the_conventions(house: Served, collected: Collected) -> None:
    house.ask(asking(model="small", temperature=0.5, max_tokens=9, seed=4))
    found = collected.one("chat small").attributes
    assert found is not None
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "scripted",
        "gen_ai.request.model": "small",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.seed": 4,
        "gen_ai.usage.input_tokens": USAGE.prompt_tokens,
        "gen_ai.usage.output_tokens": USAGE.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": USAGE.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": USAGE.reasoning_tokens,
        "gen_ai.response.finish_reasons": ("stop",),
        "emafusion.purpose": "draft",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["emafusion.cost_usd"] == pytest.approx(25e-6)


def test_prompts_and_answers_are_in_no_span_unless_asked_for(
    house: Served, collected: Collected
) -> None:
    house.ask(asking("my secret question", model="small"))
    collected.one(ROOT)
    assert "secret" not in str([span.to_json() for span in collected.exporter.get_finished_spans()])


@pytest.mark.parametrize("stream", [False, True])
def test_asked_for_content_is_in_the_call(stream: bool) -> None:
    collected = Collected(content=True)
    client = client_of(scripts())
    with operated(client, collected.attach(client)) as house:
        house.ask(asking("my secret question", model="small", stream=stream))
        found = collected.one("chat small").attributes
    assert found is not None
    assert "my secret question" in str(found["gen_ai.input.messages"])
    assert "the secret answer" in str(found["gen_ai.output.messages"])


def test_a_stream_is_a_span_from_its_first_chunk_to_its_last(
    house: Served, collected: Collected
) -> None:
    house.ask(asking(model="slow", stream=True))
    call, root = collected.one("chat slow"), collected.one(ROOT)
    assert call.start_time is not None
    assert call.end_time is not None
    assert call.end_time - call.start_time > 0.9e9
    assert call.attributes is not None
    assert float(str(call.attributes["gen_ai.response.time_to_first_chunk"])) < 0.9
    assert call.attributes["gen_ai.usage.output_tokens"] == USAGE.completion_tokens
    assert parent(call) == own(root)


def test_failures_are_marked(house: Served, collected: Collected) -> None:
    house.ask(asking(model="down"))
    root = collected.one(ROOT)
    for span in (root, collected.named("chat down")[0]):
        assert span.status.status_code == StatusCode.ERROR
        assert span.attributes is not None
        assert span.attributes["error.type"] == "UnavailableError"
        assert not span.events


def test_calls_are_measured_by_the_conventions(house: Served, collected: Collected) -> None:
    house.ask(asking(model="small"))
    house.ask(asking(model="small", stream=True))
    collected.spans.force_flush()
    until(lambda: len(collected.named("chat small")) == 2)
    points = collected.points()
    (seconds,) = points["gen_ai.client.operation.duration"]
    assert seconds.count == 2
    assert seconds.attributes["gen_ai.request.model"] == "small"
    tokens = {p.attributes["gen_ai.token.type"]: p for p in points["gen_ai.client.token.usage"]}
    assert tokens["input"].sum == 2 * USAGE.prompt_tokens
    assert tokens["output"].sum == 2 * USAGE.completion_tokens
    (first,) = points["gen_ai.client.operation.time_to_first_chunk"]
    assert first.count == 1


class Carrying(Scripted):
    """A provider that remembers which headers would go out with a call."""

    def __init__(self, outgoing: ContextVar[Mapping[str, str]]) -> None:
        super().__init__({"small": Script()})
        self._outgoing = outgoing
        self.sent: list[Mapping[str, str]] = []

    async def complete(self, call: Call) -> Completion:
        self.sent.append(self._outgoing.get())
        return await super().complete(call)


def test_the_trace_is_passed_on_with_the_call(collected: Collected) -> None:
    provider = Carrying(collected.outgoing)
    client = client_of({"small": Script()}, providers={"scripted": provider})
    with operated(client, collected.attach(client)) as house:
        house.ask(asking(model="small"), traceparent=PARENT)
        call = collected.one("chat small")
    assert provider.sent == [{"traceparent": f"00-{TRACE}-{own(call):016x}-01"}]
    assert collected.outgoing.get() == {}


def test_a_trace_that_its_caller_does_not_keep_is_not_kept_but_passed_on() -> None:
    collected = Collected()
    provider = Carrying(collected.outgoing)
    client = client_of({"small": Script()}, providers={"scripted": provider})
    with operated(client, collected.attach(client)) as house:
        house.ask(asking(model="small"), traceparent=PARENT[:-2] + "00")
        house.ask(asking(model="small"), traceparent="nonsense")
        collected.one(ROOT)
    dropped, _ = provider.sent
    assert dropped["traceparent"].startswith(f"00-{TRACE}-")
    assert dropped["traceparent"].endswith("-00")


def test_what_a_caller_writes_beside_its_trace_goes_nowhere(collected: Collected) -> None:
    provider = Carrying(collected.outgoing)
    client = client_of({"small": Script()}, providers={"scripted": provider})
    with operated(client, collected.attach(client)) as house:
        house.ask(asking(model="small"), traceparent=PARENT, tracestate="a=jane.roe@x.example")
        collected.one(ROOT)
    assert [list(sent) for sent in provider.sent] == [["traceparent"]]


@pytest.fixture
def collector() -> Iterator[Collecting]:
    with Collecting() as server:
        yield server


def test_a_collector_gets_spans_and_metrics(collector: Collecting) -> None:
    export = Export(f"{collector.url}/", headers={"x-key": "k"}, service="router")
    traces = Traces(export.spans, export.measures)
    client = client_of({"small": Script()})
    traces.attach(client.engine)
    with operated(client, Operations(listeners=(traces,))) as house:
        house.ask(asking(model="small"))
    export.close()
    assert all(headers["x-key"] == "k" for _, headers, _ in collector.bodies)
    assert {ROOT, "chat small", "plan"} <= names_of_spans(collector)
    assert service_of(collector) == "router"
    assert "gen_ai.client.token.usage" in names_of_metrics(collector)


@pytest.mark.parametrize(("endpoint", "share"), [("localhost:4318", 1.0), ("http://x", 1.5)])
def test_an_export_that_cannot_work_is_refused(endpoint: str, share: float) -> None:
    with pytest.raises(ConfigError):
        Export(endpoint, share=share)


async def test_a_caller_who_hangs_up_ends_the_calls_span(collected: Collected) -> None:
    client = client_of(scripts(), models=catalog(["slow"]))
    collected.traces.attach(client.engine)
    stream = client.stream("Hi")
    await anext(stream)
    await stream.aclose()
    await asyncio.sleep(0)
    assert len(collected.named("chat slow")) == 1
    await client.aclose()
