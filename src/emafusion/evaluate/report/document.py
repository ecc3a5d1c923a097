"""``report.json``: every figure of a benchmark, as typed data.

Knows what is reported and how it is worked out from runs; not how it looks. All costs are mean US
dollars a query with every call counted, all intervals are at 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from emafusion.evaluate import metrics
from emafusion.evaluate.report.benchmark import OURS, Benchmark
from emafusion.evaluate.report.decisions import Decision
from emafusion.evaluate.report.examples import Examples, examples
from emafusion.evaluate.report.spending import Spending, spending
from emafusion.evaluate.report.tasks import Task, tasks
from emafusion.evaluate.runs import Role, Run, System

Interval = tuple[float, float]


class Val(Struct, frozen=True, kw_only=True):
    """The same setting's figures on the ``val`` rows, by which points are chosen."""

    accuracy: float
    cost_usd: float


class Difference(Struct, frozen=True, kw_only=True):
    """A difference in accuracy over the same queries, with its paired-bootstrap interval."""

    difference: float
    low: float
    high: float


class Point(Struct, frozen=True, kw_only=True):
    """A system at one setting."""

    knob: str
    accuracy: float
    cost_usd: float
    accuracy_ci95: Interval
    router_arena: float
    ece: float | None = None
    val: Val | None = None


class SystemFigures(Struct, frozen=True, kw_only=True):
    """A system's operating points and what they amount to.

    ``ece``, ``router_arena``, ``oracle_gap_closed``, ``over_best_single`` and ``ours_over`` are of
    the point named ``max_quality``: the most accurate on ``val``, or for a system without such
    figures the most accurate on these rows. ``cost_save`` is of the whole hull.
    """

    role: Role
    source: str
    points: tuple[Point, ...]
    hull: tuple[Interval, ...]
    max_quality: str
    accuracy: float
    cost_usd: float
    aiq: float | None
    ece: float | None
    router_arena: float
    oracle_gap_closed: float | None
    cost_save: float | None
    over_best_single: Difference
    ours_over: Difference | None


class Headline(Struct, frozen=True, kw_only=True):
    """One of our operating points; ``cost_share`` is of the best single model's cost."""

    knob: str
    accuracy: float
    cost_usd: float
    accuracy_ci95: Interval
    cost_share: float | None
    ece: float | None
    ece_equal_mass: float | None
    ece_of_a_perfect_judge: float | None
    router_arena: float
    oracle_gap_closed: float | None
    over_best_single: Difference
    calls: float
    escalated: float
    val: Val | None


class Alone(Struct, frozen=True, kw_only=True):
    """One model, or one bound, over all rows."""

    accuracy: float
    cost_usd: float


class BestSingle(Alone, frozen=True, kw_only=True):
    """The most accurate model on these rows, in hindsight."""

    model: str
    accuracy_ci95: Interval


class Pool(Struct, frozen=True, kw_only=True):
    """The models, each alone, and the mean of them."""

    models: Mapping[str, Alone]
    mean_accuracy: float
    mean_cost_usd: float


class Bin(Struct, frozen=True, kw_only=True):
    """Answers whose confidence is in [low, high): how many, how confident, how often right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


class Document(Struct, frozen=True, kw_only=True):
    """The whole of ``report.json``."""

    dataset: str
    n: int
    run: Mapping[str, object]
    pool: Pool
    best_single: BestSingle
    oracle: Alone
    random: Alone
    systems: Mapping[str, SystemFigures]
    headline: Mapping[str, Headline]
    tasks: tuple[Task, ...]
    calibration: Mapping[str, tuple[Bin, ...]]
    spending: Mapping[str, Spending]
    examples: Examples

    def encode(self) -> bytes:
        """As JSON with sorted keys: the same benchmark gives the same bytes."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=1) + b"\n"


def decode(data: bytes) -> Document:
    """The document that :meth:`Document.encode` gave."""
    return msgspec.json.decode(data, type=Document)


BINS = 15


def document(benchmark: Benchmark, decisions: Sequence[Decision]) -> Document:
    """Every figure of `benchmark`; `decisions` are those of its headline."""
    benchmark.check()
    reference = _Reference(benchmark)
    by_point: dict[str, list[Decision]] = {}
    for decision in decisions:
        by_point.setdefault(decision.point, []).append(decision)
    return Document(
        dataset=benchmark.dataset,
        n=len(benchmark.table.queries),
        run=benchmark.run,
        pool=reference.pool(),
        best_single=reference.best_single(),
        oracle=reference.oracle,
        random=reference.random,
        systems={system.name: reference.system(system) for system in benchmark.systems},
        headline={name: reference.headline(run) for name, run in benchmark.headline.items()},
        tasks=tasks(benchmark),
        calibration={
            name: bins
            for name, run in benchmark.headline.items()
            if (bins := calibration(run)) is not None
        },
        spending={name: spending(rows, benchmark.table) for name, rows in by_point.items()},
        examples=examples(benchmark),
    )


def max_quality(system: System) -> Run:
    """The run of `system` most accurate on ``val``, else on these rows; of equals the cheaper."""
    known = [run for run in system.runs if run.tuned is not None]
    if known:
        return max(known, key=lambda run: (run.tuned[0], -run.tuned[1]) if run.tuned else (0, 0))
    return max(system.runs, key=lambda run: (run.accuracy, -run.cost_usd))


