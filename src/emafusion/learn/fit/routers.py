"""Fits what comes before any call: both routers, their gate, and the lengths of answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.learn.fit import logistic
from emafusion.predict import Features, LearnedRouter, Suitability
from emafusion.predict.suitability import LEVELS
from emafusion.types import Labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Parts = Sequence[NDArray[np.int64]]

FOLDS = 5
BOOTSTRAPS = 8
PENALTIES = (30.0, 100.0, 300.0, 1000.0)
"""L2 strengths tried for the learned router, in observations, on :data:`MOST_TRIED` queries."""
MOST_TRIED = 1500
STRENGTHS = (2.0, 5.0, 10.0, 20.0, 40.0)
"""Pseudo-counts κ tried for the taxonomy router."""


class Inputs(Struct, frozen=True, kw_only=True):
    """What the routers see and should say: vectors (n, d), labels (n), scores (n, m), with NaN."""

    vectors: Array
    labels: tuple[Labels, ...]
    scores: Array

    def rows(self, keep: NDArray[np.int64]) -> Inputs:
        """Some of the queries, by position."""
        return Inputs(
            vectors=self.vectors[keep],
            labels=tuple(self.labels[int(i)] for i in keep),
            scores=self.scores[keep],
        )


class Settings(Struct, frozen=True, kw_only=True):
    """The hyperparameters that cross-validation chose."""

    penalty: float
    strength: float
    gate: tuple[float, float]


def folds(count: int, seed: int) -> list[NDArray[np.int64]]:
    """Positions of `count` queries, shuffled, in :data:`FOLDS` parts."""
    import numpy as np

    return np.array_split(np.random.default_rng(seed).permutation(count), FOLDS)


def standardised(features: Features, vectors: Array) -> Features:
    """`features` with the mean and scale of `vectors`."""
    import numpy as np

    spread = vectors.std(axis=0)
    return Features(
        features.encoder,
        features.labels,
        mean=vectors.mean(axis=0),
        scale=np.where(spread > 1e-6, spread, 1.0),
    )


def suitability(features: Features, inputs: Inputs, strength: float) -> Suitability:
    """The taxonomy router fitted on `inputs`."""
    return Suitability(features.labels, *counts(features, inputs), strength=strength)


def counts(features: Features, inputs: Inputs) -> tuple[Array, Array]:
    """Soft counts of trials and successes, each of shape (cells, models)."""
    import numpy as np

    cells = math.prod(len(features.labels[axis]) for axis in LEVELS[-1])
    empty = np.zeros((cells, 1))
    weights = Suitability(features.labels, empty, empty, strength=1.0).weights(inputs.labels)
    seen = ~np.isnan(inputs.scores)
    return weights.T @ seen, weights.T @ np.nan_to_num(inputs.scores)


def learned(inputs: Inputs, penalty: float, *, seed: int, bootstraps: int) -> LearnedRouter:
    """The learned router: one logistic head per model, with one-step bootstraps of each."""
    import numpy as np

    rng = np.random.default_rng(seed)
    count, models = inputs.scores.shape
    shares = rng.poisson(1.0, (bootstraps - 1, count)).astype(np.float64)
    weights = np.zeros((bootstraps, inputs.vectors.shape[1] + 1, models))
    for m in range(models):
        seen = ~np.isnan(inputs.scores[:, m])
        x, y = inputs.vectors[seen], inputs.scores[seen, m]
        weights[0, :, m] = logistic.fit(x, y, penalty)
        if bootstraps > 1:
            weights[1:, :, m] = logistic.resampled(
                x, y, penalty, weights=weights[0, :, m], shares=shares[:, seen]
            )
    return LearnedRouter(weights[:, 1:], weights[:, 0])


def lengths(
    inputs: Inputs, tokens: Array, seconds: Array, *, prompt_tokens: Array
) -> dict[str, Array]:
    """The arrays of :class:`~emafusion.predict.Lengths`, by ridge regression per model."""
    import numpy as np
    from sklearn.linear_model import LinearRegression, Ridge

    dim, models = inputs.vectors.shape[1], tokens.shape[1]
    weights, biases = np.zeros((dim, models)), np.zeros(models)
    spreads, paces = np.zeros(models), np.zeros((3, models))
    for m in range(models):
        seen = ~np.isnan(tokens[:, m])
        log = np.log(np.maximum(tokens[seen, m], 1.0))
        model = Ridge(alpha=100.0).fit(inputs.vectors[seen], log)
        weights[:, m], biases[m] = model.coef_, model.intercept_
        spreads[m] = float(np.std(log - model.predict(inputs.vectors[seen])))
        timed = seen & ~np.isnan(seconds[:, m])
        if timed.any():
            table = np.stack([prompt_tokens[timed, m], tokens[timed, m]], axis=1)
            pace = LinearRegression(positive=True).fit(table, seconds[timed, m])
            paces[:, m] = (max(pace.intercept_, 0.0), *pace.coef_)
    return {"weights": weights, "biases": biases, "spreads": spreads, "paces": paces}


class Forecasts(Struct, frozen=True, kw_only=True):
    """Out-of-fold P(right), (n, m): each router alone, and their union."""

    taxonomy: Array
    learned: Array
    union: Array


def choose(features: Features, inputs: Inputs, seed: int) -> tuple[Settings, Forecasts]:
    """Hyperparameters by cross-validated log-loss, and the out-of-fold forecasts."""
    parts = folds(len(inputs.labels), seed)
    penalty, head = _penalty(inputs, parts)
    cells = {s: taxonomy(features, inputs, parts=parts, strength=s) for s in STRENGTHS}
    strength = min(cells, key=lambda s: log_loss(cells[s], inputs.scores))
    gate = fit_gate(head, cells[strength], inputs)
    union = mix(head, cells[strength], shares(gate, inputs.labels))
    forecasts = Forecasts(taxonomy=cells[strength], learned=head, union=union)
    return Settings(penalty=penalty, strength=strength, gate=gate), forecasts


def heads(inputs: Inputs, parts: Parts, penalty: float) -> Array:
    """The learned router's out-of-fold forecast, (n, m)."""
    import numpy as np

    found = np.zeros_like(inputs.scores)
    for m in range(inputs.scores.shape[1]):
        seen = ~np.isnan(inputs.scores[:, m])
        whole = logistic.fit(inputs.vectors[seen], inputs.scores[seen, m], penalty)
        for part in parts:
            use = seen.copy()
            use[part] = False
            weights = logistic.fit(
                inputs.vectors[use], inputs.scores[use, m], penalty, start=whole, steps=2
            )
            found[part, m] = logistic.sigmoid(inputs.vectors[part] @ weights[1:] + weights[0])
    return found


