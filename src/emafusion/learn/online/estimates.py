"""What is believed of a pool, outcome by outcome: Φ's counts and the learned router's heads.

Knows how one outcome changes both, and how the beliefs become the arrays that serve. Does not
decide which outcomes count, or how much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from emafusion.errors import ArtefactError
from emafusion.learn.online.heads import Doubt, Heads
from emafusion.predict import Fitted, LearnedRouter, Suitability, prior
from emafusion.predict.suitability import LEVELS
from emafusion.types import Labels, Model, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Arrays = Mapping[str, NDArray[np.generic]]

ENSEMBLE: Final = 9
"""Heads drawn for serving: the mean and four opposite pairs."""


class Estimates:
    """Beliefs about m models that one outcome at a time can change.

    Parameters
    ----------
    pool : sequence of m str
    heads : Heads
        The learned router's.
    trials, successes : ndarray, shape (cells, m)
        The taxonomy router's soft counts.
    labels : mapping of axis to label names
        The order of the cells.
    doubt : Doubt
        How far models differ: what :meth:`forget` makes room for.
    """

    def __init__(
        self,
        pool: Sequence[str],
        heads: Heads,
        *,
        trials: Array,
        successes: Array,
        labels: Mapping[str, Sequence[str]],
        doubt: Doubt | None = None,
    ) -> None:
        import numpy as np

        self.pool = tuple(pool)
        self.heads = heads
        self.trials = np.array(trials, dtype=np.float64)
        self.successes = np.array(successes, dtype=np.float64)
        self._doubt = doubt or Doubt()
        self._labels = labels
        empty = np.zeros((_cells(labels), 1))
        if not self.trials.shape == self.successes.shape == (len(empty), len(self.pool)):
            raise ArtefactError(
                f"counts of shape {self.trials.shape} do not fit {len(empty)} cells × "
                f"{len(self.pool)} models"
            )
        self._reader = Suitability(labels, empty, empty, strength=1.0)

    @classmethod
    def cold(
        cls, models: Sequence[Model], width: int, *, labels: Mapping[str, Sequence[str]]
    ) -> Estimates:
        """Before any outcome: dearer models are a little better, and nothing else is known."""
        import numpy as np

        plain = Labels(axes={})
        told = np.array([prior.estimate(model, plain, 0.0).quality for model in models])
        empty = np.zeros((_cells(labels), len(models)))
        return cls(
            [model.name for model in models],
            Heads.cold(np.log(told / (1.0 - told)), width),
            trials=empty,
            successes=empty,
            labels=labels,
        )

    @classmethod
    def fitted(
        cls,
        arrays: Arrays,
        pool: Sequence[str],
        *,
        labels: Mapping[str, Sequence[str]],
        penalty: float,
    ) -> Estimates:
        """Around what a fit wrote for stage 3; `penalty` is its own, in observations."""
        import numpy as np

        trials = np.asarray(arrays["trials"], dtype=np.float64)
        weights = np.asarray(arrays["weights"], dtype=np.float64)[0]
        biases = np.asarray(arrays["biases"], dtype=np.float64)[0]
        heads = Heads.fitted(weights, biases, trials=trials.sum(axis=0), penalty=penalty)
        successes = np.asarray(arrays["successes"], dtype=np.float64)
        return cls(pool, heads, trials=trials, successes=successes, labels=labels)

    def update(
        self, vector: Array, labels: Labels, *, model: str, reward: float, weight: float = 1.0
    ) -> None:
        """Count one outcome: `model` answered a query of this `vector` (d,) and these `labels`.

        `reward` in [0, 1] is its score, or a calibrated confidence in its answer; `weight` in
        [0, 1] how far it is to be believed. Raises ``ValueError`` for others.
        """
        if not (0.0 <= reward <= 1.0 and 0.0 <= weight <= 1.0):
            raise ValueError(f"reward {reward!r} and weight {weight!r} must lie in [0, 1]")
        at = self.pool.index(model)
        cells = self._reader.weights([labels])[0] * weight
        self.trials[:, at] += cells
        self.successes[:, at] += cells * reward
        self.heads.update(at, vector, reward, weight=weight)

    def forget(self, model: str, *, keep: float = 0.05) -> None:
        """Believe that `model` may have changed: the estimates stay, the next outcomes count more.

        `keep` is the share of Φ's counts that is kept.
        """
        at = self.pool.index(model)
        self.trials[:, at] *= keep
        self.successes[:, at] *= keep
        self.heads.doubt(at, self._doubt)

    def restore(self, model: str, before: Estimates) -> None:
        """Believe of `model` what `before` does: it is again what it was then."""
        at = self.pool.index(model)
        self.trials[:, at] = before.trials[:, at]
        self.successes[:, at] = before.successes[:, at]
        self.heads.means[at + 1] = before.heads.means[at + 1]
        self.heads.covariances[at + 1] = before.heads.covariances[at + 1]

    def suitability(self, strength: float) -> Suitability:
        """The taxonomy router by these counts."""
        return Suitability(self._labels, self.trials, self.successes, strength=strength)

    def serving(self, *, seed: int = 0) -> dict[str, Array]:
        """The arrays of stage 3 that these beliefs replace, as a fitted artefact names them."""
        weights, biases = self.heads.draws(ENSEMBLE, seed=seed)
        return {
            "weights": weights,
            "biases": biases,
            "trials": self.trials,
            "successes": self.successes,
        }

    def applied(self, fitted: Fitted, *, seed: int = 0) -> Fitted:
        """`fitted` with these beliefs in both routers; what serves it need not know.

        Raises ``ArtefactError`` where it is of another pool.
        """
        if fitted.pool != self.pool:
            raise ArtefactError(f"estimates of {self.pool} do not fit the pool {fitted.pool}")
        arrays = self.serving(seed=seed)
        return replace(
            fitted,
            suitability=self.suitability(fitted.suitability.strength),
            learned=LearnedRouter(arrays["weights"], arrays["biases"]),
        )

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The whole state, covariances by their lower triangles."""
        import numpy as np

        low = np.tril_indices(self.heads.means.shape[1])
        return {
            "means": self.heads.means,
            "covariances": self.heads.covariances[:, low[0], low[1]],
            "trials": self.trials,
            "successes": self.successes,
        }

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, pool: Sequence[str], *, labels: Mapping[str, Sequence[str]]
    ) -> Estimates:
        """What :meth:`to_arrays` told, to go on from."""
        import numpy as np

        means = np.array(arrays["means"], dtype=np.float64)
        width = means.shape[1]
        low = np.tril_indices(width)
        covariances = np.zeros((len(means), width, width))
        covariances[:, low[0], low[1]] = np.asarray(arrays["covariances"], dtype=np.float64)
        covariances[:, low[1], low[0]] = covariances[:, low[0], low[1]]
        return cls(
            pool,
            Heads(means, covariances),
            trials=np.asarray(arrays["trials"], dtype=np.float64),
            successes=np.asarray(arrays["successes"], dtype=np.float64),
            labels=labels,
        )


def _cells(labels: Mapping[str, Sequence[str]]) -> int:
    return math.prod(len(labels[axis]) for axis in LEVELS[-1])
