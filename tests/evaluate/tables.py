"""Small tables of made-up outcomes with a structure that routers can learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec.structs import replace

from emafusion.evaluate.runs import Table

MODELS = ("tiny", "sums", "words", "large")
COSTS = (0.1, 0.4, 0.5, 4.0)
# P(right) of each model on a prompt about sums, and on one about words.
SKILLS = np.array([[0.4, 0.85, 0.35, 0.9], [0.4, 0.35, 0.85, 0.9]])


def tables(seed: int = 0, *, rows: tuple[int, int, int] = (240, 120, 90)) -> tuple[Table, ...]:
    """Train, val and test of two topics, each with a cheap specialist."""
    rng = np.random.default_rng(seed)
    return tuple(
        _table(rng, n, name) for n, name in zip(rows, ("train", "val", "test"), strict=True)
    )


def _table(rng: np.random.Generator, n: int, name: str) -> Table:
    m = len(MODELS)
    topic = rng.integers(0, 2, n)
    ease = rng.normal(0, 0.15, (n, 1))
    right = rng.random((n, m)) < np.clip(SKILLS[topic] + ease, 0.02, 0.98)
    vectors = rng.normal(0, 0.35, (n, 6))
    vectors[np.arange(n), topic] += 1.0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wrong = rng.integers(1, 4, (n, m))
    answers = np.where(right, 0, wrong)
    answers[~right & (rng.random((n, m)) < 0.2)] = -1
    # Wrong drafts tend to hedge; the other feature is noise.
    surface = np.stack([rng.random((n, m)) < np.where(right, 0.2, 0.7), rng.random((n, m))], axis=2)
    return Table(
        queries=tuple(f"{name}-{i}" for i in range(n)),
        tasks=tuple(("sums", "words")[t] for t in topic),
        models=MODELS,
        scores=right.astype(np.float64),
        costs=np.array(COSTS) * rng.uniform(0.8, 1.25, (n, m)),
        vectors=vectors,
        answers=answers.astype(np.int64),
        surface=surface.astype(np.float64),
    )


def replaced(table: Table, **changes: Any) -> Table:
    """`table` with some of its arrays changed."""
    return replace(table, **changes)


def punched(table: Table, seed: int, *, share: float = 0.25) -> Table:
    """`table` with a share of its answers missing, but at least one left in each row."""
    rng = np.random.default_rng(seed)
    gone = rng.random(table.scores.shape) < share
    gone[np.arange(len(gone)), rng.integers(0, gone.shape[1], len(gone))] = False
    return replaced(
        table,
        scores=np.where(gone, np.nan, table.scores),
        costs=np.where(gone, np.nan, table.costs),
        answers=np.where(gone, -1, table.answers),
        surface=np.where(gone[:, :, None], 0.0, table.surface),
    )