def taxonomy(features: Features, inputs: Inputs, *, parts: Parts, strength: float) -> Array:
    """The taxonomy router's out-of-fold forecast, (n, m)."""
    import numpy as np

    found = np.zeros_like(inputs.scores)
    for part in parts:
        rest = np.setdiff1d(np.arange(len(inputs.labels)), part)
        router = suitability(features, inputs.rows(rest), strength)
        found[part] = router.weights(inputs.rows(part).labels) @ router.rates
    return found


def _penalty(inputs: Inputs, parts: Parts) -> tuple[float, Array]:
    """The penalty of least cross-validated log-loss, tried on a sample, and its forecast of all."""
    import numpy as np

    count = len(inputs.labels)
    few = inputs.rows(np.random.default_rng(0).permutation(count)[:MOST_TRIED])
    trial = folds(len(few.labels), 0)
    scale = count / len(few.labels)
    losses = {p: log_loss(heads(few, trial, p), few.scores) for p in PENALTIES}
    best = min(losses, key=losses.__getitem__)
    # More rows bear a little less shrinkage a row: the square root of their number suits.
    penalty = best * math.sqrt(scale)
    return penalty, heads(inputs, parts, penalty)


def mix(head: Array, cell: Array, share: Array) -> Array:
    """The union's forecast: a mean of log-odds, `share` (n,) of it the learned router's."""
    import numpy as np

    odds = share[:, None] * logistic.log_odds(head) + (1.0 - share[:, None]) * logistic.log_odds(
        cell
    )
    forecast: Array = 1.0 / (1.0 + np.exp(-odds))
    return forecast


def shares(gate: tuple[float, float], labels: Sequence[Labels]) -> Array:
    """The learned router's share for each query, σ(a + b · familiarity)."""
    import numpy as np

    familiar = np.array([one.familiarity for one in labels])
    share: Array = 1.0 / (1.0 + np.exp(-(gate[0] + gate[1] * familiar)))
    return share


def fit_gate(head: Array, cell: Array, inputs: Inputs) -> tuple[float, float]:
    """The gate under which the mix of both routers' forecasts (n, m) loses least."""
    grid = [(a, b) for a in (-3.0, -1.5, 0.0, 1.5, 3.0) for b in (-3.0, -1.5, 0.0, 1.5, 3.0)]
    return min(
        grid, key=lambda g: log_loss(mix(head, cell, shares(g, inputs.labels)), inputs.scores)
    )


def log_loss(forecast: Array, scores: Array) -> float:
    """Mean negative log-likelihood of `scores` under `forecast`, both (n, m), NaN skipped."""
    import numpy as np

    p = np.clip(forecast, 1e-3, 1.0 - 1e-3)
    return float(-np.nanmean(scores * np.log(p) + (1.0 - scores) * np.log(1.0 - p)))