def calibration(run: Run) -> tuple[Bin, ...] | None:
    """The bins of :func:`emafusion.evaluate.metrics.ece` that hold an answer."""
    import numpy as np

    if run.confidences is None:
        return None
    places = np.clip((run.confidences * BINS).astype(int), 0, BINS - 1)
    return tuple(
        Bin(
            low=place / BINS,
            high=(place + 1) / BINS,
            n=int((places == place).sum()),
            confidence=float(run.confidences[places == place].mean()),
            accuracy=float(run.scores[places == place].mean()),
        )
        for place in np.unique(places).tolist()
    )


class _Reference:
    """What every system of a benchmark is held against."""

    def __init__(self, benchmark: Benchmark) -> None:
        self._benchmark = benchmark
        self._single = benchmark.best_single
        self._run = self._single.runs[0]
        self._ours = benchmark.headline["max_quality"]
        self.oracle = _oracle(benchmark)
        self.random = _random(benchmark)

    def pool(self) -> Pool:
        alone = {
            system.name: Alone(accuracy=system.runs[0].accuracy, cost_usd=system.runs[0].cost_usd)
            for system in self._benchmark.systems
            if system.role == "single"
        }
        return Pool(
            models=alone,
            mean_accuracy=sum(each.accuracy for each in alone.values()) / len(alone),
            mean_cost_usd=sum(each.cost_usd for each in alone.values()) / len(alone),
        )

    def best_single(self) -> BestSingle:
        return BestSingle(
            model=self._single.name,
            accuracy=self._run.accuracy,
            cost_usd=self._run.cost_usd,
            accuracy_ci95=metrics.mean_ci(self._run.scores),
        )

    def system(self, system: System) -> SystemFigures:
        best, cost = max_quality(system), self._run.cost_usd
        points = [(run.cost_usd, run.accuracy) for run in system.runs]
        return SystemFigures(
            role=system.role,
            source=system.source,
            points=tuple(_point(run) for run in sorted(system.runs, key=_by_cost)),
            hull=tuple((float(x), float(y)) for x, y in metrics.hull(points)),
            max_quality=best.knob,
            accuracy=best.accuracy,
            cost_usd=best.cost_usd,
            aiq=metrics.aiq(points, 2 * cost) if cost > 0 else None,
            ece=_ece(best),
            router_arena=metrics.router_arena(best.accuracy, 1000 * best.cost_usd),
            oracle_gap_closed=self._gap(best),
            cost_save=metrics.cost_save(points, (cost, self._run.accuracy)),
            over_best_single=self._difference(best, self._run),
            ours_over=None if system.name == OURS else self._difference(self._ours, best),
        )

    def headline(self, run: Run) -> Headline:
        calls = [len(asked) for asked in run.calls or ()]
        cost = self._run.cost_usd
        return Headline(
            knob=run.knob,
            accuracy=run.accuracy,
            cost_usd=run.cost_usd,
            accuracy_ci95=metrics.mean_ci(run.scores),
            cost_share=run.cost_usd / cost if cost > 0 else None,
            ece=_ece(run),
            ece_equal_mass=None
            if run.confidences is None
            else metrics.ece_equal_mass(run.confidences, run.scores),
            ece_of_a_perfect_judge=_least_ece(run),
            router_arena=metrics.router_arena(run.accuracy, 1000 * run.cost_usd),
            oracle_gap_closed=self._gap(run),
            over_best_single=self._difference(run, self._run),
            calls=sum(calls) / len(run.scores),
            escalated=sum(count > 1 for count in calls) / len(run.scores),
            val=_val(run),
        )

    def _gap(self, run: Run) -> float | None:
        if self.oracle.accuracy <= self._run.accuracy:
            return None
        return metrics.oracle_gap(run.accuracy, self._run.accuracy, self.oracle.accuracy)

    def _difference(self, run: Run, other: Run) -> Difference:
        seed = self._benchmark.seed
        difference, low, high = metrics.paired_bootstrap(run.scores, other.scores, seed=seed)
        return Difference(difference=difference, low=low, high=high)


def _oracle(benchmark: Benchmark) -> Alone:
    """The best recorded score of each query, at the least cost that it can be had for."""
    import numpy as np

    table = benchmark.table
    scores = np.where(np.isfinite(table.scores), table.scores, -np.inf)
    best = scores.max(axis=1, keepdims=True)
    costs = np.where(scores == best, table.costs, np.inf).min(axis=1)
    return Alone(accuracy=float(best.mean()), cost_usd=float(costs.mean()))


def _random(benchmark: Benchmark) -> Alone:
    """What a model drawn evenly from those with an outcome comes to, in expectation."""
    import numpy as np

    table = benchmark.table
    return Alone(
        accuracy=float(np.nanmean(table.scores, axis=1).mean()),
        cost_usd=float(np.nanmean(table.costs, axis=1).mean()),
    )


def _point(run: Run) -> Point:
    return Point(
        knob=run.knob,
        accuracy=run.accuracy,
        cost_usd=run.cost_usd,
        accuracy_ci95=metrics.mean_ci(run.scores),
        router_arena=metrics.router_arena(run.accuracy, 1000 * run.cost_usd),
        ece=_ece(run),
        val=_val(run),
    )


def _by_cost(run: Run) -> tuple[float, float, str]:
    return run.cost_usd, run.accuracy, run.knob


def _ece(run: Run) -> float | None:
    return None if run.confidences is None else metrics.ece(run.confidences, run.scores)


def _least_ece(run: Run) -> float | None:
    """What a perfect judge would show; unknown for scores between 0 and 1."""
    whole = all(score in (0.0, 1.0) for score in run.scores.tolist())
    if run.confidences is None or not whole:
        return None
    return metrics.ece_of_a_perfect_judge(run.confidences)


def _val(run: Run) -> Val | None:
    return None if run.tuned is None else Val(accuracy=run.tuned[0], cost_usd=run.tuned[1])
