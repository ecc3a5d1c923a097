"""Cascade routing: before every call, the best set of models to have asked, given what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from emafusion.evaluate.baselines.drafts import Scorer
from emafusion.evaluate.baselines.neighbours import averages, nearest
from emafusion.evaluate.baselines.plays import Play, available, figures
from emafusion.evaluate.baselines.settings import swept, val_aiq, weights
from emafusion.evaluate.baselines.singles import accuracies, mean_costs
from emafusion.evaluate.runs import System

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]
    Indices = NDArray[np.int64]

SOURCE = (
    "Cascade routing, Dekoninck, Baader & Vechev, ICML 2025, arXiv:2410.10347, section 4 "
    "(supermodel of the best q̂ − λ ĉ among those that extend what was run; q̂ the expected "
    "maximum of normal estimates). One λ for all steps; ex-ante estimates by kNN, post-hoc ones by "
    "a scorer of drafts"
)
POOL: Final = 5
COUNTS: Final = (20, 40, 80, 160, 320)
DRAWS: Final = 48
SPREADS: Final = (0.0, 0.5, 1.0)
_FEW: Final = 12


class Estimates(Struct, frozen=True, kw_only=True):
    """What is believed of each model's answer to each query, all (n, m).

    ``before`` is the quality expected before the call, ``after`` once the draft is read.
    """

    before: Array
    after: Array
    cost: Array
    there: NDArray[np.bool_]


class Values(Struct, frozen=True, kw_only=True):
    """Expected quality of every supermodel in every state, and what is needed to act on it.

    States and supermodels are bit masks over ``pool`` (cheapest model first): ``quality`` is
    (2^p, 2^p, n), −∞ where the supermodel does not extend the state; ``cost`` is (2^p, n).
    """

    pool: tuple[int, ...]
    quality: NDArray[np.float32]
    cost: NDArray[np.float32]


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """The pool grows by the model that adds most AIQ on val, up to five; the dial is λ.

    How much of the estimates' spread to believe in is tuned on val too; none of it is the
    ablation that the authors' implementation offers too.
    """
    near = nearest(train.vectors, val.vectors, max(COUNTS))
    k = min(COUNTS, key=lambda k: _error(averages(train.scores, near[:, :k]), val.scores))
    scorer = Scorer(train, val, seed=seed)
    estimates = {
        id(val): _estimates(train, val, near[:, :k], scorer=scorer),
        id(test): _estimates(train, test, nearest(train.vectors, test.vectors, k), scorer=scorer),
    }
    draws = _noise(estimates[id(val)], seed=seed)
    ranking, prices = accuracies(train, val), weights(train)
    grown = {
        share: _grown(val, estimates[id(val)], share * draws, prices=prices, ranking=ranking)
        for share in SPREADS
    }
    share = max(SPREADS, key=lambda share: grown[share][1])
    pool, noise = grown[share][0], share * draws
    values = {key: value(each, pool, noise) for key, each in estimates.items()}

    def play(table: Table, price: float) -> Play:
        return replay(table, values[id(table)], estimates[id(table)], price=price, ranking=ranking)

    runs = swept(
        val,
        test,
        settings=prices.tolist(),
        play=play,
        knob=lambda price: (
            f"σ×{share:g} λ={price:.3g} of " + "+".join(test.models[j] for j in pool)
        ),
    )
    return System(name="cascade_routing", role="baseline", runs=runs, source=SOURCE)


def value(estimates: Estimates, pool: tuple[int, ...], noise: Array) -> Values:
    """Expected maximum over every supermodel in every state: run models known, others normal."""
    members = list(pool)
    n, size = len(estimates.before), 1 << len(members)
    guesses = estimates.before[:, members, None] + noise[None, members]
    tops = np.full((size, n, noise.shape[1]), -np.inf, dtype=np.float32)
    known = np.full((size, n), -np.inf, dtype=np.float32)
    cost = np.zeros((size, n), dtype=np.float32)
    missing = np.zeros((size, n), dtype=bool)
    for mask in range(1, size):
        low = (mask & -mask).bit_length() - 1
        rest, model = mask & (mask - 1), members[low]
        tops[mask] = np.maximum(tops[rest], guesses[:, low])
        known[mask] = np.maximum(known[rest], estimates.after[:, model])
        cost[mask] = cost[rest] + estimates.cost[:, model]
        missing[mask] = missing[rest] | ~estimates.there[:, model]
    quality = np.full((size, size, n), -np.inf, dtype=np.float32)
    for mask in range(1, size):
        state = mask
        while True:  # All subsets of the supermodel, itself first, the empty state last.
            ahead = np.maximum(tops[mask ^ state], known[state][:, None]).mean(axis=1)
            quality[state, mask] = np.where(missing[mask], -np.inf, ahead)
            if not state:
                break
            state = (state - 1) & mask
    return Values(pool=pool, quality=quality, cost=cost)


def replay(
    table: Table, values: Values, estimates: Estimates, *, price: float, ranking: Array
) -> Play:
    """Runs the cheapest model yet to run of the best supermodel, until the best is what was run.

    The draft with the highest post-hoc estimate is given. Where no model of the pool has a recorded
    answer, the best model by ``ranking`` is asked.
    """
    n, members = len(table.queries), np.array(values.pool)
    state = np.zeros(n, dtype=np.int64)
    rows = np.arange(n)
    calls = np.full((n, len(members) + 1), -1)
    objective = values.quality - price * values.cost[None]
    for step in range(len(members)):
        best = objective[state, :, rows].argmax(axis=1)
        open_ = np.isfinite(objective[state, best, rows]) & (best != state)
        left = best & ~state
        bit = np.log2(np.maximum(left & -left, 1)).astype(np.int64)
        calls[open_, step] = members[bit[open_]]
        state = np.where(open_, state | (1 << bit), state)
    ran = (state[:, None] >> np.arange(len(members))) & 1 == 1
    after = np.where(ran, estimates.after[:, members], -np.inf)
    chosen = members[after.argmax(axis=1)]
    bare = state == 0
    chosen[bare] = np.where(available(table)[bare], ranking, -np.inf).argmax(axis=1)
    calls[bare, -1] = chosen[bare]
    return Play(calls=calls, chosen=chosen, confidences=estimates.after[rows, chosen])


def _estimates(train: Table, table: Table, near: Indices, *, scorer: Scorer) -> Estimates:
    before, cost = averages(train.scores, near), averages(train.costs, near)
    return Estimates(
        before=np.nan_to_num(before),
        after=scorer.confidences(table),
        cost=np.nan_to_num(cost),
        # Of a model that train never saw nothing is known: it is no part of any supermodel.
        there=available(table) & np.isfinite(before),
    )


def _error(forecast: Array, scores: Array) -> float:
    return float(np.nanmean((forecast - scores) ** 2))


def _noise(val: Estimates, *, seed: int) -> Array:
    """Draws of how far estimates move once drafts are read, shape (m, draws).

    Normal with the covariance that the movements have on val.
    """
    moves = np.where(val.there, val.after - val.before, 0.0)
    m = moves.shape[1]
    covariance = np.cov(moves, rowvar=False).reshape(m, m) + 1e-9 * np.eye(m)
    half = np.random.default_rng(seed).standard_normal((m, DRAWS // 2))
    # Each draw and its opposite: the mean is exactly the estimate.
    return np.asarray(np.linalg.cholesky(covariance) @ np.hstack([half, -half]))


def _grown(
    val: Table, estimates: Estimates, noise: Array, *, prices: Array, ranking: Array
) -> tuple[tuple[int, ...], float]:
    """The pool, cheapest model first, and its AIQ: greedy, until no model adds anything."""
    few = prices[np.linspace(0, len(prices) - 1, _FEW).astype(int)]
    order = mean_costs(val)

    def merit(pool: tuple[int, ...]) -> float:
        values = value(estimates, pool, noise)
        plays = (replay(val, values, estimates, price=p, ranking=ranking) for p in few)
        return val_aiq(val, [figures(val, play) for play in plays])

    pool: tuple[int, ...] = ()
    reached = -np.inf
    while len(pool) < min(POOL, len(ranking)):
        wider = [(*pool, j) for j in range(len(ranking)) if j not in pool]
        ordered = [tuple(sorted(each, key=lambda j: (order[j], j))) for each in wider]
        merits = [merit(each) for each in ordered]
        if max(merits) <= reached:
            break
        reached = max(merits)
        pool = ordered[int(np.argmax(merits))]
    return pool, reached
