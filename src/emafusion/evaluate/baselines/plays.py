"""What a baseline did query by query, and what that earned and cost.

The one place that reads the scores and costs of the rows a system is measured on: methods decide
who is asked and whose answer is given, this file only bills and marks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from emafusion.errors import DataError
from emafusion.evaluate.runs import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]
    Indices = NDArray[np.int64]
    Mask = NDArray[np.bool_]


class Play(Struct, frozen=True, kw_only=True):
    """Who was asked, and whose answer was given.

    Parameters
    ----------
    calls : ndarray of int, shape (n, steps)
        Models asked, in order; −1 where a query needed fewer.
    chosen : ndarray of int, shape (n,)
        The model whose answer was given: one of those asked.
    confidences : ndarray, shape (n,), optional
        P(right) that the method gives the answer.
    """

    calls: Indices
    chosen: Indices
    confidences: Array | None = None


def available(table: Table) -> Mask:
    """Which answers are recorded, shape (n, m).

    Raises
    ------
    DataError
        If a query has no recorded answer at all.
    """
    there = np.isfinite(table.scores) & np.isfinite(table.costs)
    bare = np.flatnonzero(~there.any(axis=1))
    if len(bare):
        name = table.queries[int(bare[0])]
        raise DataError(f"query {name!r} has no recorded answer of any model; leave it out")
    return there


def pick(table: Table, utilities: Array, *, confidences: Array | None = None) -> Play:
    """One call a query, to the model of the highest utility among those with a recorded answer.

    ``utilities`` and ``confidences`` are (n, m), or (m,) where all queries are alike; NaN where
    nothing is known of a model, which is then asked last.
    """
    known = np.nan_to_num(utilities, nan=-1e300, posinf=np.inf, neginf=-1e300)
    chosen = np.where(available(table), known, -np.inf).argmax(axis=1)
    sure = None
    if confidences is not None:
        every = np.broadcast_to(np.nan_to_num(confidences), table.scores.shape)
        sure = np.take_along_axis(every, chosen[:, None], axis=1)[:, 0]
    return Play(calls=chosen[:, None], chosen=chosen, confidences=sure)


def outcome(table: Table, play: Play) -> tuple[Array, Array]:
    """Scores of the answers given, and US dollars of all calls made, both (n,)."""
    rows = np.arange(len(table.queries))
    scores = table.scores[rows, play.chosen]
    paid = np.where(play.calls >= 0, table.costs[rows[:, None], play.calls], 0.0)
    return scores, paid.sum(axis=1)


def figures(table: Table, play: Play) -> tuple[float, float]:
    """Mean score and mean US dollars."""
    scores, costs = outcome(table, play)
    return float(scores.mean()), float(costs.mean())


def measured(test: Table, play: Play, *, knob: str, tuned: tuple[float, float]) -> Run:
    """The play as a run: names for numbers, scores and bills for decisions."""
    scores, costs = outcome(test, play)
    names = test.models
    return Run(
        knob=knob,
        scores=scores,
        costs=costs,
        confidences=play.confidences,
        calls=[tuple(names[j] for j in row if j >= 0) for row in play.calls.tolist()],
        sources=[names[j] for j in play.chosen.tolist()],
        tuned=tuned,
    )
