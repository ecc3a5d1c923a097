"""What is counted of real requests, and how it reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from emafusion.errors import BudgetError, ConfigError, UnavailableError
from emafusion.gateway.callers import Passage
from emafusion.gateway.operations import Operations
from emafusion.gateway.telemetry.accounting import Baseline, purposes
from emafusion.gateway.telemetry.metrics import Metrics
from emafusion.gateway.telemetry.observations import GONE, Observation
from emafusion.types import (
    Estimate,
    Forecast,
    Labels,
    Origin,
    Outcome,
    Plan,
    Request,
    Single,
    Step,
)

from ..parts import Script, Served, broken, catalog, client_of, until
from .house import asking, operated

MODELS = {model.name: model for model in catalog(["small", "large"])}


def figures(text: str) -> dict[str, float]:
    """Every sample, by its name and its labels' values in the order of their names."""
    return {
        "/".join([sample.name, *(sample.labels[name] for name in sorted(sample.labels))]): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def counted(metrics: Metrics) -> dict[str, float]:
    metrics.flush()
    return figures(metrics.exposition().decode())


def fresh(named: str | None = None, *, by_key: bool = False) -> Metrics:
    return Metrics(Baseline(lambda: MODELS, named), by_key=by_key)


class Refusing:
    """A gate that lets nothing through."""

    @asynccontextmanager
    async def open(self, passage: Passage) -> AsyncIterator[None]:
        if passage.request.text == "too dear":
            raise BudgetError("this month's money is spent")
        yield


@pytest.fixture
def house() -> Iterator[Served]:
    scripts = {
        "small": Script(),
        "slow": Script(wait_s=30.0),
        "down": Script(failure=broken(UnavailableError)),
    }
    metrics = fresh()
    operations = Operations(metrics=metrics, listeners=(metrics,))
    with operated(client_of(scripts), operations, [Refusing()]) as found:
        yield found


def read(house: Served) -> dict[str, float]:
    reply = house.get("/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    return figures(reply.content.decode())


def test_a_whole_answer_is_counted_with_its_tokens_and_its_dollars(house: Served) -> None:
    assert house.ask(asking(model="small")).status == 200
    found = read(house)
    path = "/v1/chat/completions"
    assert found[f"emafusion_requests_total/single/small/{path}/200"] == 1
    assert found[f"emafusion_request_seconds_count/{path}"] == 1
    assert found["emafusion_calls_total/small/draft/answered"] == 1
    assert found["emafusion_tokens_total/input/small"] == 11
    assert found["emafusion_tokens_total/output/small"] == 7
    assert found["emafusion_tokens_total/cached/small"] == 3
    assert found["emafusion_tokens_total/reasoning/small"] == 2
    assert found["emafusion_spent_usd_total/small/draft"] == pytest.approx(25e-6)
    assert found["emafusion_answers_total/engine"] == 1


def test_a_stream_is_counted_once_it_has_ended(house: Served) -> None:
    reply = house.ask(asking(model="small", stream=True))
    assert reply.events[-1] == "[DONE]"
    path = "/v1/chat/completions"
    until(lambda: f"emafusion_requests_total/single/small/{path}/200" in read(house))
    found = read(house)
    assert found["emafusion_tokens_total/output/small"] == 7
    assert found[f"emafusion_first_byte_seconds_count/{path}"] == 1


def test_failures_and_refusals_are_counted_by_the_error(house: Served) -> None:
    path = "/v1/chat/completions"
    assert house.ask(asking(model="down")).status == 502
    assert house.ask(asking("too dear")).status == 402
    found = read(house)
    assert found[f"emafusion_failures_total/UnavailableError/{path}"] == 1
    assert found[f"emafusion_failures_total/BudgetError/{path}"] == 1
    assert found[f"emafusion_requests_total///{path}/402"] == 1
    assert found["emafusion_calls_total/down/failed/failed"] >= 1


def test_addresses_that_callers_make_up_are_one_route(house: Served) -> None:
    for path in ("/v1/decisions/a", "/v1/decisions/b", "/wp-admin", "/etc/passwd"):
        assert house.get(path).status == 404
    found = read(house)
    assert found["emafusion_requests_total////v1/decisions/{id}/404"] == 2
    assert found["emafusion_requests_total///other/404"] == 2


def test_a_caller_who_hangs_up_is_counted_as_gone() -> None:
    metrics = fresh()
    seen = Observation("/v1/chat/completions", {"method": "POST", "state": {}})
    metrics.began(seen)
    assert counted(metrics)["emafusion_requests_under_way"] == 1
    seen.end()
    metrics.ended(seen)
    found = counted(metrics)
    assert found[f"emafusion_requests_total////v1/chat/completions/{GONE}"] == 1
    assert found["emafusion_requests_under_way"] == 0


def step(model: str, text: str, *, cost: float = 1.0, **more: object) -> Step:
    fields = {"purpose": "draft", "latency_s": 0.1, "cost_usd": cost, **more}
    return Step(model=model, text=text, **fields)  # type: ignore[arg-type]  # tests' own fields


def outcome(*steps: Step, text: str = "right", **more: object) -> Outcome:
    """An outcome whose forecast has both models, at one and at ten dollars."""
    estimates = tuple(
        Estimate(model=name, quality=0.5, quality_std=0.1, cost_usd=usd, latency_s=1.0, tokens=9.0)
        for name, usd in (("small", 1.0), ("large", 10.0))
    )
    plan = Plan(arrangement=Single(model="small"), quality=0.5, cost_usd=1.0, latency_s=1.0)
    fields: dict[str, object] = {
        "decision_id": "dec_1",
        "created": 0.0,
        "prompt": "?",
        "labels": Labels(axes={}),
        "forecast": Forecast(estimates=estimates),
        "plan": plan,
        "steps": steps,
        "verdicts": (),
        "model": "small",
        "text": text,
        "confidence": 0.5,
        "cost_usd": sum(each.cost_usd for each in steps),
        "latency_s": 1.0,
        **more,
    }
    return Outcome(**fields)  # type: ignore[arg-type]  # as above


def observed(metrics: Metrics, found: Outcome) -> dict[str, float]:
    """What is counted once a request came to `found`."""
    seen = Observation("/v1/chat/completions", {"method": "POST", "state": {}})
    metrics.began(seen)
    request = Request(id="dec_1", messages=({"role": "user", "content": "?"},))
    seen.passage = Passage(request=request, outcome=found)
    seen.sent({"type": "http.response.start", "status": 200})
    seen.end()
    metrics.ended(seen)
    return counted(metrics)


def test_money_is_told_by_what_it_went_into() -> None:
    steps = (
        step("small", "wrong"),
        step("large", "right"),
        step("small", "", error="cancelled"),
        step("small", "0.9", purpose="judge"),
        step("small", "{}", purpose="label"),
    )
    assert [spent for _, spent in purposes(outcome(*steps))] == [
        "discarded",
        "draft",
        "failed",
        "judge",
        "classifier",
    ]


def test_drafts_that_a_synthesis_took_words_from_were_not_discarded() -> None:
    steps = (
        step("small", "one"),
        step("large", "two"),
        step("small", "three"),
        step("large", "one and three", purpose="write"),
    )
    origins = (Origin(start=0, end=3, drafts=(0,)), Origin(start=4, end=13, drafts=(2,)))
    found = outcome(*steps, text="one and three", origins=origins)
    assert [spent for _, spent in purposes(found)] == ["draft", "discarded", "draft", "synthesis"]


def test_what_is_counted_once_nobody_comes_again_is_handed_on() -> None:
    metrics = fresh()
    metrics.finish()
    seen = Observation("/v1/chat/completions", {"method": "POST", "state": {}})
    metrics.began(seen)
    seen.end()
    metrics.ended(seen)
    found = figures(metrics.exposition().decode())
    assert found[f"emafusion_requests_total////v1/chat/completions/{GONE}"] == 1


def test_keys_are_counted_only_where_that_was_asked_for() -> None:
    found = outcome(step("small", "right"))
    assert not any("key" in name for name in observed(fresh(), found))
    assert observed(fresh(by_key=True), found)["emafusion_key_spent_usd_total//"] == 1.0


def test_gauges_tell_what_no_request_shows() -> None:
    metrics = fresh()
    metrics.breakers({"small": "open", "large": "closed"})
    metrics.queued({"admission": 3.0})
    drifted = {"policies": [{"policy": "p1", "drift": [{"model": "small"}]}]}
    metrics.learning({**drifted, "exploration": {"requests": 9, "extra_usd": 0.5}})
    metrics.learning({**drifted, "checking": {"checked": 3, "checks_usd": 0.25}})
    found = counted(metrics)
    assert found["emafusion_breaker_state/small"] == 2
    assert found["emafusion_breaker_state/large"] == 0
    assert found["emafusion_queued/admission"] == 3
    assert found["emafusion_drift/small/p1"] == 1
    assert found["emafusion_exploration/extra_usd"] == 0.5
    assert found["emafusion_checking/checks_usd"] == 0.25
    metrics.learning({"policies": [{"policy": "p1", "drift": []}]})
    assert counted(metrics)["emafusion_drift/small/p1"] == 0


def test_valkey_is_told_of_only_where_there_is_one() -> None:
    metrics = fresh()
    assert not any("valkey" in name for name in counted(metrics))
    metrics.valkey(False)
    assert counted(metrics)["emafusion_valkey"] == 0
    metrics.valkey(True)
    assert counted(metrics)["emafusion_valkey"] == 1


def test_a_folder_of_counts_that_the_library_does_not_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PROMETHEUS_MULTIPROC_DIR"):
        Metrics(Baseline(lambda: MODELS), folder=tmp_path)
