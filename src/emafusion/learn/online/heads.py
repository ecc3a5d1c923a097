"""The learned router's heads as beliefs: a Gaussian over each, moved by one outcome at a time.

Knows vectors and scores. Does not know text, labels, or which outcome to believe.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.errors import ArtefactError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

NEWTON_STEPS = 6
STEEPEST = 30.0


class Doubt(Struct, frozen=True, kw_only=True):
    """Prior variances: of an intercept, and of a weight of a standardised column.

    ``shared`` variances are of what all models have in common (how hard a prompt is), the others of
    what sets one model apart. Chosen on recorded outcomes (docs/online.md).
    """

    shared_intercept: float = 0.5
    shared_weight: float = 0.001
    intercept: float = 0.5
    weight: float = 0.0003


class Heads:
    """w_m = w_0 + δ_m for m models, each w a Gaussian over d + 1 weights, intercept first.

    An outcome (x, y) of model m multiplies the belief by σ(w_m·x)^y (1 − σ(w_m·x))^(1−y) to the
    power of its weight, and a Gaussian is fitted at the mode: assumed-density filtering (Opper,
    1998; Zoeter, 2007), the mode found exactly, since it moves along one direction only. w_0 and
    δ_m share the movement in proportion to their variances.

    Parameters
    ----------
    means : ndarray, shape (m + 1, d + 1)
        The first row is w_0, the others δ_m. Both arrays are taken over, and changed in place.
    covariances : ndarray, shape (m + 1, d + 1, d + 1)
        Symmetric; zeros hold a row where it is.
    """

    def __init__(self, means: Array, covariances: Array) -> None:
        if covariances.shape != (*means.shape, means.shape[1]):
            raise ArtefactError(
                f"heads of shape {means.shape} do not fit covariances of {covariances.shape}"
            )
        self.means = means
        self.covariances = covariances

    @classmethod
    def cold(cls, intercepts: Array, width: int, *, doubt: Doubt | None = None) -> Heads:
        """Heads before any outcome: `intercepts` (m,) in log-odds; no column matters yet."""
        import numpy as np

        doubt = doubt or Doubt()
        count = len(intercepts)
        means = np.zeros((count + 1, width + 1))
        means[1:, 0] = intercepts
        covariances = np.zeros((count + 1, width + 1, width + 1))
        covariances[0] = np.diag([doubt.shared_intercept] + [doubt.shared_weight] * width)
        covariances[1:] = np.diag([doubt.intercept] + [doubt.weight] * width)
        return cls(means, covariances)

    @classmethod
    def fitted(cls, weights: Array, biases: Array, *, trials: Array, penalty: float) -> Heads:
        """Heads around a fit: as sure of each as its number of outcomes allows.

        Parameters
        ----------
        weights, biases : ndarray, shapes (d, m) and (m,)
            The fit.
        trials : ndarray, shape (m,)
            Outcomes behind each model's head. An outcome near even odds adds a quarter to the
            precision along its vector; standardised columns have unit square, so one number does
            for all.
        penalty : float
            The fit's own, in observations.
        """
        import numpy as np

        width, count = weights.shape
        means = np.zeros((count + 1, width + 1))
        means[1:, 0], means[1:, 1:] = biases, weights.T
        covariances = np.zeros((count + 1, width + 1, width + 1))
        for m, seen in enumerate(trials.tolist()):
            own = 1.0 / (penalty + 0.2 * seen)
            covariances[m + 1] = np.diag([1.0 / (1.0 + 0.2 * seen)] + [own] * width)
        return cls(means, covariances)

    def update(self, model: int, vector: Array, reward: float, *, weight: float = 1.0) -> None:
        """Believe that `model` scored `reward` in [0, 1] on a query of this `vector` (d,)."""
        import numpy as np

        x = np.concatenate([[1.0], vector])
        shared, own = self.covariances[0] @ x, self.covariances[model + 1] @ x
        variance = float(x @ shared + x @ own)
        odds = float(x @ self.means[0] + x @ self.means[model + 1])
        step = _mode(odds, variance, reward=reward, weight=weight)
        if variance <= 0.0:
            return
        rate = _sigmoid(odds + step)
        curve = weight * rate * (1.0 - rate)
        shrink = curve / (1.0 + curve * variance)
        for place, gain in ((0, shared), (model + 1, own)):
            self.means[place] += gain * (step / variance)
            self.covariances[place] -= np.outer(gain, gain * shrink)

    def odds(self, vectors: Array) -> tuple[Array, Array]:
        """Log-odds of a good answer and their variance, both (n, m), for `vectors` (n, d)."""
        import numpy as np

        x = np.column_stack([np.ones(len(vectors)), vectors])
        spread = np.stack([((one @ x.T) * x.T).sum(axis=0) for one in self.covariances], axis=1)
        told = x @ self.means.T
        return told[:, 1:] + told[:, :1], spread[:, 1:] + spread[:, :1]

    def draws(self, count: int, *, seed: int = 0) -> tuple[Array, Array]:
        """Weights (count, d, m) and biases (count, m) drawn from the belief, in opposite pairs.

        The first is the mean itself, so an odd `count` leaves the ensemble's mean the belief's;
        the spread of the rest is that of the belief.
        """
        import numpy as np

        if count % 2 == 0:
            raise ArtefactError(f"an ensemble of draws holds the mean and pairs, not {count}")
        rng = np.random.default_rng(seed)
        heads, width = self.means.shape
        pairs = (count - 1) // 2
        swings = np.empty((heads, pairs, width))
        for place, covariance in enumerate(self.covariances):
            noise = rng.standard_normal((pairs, width))
            swings[place] = noise @ _root(covariance).T
        # The mean has no spread of its own, which the pairs make up for.
        swings *= (count / (count - 1)) ** 0.5
        centre = (self.means[1:] + self.means[:1])[:, None]
        swing = swings[1:] + swings[:1]
        drawn = np.concatenate([centre, centre + swing, centre - swing], axis=1)
        return np.moveaxis(drawn[:, :, 1:], 0, -1), drawn[:, :, 0].T

    def doubt(self, model: int, prior: Doubt) -> None:
        """Believe that `model` may have become another: its mean stays, its variance grows.

        It may now differ from what it was as much as models differ from each other.
        """
        import numpy as np

        width = self.means.shape[1]
        other = np.diag([prior.intercept] + [prior.weight] * (width - 1))
        self.covariances[model + 1] += other


def _mode(odds: float, variance: float, *, reward: float, weight: float) -> float:
    """The log-odds' move: the root of step = variance·weight·(reward − σ(odds + step))."""
    reach = variance * weight
    step = 0.0
    for _ in range(NEWTON_STEPS):
        rate = _sigmoid(odds + step)
        slope = 1.0 + reach * rate * (1.0 - rate)
        change = (reach * (reward - rate) - step) / slope
        # Beyond four log-odds the curve is flat, and a Newton step would leap over the root.
        step += math.copysign(min(abs(change), 4.0), change)
        if abs(change) < 1e-9:
            break
    return step


def _sigmoid(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-STEEPEST, min(STEEPEST, odds))))


def _root(covariance: Array) -> Array:
    """L with L·Lᵀ = covariance, for one that may be zero."""
    import numpy as np

    if not covariance.any():
        return covariance
    return np.asarray(np.linalg.cholesky(covariance + _jitter(len(covariance))))


def _jitter(width: int) -> Array:
    import numpy as np

    return np.eye(width) * 1e-12
