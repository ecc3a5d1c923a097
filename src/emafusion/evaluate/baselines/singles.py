"""Every model of the pool alone: what a user who never routes gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emafusion.evaluate.baselines.plays import Play, figures, measured, pick
from emafusion.evaluate.runs import System

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]

SOURCE = "each model of the pool alone (RouterBench, Hu et al. 2024, section 3)"


def accuracies(*tables: Table) -> Array:
    """Each model's mean score over the rows of all tables it answered, shape (m,); 0 for none."""
    scores = np.concatenate([table.scores for table in tables])
    seen = np.isfinite(scores)
    sums = np.where(seen, scores, 0.0).sum(axis=0)
    return np.asarray(sums / np.maximum(seen.sum(axis=0), 1))


def mean_costs(*tables: Table) -> Array:
    """Each model's mean US dollars over the rows it answered, shape (m,); infinite for none."""
    costs = np.concatenate([table.costs for table in tables])
    seen = np.isfinite(costs)
    means = np.where(seen, costs, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return np.where(seen.any(axis=0), means, np.inf)


def best(*tables: Table) -> int:
    """The most accurate model's place in the pool; the cheaper of equals."""
    return int(np.lexsort((mean_costs(*tables), -accuracies(*tables)))[0])


def alone(table: Table, model: int, *, ranking: Array) -> Play:
    """Always ``model``; where it has no recorded answer, the next by ``ranking`` (m,)."""
    return pick(table, np.where(np.arange(len(ranking)) == model, np.inf, ranking))


def every(train: Table, val: Table, test: Table) -> tuple[System, ...]:
    """One system for every model, in the pool's order."""
    ranking = accuracies(train, val)
    return tuple(
        _single(name, model, ranking=ranking, val=val, test=test)
        for model, name in enumerate(test.models)
    )


def _single(name: str, model: int, *, ranking: Array, val: Table, test: Table) -> System:
    tuned = figures(val, alone(val, model, ranking=ranking))
    run = measured(test, alone(test, model, ranking=ranking), knob="", tuned=tuned)
    return System(name=name, role="single", runs=(run,), source=SOURCE)
