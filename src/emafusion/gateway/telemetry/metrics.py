"""Prometheus metrics of the gateway: what is counted, under which names, and how it is read out.

Knows the names and their labels. No label's values come from callers: routes, models, statuses and
kinds of errors are few; keys are counted, by their public id, only where that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from emafusion.errors import ConfigError
from emafusion.gateway.telemetry.accounting import Baseline, purposes
from emafusion.gateway.telemetry.backing import Backing
from emafusion.gateway.telemetry.observations import Observation
from emafusion.types import Outcome, Usage

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Series = TypeVar("Series")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
LAG_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
BREAKER_STATES: Mapping[str, int] = {"closed": 0, "half-open": 1, "open": 2}


class Metrics:
    """Everything that is counted; a listener to observations.

    Parameters
    ----------
    baseline : Baseline
        What savings are reported against.
    by_key : bool
        Count requests and dollars by key as well; as many series as there are keys.
    folder : Path, optional
        Where the workers of one server share their counts. The environment must have named it as
        ``PROMETHEUS_MULTIPROC_DIR`` before anything imported ``prometheus_client``.

    Raises
    ------
    ConfigError
        `folder` is given, but the library counts for this process alone.
    StoreError
        `folder` has no space for counts.
    """

    def __init__(
        self, baseline: Baseline, *, by_key: bool = False, folder: Path | None = None
    ) -> None:
        from prometheus_client import CollectorRegistry, values

        alone = values.ValueClass.__name__ == "MutexValue"
        if alone == (folder is not None):
            raise ConfigError(
                "PROMETHEUS_MULTIPROC_DIR must name the folder of the workers' counts, and be set "
                "before emafusion starts; without workers it must not be set"
            )
        self._baseline = baseline
        self._folder = folder
        self._backing = None if folder is None else Backing(folder)
        self.registry = CollectorRegistry(auto_describe=False)
        self._by_key = by_key
        self._now = 0
        self._at_once = False
        self._buffers: list[_Buffer] = []
        self._families(self.registry)

    def began(self, seen: Observation) -> None:
        """Count a request that has come."""
        self._now += 1

    def ended(self, seen: Observation) -> None:
        """Count a request that is over, and all that was done for it."""
        self._now -= 1
        route, passage = seen.route, seen.passage
        outcome = None if passage is None else passage.outcome
        model, arrangement = _answered(outcome)
        self._requests.of(route, str(seen.status), model, arrangement).add()
        self._seconds.of(route).observe(seen.took_s)
        if seen.first_byte_s is not None and passage is not None and passage.stream:
            self._first_byte.of(route).observe(seen.first_byte_s)
        if seen.failure:
            self._failures.of(route, seen.failure).add()
        if passage is not None and passage.answer is not None:
            asked = outcome is not None and bool(outcome.steps)
            self._answers.of("engine" if asked else "cache").add()
        if outcome is not None:
            self._count(outcome)
        if self._by_key:
            self._count_key(seen, outcome)
        if self._at_once:
            self.flush()

    def reloaded(self, result: str) -> None:
        """Count an attempt to take up another configuration: ``"taken"`` or ``"refused"``."""
        self._reloads.of(result).add()

    def lagged(self, lag_s: float) -> None:
        """Take note of how late the event loop came to what was due, seconds."""
        self._lag.observe(lag_s)

    def ready(self, ready: bool) -> None:
        """Take note of what ``/readyz`` says."""
        self._ready.set(ready)

    def breakers(self, states: Mapping[str, str]) -> None:
        """Take note of each model's circuit breaker: ``closed``, ``half-open`` or ``open``."""
        for model, state in states.items():
            self._breakers.of(model).set(BREAKER_STATES.get(state, 2))

    def queued(self, lengths: Mapping[str, float]) -> None:
        """Take note of how much waits in each named queue."""
        for queue, length in lengths.items():
            self._queued.of(queue).set(length)

    def valkey(self, answers: bool) -> None:
        """Take note of whether Valkey answers; where none is used, nothing does."""
        self._valkey.set(answers)

    def learning(self, status: Mapping[str, object]) -> None:
        """Take note of what :meth:`emafusion.client.Client.status` says."""
        found = {
            (str(policy.get("policy", "")), str(alarm.get("model", "")))
            for policy in _tables(status.get("policies"))
            for alarm in _tables(policy.get("drift"))
        }
        for labels in {*self._drift.known, *found}:
            self._drift.of(*labels).set(labels in found)
        for gauge, account, names in (
            (self._exploration, "exploration", ("requests", "explored", "usual_usd", "extra_usd")),
            (self._checking, "checking", ("answers", "checked", "answers_usd", "checks_usd")),
        ):
            told = status.get(account)
            figures = told if isinstance(told, Mapping) else {}
            for name in names if figures else ():
                gauge.of(name).set(float(figures.get(name, 0.0)))

    def flush(self) -> None:
        """Hand on to the library what was counted since; for the thread that counts."""
        self._under_way.set(self._now)
        for buffer in self._buffers:
            buffer.flush()
        if self._backing is not None:
            self._backing.grow()

    def finish(self) -> None:
        """Hand on what was counted, and from now on everything at once: nobody will come again."""
        self._at_once = True
        self.flush()

    def exposition(self) -> bytes:
        """All that was flushed, in Prometheus' text format; of all workers, if there are several.

        Callable from any thread.
        """
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        if self._folder is None:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        # The library's own registration on construction is not typed.
        MultiProcessCollector(registry, path=str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    @cached_property
    def _valkey(self) -> Gauge:
        # Without labels it would be there from the start, and say 0 where there is no Valkey.
        made = _Maker(self.registry, self._buffers)
        return made.gauge("valkey", "Whether Valkey answers; absent without one.", "livemin").of()

    def _count(self, outcome: Outcome) -> None:
        for step, spent in purposes(outcome):
            self._calls.of(step.model, spent, "failed" if step.error else "answered").add()
            self._call_seconds.of(step.model).observe(step.latency_s)
            self._count_tokens(step.model, step.usage)
            if step.cost_usd > 0.0:
                self._spent.of(step.model, spent).add(step.cost_usd)
        baseline = self._baseline.cost(outcome)
        if baseline is not None:
            self._baseline_usd.of(self._baseline.model).add(baseline)
            self._compared.of(self._baseline.model).add(max(outcome.cost_usd, 0.0))

    def _count_tokens(self, model: str, usage: Usage) -> None:
        if usage.prompt_tokens:
            self._tokens.of(model, "input").add(usage.prompt_tokens)
        if usage.completion_tokens:
            self._tokens.of(model, "output").add(usage.completion_tokens)
        if usage.cached_tokens:
            self._tokens.of(model, "cached").add(usage.cached_tokens)
        if usage.reasoning_tokens:
            self._tokens.of(model, "reasoning").add(usage.reasoning_tokens)

    def _count_key(self, seen: Observation, outcome: Outcome | None) -> None:
        key, team = seen.caller.key, seen.caller.team
        self._key_requests.of(key, team).add()
        if outcome is not None and outcome.cost_usd > 0.0:
            self._key_spent.of(key, team).add(outcome.cost_usd)

    def _families(self, registry: CollectorRegistry) -> None:
        made = _Maker(registry, self._buffers)
        self._requests = made.counter(
            "requests", "Requests.", "route", "status", "model", "arrangement"
        )
        self._seconds = made.histogram("request_seconds", "Requests' whole time.", "route")
        self._first_byte = made.histogram(
            "first_byte_seconds", "Until a stream's first byte.", "route"
        )
        self._under_way = made.gauge("requests_under_way", "Requests under way.", "livesum").of()
        self._failures = made.counter("failures", "Requests by the error.", "route", "error")
        self._answers = made.counter("answers", "Answers by where they came from.", "source")
        self._calls = made.counter("calls", "Calls to models.", "model", "purpose", "result")
        self._call_seconds = made.histogram("call_seconds", "Calls' whole time.", "model")
        self._tokens = made.counter("tokens", "Tokens; output has reasoning.", "model", "kind")
        self._spent = made.counter("spent_usd", "US dollars.", "model", "purpose")
        self._baseline_usd = made.counter(
            "baseline_usd", "US dollars of the baseline for the same answers.", "baseline"
        )
        self._compared = made.counter(
            "compared_usd", "US dollars spent, all in, where there is a baseline.", "baseline"
        )
        self._key_requests = made.counter("key_requests", "Requests by key.", "key", "team")
        self._key_spent = made.counter("key_spent_usd", "US dollars by key.", "key", "team")
        self._reloads = made.counter("reloads", "Configurations tried.", "result")
        self._lag = made.histogram("loop_lag_seconds", "Lag of the event loop.", buckets=LAG_S).of()
        self._ready = made.gauge("ready", "Whether /readyz says so.", "livemin").of()
        self._breakers = made.gauge(
            "breaker_state", "0 closed, 1 half open, 2 open.", "livemax", "model"
        )
        self._queued = made.gauge("queued", "What waits.", "livesum", "queue")
        self._drift = made.gauge(
            "drift", "1 where a model has changed.", "livemax", "policy", "model"
        )
        self._exploration = made.gauge("exploration", "What was explored.", "livesum", "figure")
        self._checking = made.gauge("checking", "What was checked.", "livesum", "figure")


class _Buffer:
    """One series of a counter, counted here and handed on now and then.

    The library takes a lock, and with several workers writes a file, for each step.
    """

    __slots__ = ("_amount", "_counter")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._amount = 0.0

    def add(self, amount: float = 1.0) -> None:
        self._amount += amount

    def flush(self) -> None:
        amount, self._amount = self._amount, 0.0
        if amount > 0.0:
            self._counter.inc(amount)


class _Family(Generic[Series]):
    """A metric's series by their labels' values, each made but once."""

    __slots__ = ("_make", "known")

    def __init__(self, make: Callable[..., Series]) -> None:
        self._make = make
        self.known: dict[tuple[str, ...], Series] = {}

    def of(self, *labels: str) -> Series:
        found = self.known.get(labels)
        if found is None:
            found = self.known[labels] = self._make(*labels)
        return found


class _Maker:
    """Makes families of one registry, under our prefix."""

    def __init__(self, registry: CollectorRegistry, buffers: list[_Buffer]) -> None:
        self._registry = registry
        self._buffers = buffers

    def counter(self, name: str, told: str, *labels: str) -> _Family[_Buffer]:
        from prometheus_client import Counter

        counter = Counter(f"emafusion_{name}", told, labels, registry=self._registry)

        def make(*values: str) -> _Buffer:
            self._buffers.append(_Buffer(counter.labels(*values)))
            return self._buffers[-1]

        return _Family(make)

    def gauge(self, name: str, told: str, across: str, *labels: str) -> _Family[Gauge]:
        from prometheus_client import Gauge

        made = Gauge(
            f"emafusion_{name}",
            told,
            labels,
            registry=self._registry,
            multiprocess_mode=across,  # type: ignore[arg-type]  # a literal of the library's
        )
        return _Family(lambda *values: made.labels(*values) if values else made)

    def histogram(
        self, name: str, told: str, *labels: str, buckets: tuple[float, ...] = REQUEST_S
    ) -> _Family[Histogram]:
        from prometheus_client import Histogram

        made = Histogram(
            f"emafusion_{name}", told, labels, registry=self._registry, buckets=buckets
        )
        return _Family(lambda *values: made.labels(*values) if values else made)


def _answered(outcome: Outcome | None) -> tuple[str, str]:
    """The model that answered and the plan's arrangement; empty where there is none."""
    if outcome is None:
        return "", ""
    arrangement = "" if outcome.plan is None else type(outcome.plan.arrangement).__name__.lower()
    # A composite prompt's models are joined in one string, of which there is no end.
    return "" if outcome.parts else outcome.model, arrangement


def _tables(found: object) -> list[Mapping[str, object]]:
    if not isinstance(found, (list, tuple)):
        return []
    return [each for each in found if isinstance(each, Mapping)]
