"""Fits what comes before any call: both routers, their gate, and the lengths of answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.predict import Features, LearnedRouter, Suitability
from emafusion.predict.suitability import LEVELS
from emafusion.types import Labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Fit = Callable[["Inputs", "Inputs"], Array]

FOLDS = 5
BOOTSTRAPS = 8
PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
"""Inverse L2 strengths tried for the learned router."""
STRENGTHS = (2.0, 5.0, 10.0, 20.0, 40.0)
"""Pseudo-counts κ tried for the taxonomy router."""


class Inputs(Struct, frozen=True, kw_only=True):
    """What the routers see and should say: vectors (n, d), labels (n), scores (n, m), with NaN."""

    vectors: Array
    labels: tuple[Labels, ...]
    scores: Array

    def rows(self, keep: Array) -> Inputs:
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


def folds(count: int, seed: int) -> list[Array]:
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
    """The learned router: one logistic head per model, refitted on bootstrap samples."""
    import numpy as np

    rng = np.random.default_rng(seed)
    count, models = inputs.scores.shape
    samples = [np.arange(count)] + [rng.integers(0, count, count) for _ in range(bootstraps - 1)]
    weights = np.zeros((bootstraps, inputs.vectors.shape[1], models))
    biases = np.zeros((bootstraps, models))
    for k, sample in enumerate(samples):
        for m in range(models):
            weights[k, :, m], biases[k, m] = _head(
                inputs.vectors[sample], inputs.scores[sample, m], penalty
            )
    return LearnedRouter(weights, biases)


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


def choose(features: Features, inputs: Inputs, seed: int) -> tuple[Settings, Array]:
    """Hyperparameters by cross-validated log-loss, and the out-of-fold union forecast (n, m)."""
    parts = folds(len(inputs.labels), seed)
    heads = {p: _held_out(inputs, parts, _learner(p, seed)) for p in PENALTIES}
    penalty = min(heads, key=lambda p: log_loss(heads[p], inputs.scores))
    cells = {s: _held_out(inputs, parts, _counter(features, s)) for s in STRENGTHS}
    strength = min(cells, key=lambda s: log_loss(cells[s], inputs.scores))
    gate = _gate(heads[penalty], cells[strength], inputs)
    mixed = mix(heads[penalty], cells[strength], shares(gate, inputs.labels))
    return Settings(penalty=penalty, strength=strength, gate=gate), mixed


def separate(
    features: Features, inputs: Inputs, *, chosen: Settings, seed: int
) -> dict[str, Array]:
    """Each router's out-of-fold forecast alone, for comparison with the union's."""
    parts = folds(len(inputs.labels), seed)
    return {
        "taxonomy": _held_out(inputs, parts, _counter(features, chosen.strength)),
        "learned": _held_out(inputs, parts, _learner(chosen.penalty, seed)),
    }


def mix(head: Array, cell: Array, share: Array) -> Array:
    """The union's forecast: a mean of log-odds, `share` (n,) of it the learned router's."""
    import numpy as np

    odds = share[:, None] * _logit(head) + (1.0 - share[:, None]) * _logit(cell)
    forecast: Array = 1.0 / (1.0 + np.exp(-odds))
    return forecast


def shares(gate: tuple[float, float], labels: Sequence[Labels]) -> Array:
    """The learned router's share for each query, σ(a + b · familiarity)."""
    import numpy as np

    familiar = np.array([one.familiarity for one in labels])
    share: Array = 1.0 / (1.0 + np.exp(-(gate[0] + gate[1] * familiar)))
    return share


def _gate(head: Array, cell: Array, inputs: Inputs) -> tuple[float, float]:
    grid = [(a, b) for a in (-3.0, -1.5, 0.0, 1.5, 3.0) for b in (-3.0, -1.5, 0.0, 1.5, 3.0)]
    return min(
        grid, key=lambda g: log_loss(mix(head, cell, shares(g, inputs.labels)), inputs.scores)
    )


def _learner(penalty: float, seed: int) -> Fit:
    def fit(train: Inputs, test: Inputs) -> Array:
        router = learned(train, penalty, seed=seed, bootstraps=1)
        rates: Array = router.rates(test.vectors)[0]
        return rates

    return fit


def _counter(features: Features, strength: float) -> Fit:
    def fit(train: Inputs, test: Inputs) -> Array:
        import numpy as np

        router = suitability(features, train, strength)
        return np.array([router.rate(one)[0] for one in test.labels])

    return fit


def _held_out(inputs: Inputs, parts: Sequence[Array], fit: Fit) -> Array:
    import numpy as np

    found = np.zeros_like(inputs.scores)
    for part in parts:
        rest = np.setdiff1d(np.arange(len(inputs.labels)), part)
        found[part] = fit(inputs.rows(rest), inputs.rows(part))
    return found


def _head(vectors: Array, scores: Array, penalty: float) -> tuple[Array, float]:
    """One logistic head; a fractional score counts as that share of a success."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    seen = ~np.isnan(scores)
    x, y = vectors[seen], scores[seen]
    weights = np.concatenate([y, 1.0 - y])
    keep = weights > 0
    targets = np.concatenate([np.ones(len(y)), np.zeros(len(y))])[keep]
    if len(np.unique(targets)) < 2:
        rate = (y.sum() + 1.0) / (len(y) + 2.0)
        return np.zeros(x.shape[1]), float(np.log(rate / (1.0 - rate)))
    model = LogisticRegression(C=penalty, max_iter=300)
    model.fit(np.concatenate([x, x])[keep], targets, sample_weight=weights[keep])
    return model.coef_[0], float(model.intercept_[0])


def log_loss(forecast: Array, scores: Array) -> float:
    """Mean negative log-likelihood of `scores` under `forecast`, both (n, m), NaN skipped."""
    import numpy as np

    p = np.clip(forecast, 1e-3, 1.0 - 1e-3)
    return float(-np.nanmean(scores * np.log(p) + (1.0 - scores) * np.log(1.0 - p)))


def _logit(rates: Array) -> Array:
    import numpy as np

    clipped = np.clip(rates, 0.005, 0.995)
    odds: Array = np.log(clipped / (1.0 - clipped))
    return odds
