"""FrugalGPT: a cascade of up to three models, its order and thresholds optimised together."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Final

import numpy as np

from emafusion.evaluate.baselines.cascades import Chain, levels, replay
from emafusion.evaluate.baselines.drafts import Scorer
from emafusion.evaluate.baselines.plays import figures, measured
from emafusion.evaluate.baselines.settings import worthwhile
from emafusion.evaluate.baselines.singles import accuracies, mean_costs
from emafusion.evaluate.runs import System

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]

SOURCE = (
    "FrugalGPT, Chen, Zaharia & Zou 2023, arXiv:2305.05176, section 3 (LLM cascade: learnt scorer, "
    "list L of at most 3 and thresholds τ maximising reward within a budget)"
)
THRESHOLDS: Final = 16


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """One chain a budget: the most accurate on val of all lists of three and all thresholds."""
    scorer = Scorer(train, val, seed=seed)
    known, asked = scorer.confidences(val), scorer.confidences(test)
    ranking = accuracies(train, val)
    chains = [_chain(each, val, known) for each in _search(val, known)]
    runs = []
    for chain in chains:
        tuned = figures(val, replay(val, chain, confidences=known, ranking=ranking))
        play = replay(test, chain, confidences=asked, ranking=ranking)
        runs.append(measured(test, play, knob=chain.named(test.models), tuned=tuned))
    return System(name="frugal_gpt", role="baseline", runs=tuple(runs), source=SOURCE)


def _search(val: Table, confidences: Array) -> list[tuple[int, ...]]:
    """The worthwhile (first, second, third, level of the first, level of the second).

    All thresholds of all lists at once: drafts are counted into cells by the levels that the first
    two confidences reach, and running sums over the cells give what each pair of thresholds earns
    and costs. In this search alone, a model without a recorded answer earns and costs nothing.
    """
    places = _reached(confidences)
    both = np.hstack([np.nan_to_num(val.scores), np.nan_to_num(val.costs)]) / len(val.queries)
    found: list[Array] = []
    settings: list[Array] = []
    seen = np.flatnonzero(np.isfinite(mean_costs(val))).tolist()
    for first, second in permutations(seen, 2):
        third = np.array([k for k in seen if k not in {first, second}])
        if not len(third):
            third = np.array([second])
        points = _pair(places[:, [first, second]], both, (first, second), third=third)
        grid = np.indices(points.shape[:3]).reshape(3, -1)
        flat = points.reshape(-1, 2)
        kept = _undominated(flat)
        found.append(flat[kept])
        ends = np.full(len(kept), first), np.full(len(kept), second)
        settings.append(np.column_stack([*ends, third[grid[2, kept]], grid[:2, kept].T]))
    if not found:
        return [(seen[0],) * 3 + (0, 0)]
    chains = np.concatenate(settings)
    return [tuple(chains[k].tolist()) for k in worthwhile(np.concatenate(found))]


def _pair(
    places: NDArray[np.int64], both: Array, pair: tuple[int, int], *, third: NDArray[np.int64]
) -> Array:
    """(mean score, mean cost) for levels of the first, of the second, and the third model."""
    from scipy.sparse import csr_array

    n, m = len(places), both.shape[1] // 2
    cells = places[:, 0] * THRESHOLDS + places[:, 1]
    counter = csr_array((np.ones(n), (cells, np.arange(n))), shape=(THRESHOLDS**2, n))
    sums = (counter @ both).reshape(THRESHOLDS, THRESHOLDS, 2 * m)
    below = np.zeros((THRESHOLDS + 1, THRESHOLDS + 1, 2 * m))
    below[1:, 1:] = sums.cumsum(axis=0).cumsum(axis=1)
    # below[i, j]: drafts under level i of the first and under level j of the second.
    first, second = pair
    everything, escalated = below[-1, -1], below[:-1, -1]
    twice = below[:-1, :-1]
    kept = everything[first] - escalated[:, [first]] + escalated[:, [second]] - twice[..., second]
    paid = everything[m + first] + escalated[:, m + second]
    score = kept[:, :, None] + twice[..., third]
    cost = paid[:, None, None] + twice[..., m + third]
    return np.stack([score, cost], axis=-1)


def _reached(confidences: Array) -> NDArray[np.int64]:
    """The highest level each draft's confidence reaches, shape (n, m)."""
    columns = [
        np.searchsorted(levels(column, THRESHOLDS), column, side="right") - 1
        for column in confidences.T
    ]
    return np.column_stack(columns)


def _undominated(points: Array) -> NDArray[np.int64]:
    """Points that no other beats in score at no more cost."""
    order = np.lexsort((-points[:, 0], points[:, 1]))
    scores = points[order, 0]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(scores)[:-1]])
    return np.asarray(order[scores > before])


def _chain(setting: tuple[int, ...], val: Table, confidences: Array) -> Chain:
    first, second, third, low, high = setting
    if low == 0:
        return Chain(order=(first,), thresholds=())
    start = float(levels(confidences[:, first], THRESHOLDS)[low])
    if high == 0:
        return Chain(order=(first, second), thresholds=(start,))
    then = float(levels(confidences[:, second], THRESHOLDS)[high])
    return Chain(order=(first, second, third), thresholds=(start, then))
