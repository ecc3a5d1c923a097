"""A coin between neighbouring models on the hull: what money buys without looking at prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emafusion.evaluate import metrics
from emafusion.evaluate.baselines.plays import outcome
from emafusion.evaluate.baselines.settings import MOST
from emafusion.evaluate.baselines.singles import accuracies, alone, mean_costs
from emafusion.evaluate.runs import Run, System

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]

SOURCE = "mix along the hull of single models (RouterBench, Hu et al. 2024, section 3.2)"


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """Budgets spread between the hull's ends, each met by mixing the two models beside it."""
    corners = _corners(train, val)
    costs = mean_costs(train, val)[corners]
    ranking = accuracies(train, val)
    least = max(float(costs[0]), 1e-12)
    budgets = np.geomspace(least, max(float(costs[-1]), least), MOST) if len(costs) > 1 else costs
    runs = []
    for budget in budgets:
        mix = _mix(corners, costs, float(budget))
        known, billed = _expected(val, mix, ranking=ranking)
        scores, paid = _expected(test, mix, ranking=ranking)
        tuned = (float(known.mean()), float(billed.mean()))
        runs.append(Run(knob=f"usd={budget:.3g}", scores=scores, costs=paid, tuned=tuned))
    return System(name="zero_router", role="baseline", runs=tuple(runs), source=SOURCE)


def _corners(train: Table, val: Table) -> list[int]:
    """The models on the hull of (mean cost, accuracy), cheapest first."""
    costs, right = mean_costs(train, val), accuracies(train, val)
    known = np.flatnonzero(np.isfinite(costs))
    points = np.column_stack([costs, right])
    corners = metrics.hull(points[known])
    return [int(known[(points[known] == corner).all(axis=1).argmax()]) for corner in corners]


def _mix(corners: list[int], costs: Array, budget: float) -> dict[int, float]:
    """Shares of the one or two models whose mean costs enclose the budget."""
    above = min(int(np.searchsorted(costs, budget * (1 - 1e-9))), len(costs) - 1)
    if above == 0 or costs[above] <= budget:
        return {corners[above]: 1.0}
    low, high = costs[above - 1], costs[above]
    share = float((budget - low) / (high - low))
    return {corners[above - 1]: 1.0 - share, corners[above]: share}


def _expected(table: Table, mix: dict[int, float], *, ranking: Array) -> tuple[Array, Array]:
    scores, costs = np.zeros(len(table.queries)), np.zeros(len(table.queries))
    for model, share in mix.items():
        earned, paid = outcome(table, alone(table, model, ranking=ranking))
        scores += share * earned
        costs += share * paid
    return scores, costs
