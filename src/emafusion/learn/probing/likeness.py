"""What a newcomer's few scores say of the rows it was not asked: a regression with a pooled prior.

log-odds that the newcomer is right = a + b·log-odds of the known models' mean score + c·mean
forecast + Σ_j d_j·(model j's score − mean score). Each known model is regressed on the others
the same way, on every row; the spread of what they get is the newcomer's prior (empirical Bayes,
Efron & Morris, 1973; the regression stands where item response theory has one difficulty an
item). With few probes it answers as models usually do; with more, as those do that it agrees with.

Knows scores and forecasts; reads no text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.learn.fit import logistic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

SHARED = 3
"""Columns that every model has: one, how many were right, how many were expected to be."""
HALF = 0.5
"""Successes and failures added, so that unanimous rows have finite log-odds."""
PENALTY = 10.0
STEPS = 12
DRAWS = 200
LEAST_SPREAD, LEAST_OWN = 0.1, 0.05
"""Standard deviations of the prior, at least: a pool of few models looks more alike than it is."""
ALONE = (1.0, 0.5, 0.5, 0.5)
"""The prior's spreads where there is only one known model."""


class Prior(Struct, frozen=True, kw_only=True):
    """What models of this pool are like: mean and standard deviation of each weight."""

    mean: Array
    spread: Array


class Likeness(Struct, frozen=True, kw_only=True):
    """The newcomer's weights: their posterior mode and covariance (Laplace)."""

    mode: Array
    covariance: Array

    def rates(self, columns: Array) -> Array:
        """P(right) of each row, the weights' uncertainty averaged over (MacKay, 1992, eq. 10)."""
        import numpy as np

        variance = np.einsum("ij,jk,ik->i", columns, self.covariance, columns)
        return logistic.sigmoid(columns @ self.mode / np.sqrt(1.0 + np.pi / 8.0 * variance))

    def drawn(self, columns: Array, draws: int, seed: int) -> Array:
        """P(right) of each row by weights drawn from the posterior, shape (draws, n)."""
        import numpy as np

        rng = np.random.default_rng(seed)
        weights = rng.multivariate_normal(self.mode, self.covariance, size=draws, method="cholesky")
        return logistic.sigmoid(weights @ columns.T)

    def level(self, columns: Array, seed: int) -> tuple[float, float]:
        """The mean P(right) over all rows and its standard error."""
        means = self.drawn(columns, DRAWS, seed).mean(axis=1)
        return float(self.rates(columns).mean()), float(means.std())


def columns(scores: Array, priors: Array) -> Array:
    """What the regression is linear in, shape (n, 3 + m).

    Parameters
    ----------
    scores, priors : ndarray, shape (n, m)
        The known models' scores, and the log-odds forecast of them.
    """
    import numpy as np

    total, models = scores.sum(axis=1), scores.shape[1]
    ease = np.log((total + HALF) / (models - total + HALF)) / 2.0
    shared = np.column_stack([np.ones(len(scores)), ease, priors.mean(axis=1)])
    return np.column_stack([shared, scores - total[:, None] / models])


def pooled(scores: Array, priors: Array) -> Prior:
    """The prior: each known model regressed on the others, on every row."""
    import numpy as np

    models = scores.shape[1]
    if models == 1:
        return Prior(mean=np.array([0.0, 2.0, 0.3, 0.0]), spread=np.array(ALONE))
    shared, own = [], []
    for model in range(models):
        others = [other for other in range(models) if other != model]
        table = columns(scores[:, others], priors[:, others])
        found = logistic.fit(table[:, 1:], scores[:, model], PENALTY)
        shared.append(found[:SHARED])
        own.append(found[SHARED:])
    spread = np.maximum(np.std(shared, axis=0, ddof=1), LEAST_SPREAD)
    own_spread = max(float(np.sqrt(np.mean(np.square(own)))), LEAST_OWN)
    return Prior(
        mean=np.concatenate([np.mean(shared, axis=0), np.zeros(models)]),
        spread=np.concatenate([spread, np.full(models, own_spread)]),
    )


def fit(table: Array, targets: Array, prior: Prior) -> Likeness:
    """The posterior after the probes `table` (k, 3 + m) with scores `targets` (k,)."""
    import numpy as np

    precision = np.diag(prior.spread**-2.0)
    weights = prior.mean.copy()
    hessian = precision
    for _ in range(STEPS):
        rates = logistic.sigmoid(table @ weights)
        hessian = (table * (rates * (1.0 - rates))[:, None]).T @ table + precision
        slope = table.T @ (targets - rates) - precision @ (weights - prior.mean)
        step = np.linalg.solve(hessian, slope)
        weights = weights + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-9))
    covariance = np.asarray(np.linalg.inv(hessian), dtype=np.float64)
    return Likeness(mode=weights, covariance=covariance)
