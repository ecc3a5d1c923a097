"""k nearest neighbours: each model's quality and cost on the training prompts most alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from emafusion.evaluate.baselines.neighbours import averages, nearest
from emafusion.evaluate.baselines.plays import Play, figures, pick
from emafusion.evaluate.baselines.settings import swept, val_aiq, weights
from emafusion.evaluate.runs import System

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]

SOURCE = (
    "RouterBench, Hu et al. 2024, section 4.1 (predictive kNN router: quality − λ · cost); "
    "Li, 'Rethinking Predictive LLM Routing', arXiv:2505.12601, section 4 (k well tuned)"
)
COUNTS: Final = (5, 10, 20, 40, 80, 160, 320, 640)


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """k is the one with the best AIQ on val; the dial is λ, the price of a dollar in accuracy."""
    near = nearest(train.vectors, val.vectors, max(COUNTS))
    prices = weights(train)
    k = max(COUNTS, key=lambda k: val_aiq(val, _points(val, _means(train, near[:, :k]), prices)))
    forecasts = {
        id(val): _means(train, near[:, :k]),
        id(test): _means(train, nearest(train.vectors, test.vectors, k)),
    }

    def play(table: Table, price: float) -> Play:
        quality, cost = forecasts[id(table)]
        return pick(table, quality - price * cost, confidences=quality)

    runs = swept(
        val, test, settings=prices.tolist(), play=play, knob=lambda price: f"k={k} λ={price:.3g}"
    )
    return System(name="knn", role="baseline", runs=runs, source=SOURCE)


def _means(train: Table, near: NDArray[np.int64]) -> tuple[Array, Array]:
    return averages(train.scores, near), averages(train.costs, near)


def _points(val: Table, forecast: tuple[Array, Array], prices: Array) -> list[tuple[float, float]]:
    quality, cost = forecast
    return [figures(val, pick(val, quality - price * cost)) for price in prices]
