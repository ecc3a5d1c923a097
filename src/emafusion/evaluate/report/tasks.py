"""How a benchmark's headline points do on each task."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from emafusion.evaluate.report.benchmark import Benchmark


class Figures(Struct, frozen=True, kw_only=True):
    """Mean score and mean US dollars over a task's queries."""

    accuracy: float
    cost_usd: float


class Task(Struct, frozen=True, kw_only=True):
    """One task: the overall best single model, the model best at this task alone, the points."""

    task: str
    n: int
    best_single: Figures
    specialist: str
    specialist_accuracy: float
    oracle_accuracy: float
    points: Mapping[str, Figures]


def tasks(benchmark: Benchmark) -> tuple[Task, ...]:
    """Every task of `benchmark`, the largest first."""
    sizes: dict[str, int] = {}
    for name in benchmark.table.tasks:
        sizes[name] = sizes.get(name, 0) + 1
    return tuple(_task(benchmark, name) for name in sorted(sizes, key=lambda t: (-sizes[t], t)))


def _task(benchmark: Benchmark, name: str) -> Task:
    import numpy as np

    rows = np.array([task == name for task in benchmark.table.tasks])
    alone = benchmark.best_single.runs[0]
    singles = {s.name: s.runs[0] for s in benchmark.systems if s.role == "single"}
    means = {model: float(run.scores[rows].mean()) for model, run in singles.items()}
    specialist = min(means, key=lambda model: (-means[model], model))
    return Task(
        task=name,
        n=int(rows.sum()),
        best_single=Figures(
            accuracy=float(alone.scores[rows].mean()), cost_usd=float(alone.costs[rows].mean())
        ),
        specialist=specialist,
        specialist_accuracy=means[specialist],
        oracle_accuracy=float(np.nanmax(benchmark.table.scores[rows], axis=1).mean()),
        points={
            point: Figures(
                accuracy=float(run.scores[rows].mean()), cost_usd=float(run.costs[rows].mean())
            )
            for point, run in benchmark.headline.items()
        },
    )
