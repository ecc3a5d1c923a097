"""Guarded k nearest neighbours: leave the safe default only on clear paired evidence."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from emafusion.evaluate.baselines.neighbours import averages, nearest
from emafusion.evaluate.baselines.plays import Play, figures, pick
from emafusion.evaluate.baselines.settings import swept, val_aiq, weights
from emafusion.evaluate.baselines.singles import accuracies, mean_costs
from emafusion.evaluate.runs import System

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]
    Indices = NDArray[np.int64]

SOURCE = (
    "kNN router of RouterBench (Hu et al. 2024, section 4.1), with a guard: the default that is "
    "best on average is left only where the neighbours' paired difference exceeds z standard errors"
)
COUNTS: Final = (20, 40, 80, 160)
GUARDS: Final = (0.5, 1.0, 1.5, 2.0, 3.0)
_PRICES: Final = 24


class Evidence(Struct, frozen=True, kw_only=True):
    """Paired gains of each model over the default at one price, over each query's neighbours.

    ``gains`` and ``errors`` are (n, m): the mean difference in utility, and its standard error.
    """

    default: int
    gains: Array
    errors: Array
    quality: Array

    def utilities(self, guard: float) -> Array:
        """The gains that clear the guard; others rank below the default, in their own order."""
        clear = self.gains > guard * self.errors
        clear[:, self.default] = True
        # Beneath all that is clear, so that it matters only where the default is not recorded.
        return np.where(clear, self.gains, self.gains - 1e6)


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """k and z are those with the best AIQ on val; the dial is λ, the price of a dollar."""
    near = nearest(train.vectors, val.vectors, max(COUNTS))
    prices = weights(train)
    few = prices[np.linspace(0, len(prices) - 1, _PRICES).astype(int)]
    tried = {}
    for k in COUNTS:
        seen = [_evidence(train, near[:, :k], price) for price in few]
        for guard in GUARDS:
            points = [figures(val, pick(val, each.utilities(guard))) for each in seen]
            tried[k, guard] = val_aiq(val, points)
    k, guard = max(product(COUNTS, GUARDS), key=lambda setting: tried[setting])
    neighbours = {id(val): near[:, :k], id(test): nearest(train.vectors, test.vectors, k)}

    def play(table: Table, price: float) -> Play:
        evidence = _evidence(train, neighbours[id(table)], price)
        return pick(table, evidence.utilities(guard), confidences=evidence.quality)

    runs = swept(
        val,
        test,
        settings=prices[::2].tolist(),
        play=play,
        knob=lambda price: f"k={k} z={guard:g} λ={price:.3g}",
    )
    return System(name="guarded_knn", role="baseline", runs=runs, source=SOURCE)


def _evidence(train: Table, near: Indices, price: float) -> Evidence:
    utilities = train.scores - price * train.costs
    costs = mean_costs(train)
    bills = np.where(np.isfinite(costs), costs, 0.0)
    merits = np.where(np.isfinite(costs), accuracies(train) - price * bills, -np.inf)
    default = int(merits.argmax())
    differences = utilities - utilities[:, [default]]
    gains = averages(differences, near)
    spread = averages(differences**2, near) - gains**2
    errors = np.sqrt(np.maximum(spread, 0.0) / max(near.shape[1] - 1, 1))
    return Evidence(
        default=default, gains=gains, errors=errors, quality=averages(train.scores, near)
    )
