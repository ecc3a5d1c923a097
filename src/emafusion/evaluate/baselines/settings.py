"""Which settings of a method's knob are worth keeping, judged by ``val`` figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from emafusion.evaluate import metrics
from emafusion.evaluate.baselines.plays import figures, measured
from emafusion.evaluate.baselines.singles import best, mean_costs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.baselines.plays import Play
    from emafusion.evaluate.runs import Run, Table

    Array = NDArray[np.float64]

MOST: Final = 16
_WEIGHTS: Final = 80

Setting = TypeVar("Setting")


def weights(train: Table) -> Array:
    """Candidate prices of a dollar in points of accuracy (λ), 0 first, growing.

    From where the dearest model's cost hardly counts to where the cheapest differences decide.
    """
    costs = mean_costs(train)
    positive = costs[(costs > 0) & np.isfinite(costs)]
    if not len(positive):
        return np.zeros(1)
    steps = np.geomspace(1e-3 / positive.max(), 3.0 / positive.min(), _WEIGHTS - 1)
    return np.concatenate([[0.0], steps])


def worthwhile(points: Sequence[tuple[float, float]] | Array, *, most: int = MOST) -> list[int]:
    """Indices of the most accurate setting within each of ``most`` budgets, cheapest first.

    ``points`` are (mean score, mean US dollars); the budgets are spread evenly in log cost from
    the cheapest setting to the most accurate one.
    """
    found = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    order = np.lexsort((-found[:, 0], found[:, 1]))
    scores, costs = found[order].T
    before = np.concatenate([[-np.inf], np.maximum.accumulate(scores)[:-1]])
    rising = np.flatnonzero(scores > before)
    least = max(float(costs[rising[0]]), 1e-12)
    budgets = np.geomspace(least, max(float(costs[rising[-1]]), least), most)
    budgets[-1] = np.inf
    places = np.searchsorted(costs[rising], budgets * (1 + 1e-9), side="right") - 1
    return [int(order[rising[k]]) for k in np.unique(np.maximum(places, 0))]


def val_aiq(val: Table, points: Sequence[tuple[float, float]] | Array) -> float:
    """AIQ of (mean score, mean US dollars) pairs, over the range that ``val`` sets."""
    found = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    cost = float(mean_costs(val)[best(val)])
    return metrics.aiq(found[:, ::-1], 2 * max(cost, 1e-12))


def swept(
    val: Table,
    test: Table,
    *,
    settings: Sequence[Setting],
    play: Callable[[Table, Setting], Play],
    knob: Callable[[Setting], str],
) -> tuple[Run, ...]:
    """Tries all settings on ``val``, replays the worthwhile ones on ``test``."""
    points = [figures(val, play(val, setting)) for setting in settings]
    return tuple(
        measured(test, play(test, settings[k]), knob=knob(settings[k]), tuned=points[k])
        for k in worthwhile(points)
    )
