"""A model drawn evenly from the pool for each query: its expectation, so that no luck is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emafusion.evaluate.baselines.plays import available
from emafusion.evaluate.runs import Run, System

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]

SOURCE = "uniform choice, in expectation (RouteLLM, Ong et al. 2024, section 5: random router)"


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """Mean score and cost over the models with a recorded answer, query by query."""
    known, billed = _expected(val)
    scores, costs = _expected(test)
    tuned = (float(known.mean()), float(billed.mean()))
    runs = (Run(knob="", scores=scores, costs=costs, tuned=tuned),)
    return System(name="random", role="baseline", runs=runs, source=SOURCE)


def _expected(table: Table) -> tuple[Array, Array]:
    there = available(table)
    shares = there / there.sum(axis=1, keepdims=True)
    scores = (np.where(there, table.scores, 0.0) * shares).sum(axis=1)
    return scores, (np.where(there, table.costs, 0.0) * shares).sum(axis=1)
