"""Queries on which we did better or worse than the best single model, picked without favour."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from msgspec import Struct

from emafusion.evaluate.report.benchmark import Benchmark

SHOWN = 10


class Example(Struct, frozen=True, kw_only=True):
    """One query at our ``max_quality`` point, beside the best single model; US dollars."""

    query_id: str
    task: str
    score: float
    best_single_score: float
    calls: tuple[str, ...]
    answer_from: str
    cost_usd: float
    best_single_cost_usd: float
    confidence: float | None = None
    prompt: str | None = None


class Examples(Struct, frozen=True, kw_only=True):
    """Up to ten won and ten lost, and how many there are of each."""

    won: tuple[Example, ...]
    lost: tuple[Example, ...]
    won_count: int
    lost_count: int


def examples(benchmark: Benchmark) -> Examples:
    """The examples of `benchmark`: the largest differences first, ties by lot."""
    ours = benchmark.headline["max_quality"].scores
    gaps = (ours - benchmark.best_single.runs[0].scores).tolist()
    won = [row for row, gap in enumerate(gaps) if gap > 0]
    lost = [row for row, gap in enumerate(gaps) if gap < 0]
    return Examples(
        won=_shown(benchmark, sorted(won, key=lambda row: (-gaps[row], _draw(benchmark, row)))),
        lost=_shown(benchmark, sorted(lost, key=lambda row: (gaps[row], _draw(benchmark, row)))),
        won_count=len(won),
        lost_count=len(lost),
    )


def _draw(benchmark: Benchmark, row: int) -> str:
    """A fixed lot: ids in their own order would show one task's queries alone."""
    return hashlib.sha256(benchmark.table.queries[row].encode()).hexdigest()


def _shown(benchmark: Benchmark, rows: Iterable[int]) -> tuple[Example, ...]:
    return tuple(_example(benchmark, row) for row in list(rows)[:SHOWN])


def _example(benchmark: Benchmark, row: int) -> Example:
    run, alone = benchmark.headline["max_quality"], benchmark.best_single.runs[0]
    query = benchmark.table.queries[row]
    return Example(
        query_id=query,
        task=benchmark.table.tasks[row],
        score=float(run.scores[row]),
        best_single_score=float(alone.scores[row]),
        calls=() if run.calls is None else tuple(run.calls[row]),
        answer_from="" if run.sources is None else run.sources[row],
        cost_usd=float(run.costs[row]),
        best_single_cost_usd=float(alone.costs[row]),
        confidence=None if run.confidences is None else float(run.confidences[row]),
        prompt=benchmark.prompts.get(query),
    )
