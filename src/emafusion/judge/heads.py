"""Each model's own tell: how far one draft can be trusted, read alone.

Knows the arithmetic; the weights are learnt elsewhere. Works on any number of drafts at once, so
that a benchmark runs the code that serves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from emafusion.errors import ArtefactError
from emafusion.judge import surface
from emafusion.types import Context

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

WIDTH = 3 * len(surface.NAMES) + 4
"""Columns of a head: the surface, its squares, its products with the prior; prior, mean and best
prior of the pool, and how far the draft's length is from the length expected."""


class Heads:
    """logit P(draft is right | forecast, its surface), one logistic head per model of the pool.

    Parameters
    ----------
    pool : sequence of m str
        The models, in the arrays' order.
    mean, scale : ndarray, shape (m, surface columns)
        Each model's typical surface.
    weights : ndarray, shape (m, WIDTH + 1)
        Intercept first.
    """

    def __init__(self, pool: Sequence[str], *, mean: Array, scale: Array, weights: Array) -> None:
        self.pool = tuple(pool)
        self._mean = mean
        self._scale = scale
        self._weights = weights
        self._lone = [
            _lone(*row) for row in zip(mean.tolist(), scale.tolist(), weights.tolist(), strict=True)
        ]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], pool: Sequence[str]) -> Heads:
        """The heads that a fit wrote.

        Raises
        ------
        ArtefactError
            They were fitted to other columns than this version reads.
        """
        import numpy as np

        names = tuple(arrays["head_columns"].tolist()) if "head_columns" in arrays else ()
        if names != surface.NAMES or arrays["head_weights"].shape[1] != WIDTH + 1:
            raise ArtefactError(
                "the policy was fitted by another version of emafusion, which read drafts "
                "differently; fit it anew with: emafusion fit"
            )
        found = {
            name: np.asarray(arrays[f"head_{name}"], dtype=np.float64)
            for name in ("mean", "scale", "weights")
        }
        return cls(pool, **found)

    def log_odds(
        self, model: int, surfaces: Array, priors: Array, *, pool: Array, off_length: Array
    ) -> Array:
        """One figure per draft of the model at position `model`, shape (n,).

        Parameters
        ----------
        surfaces : ndarray, shape (n, surface columns)
        priors : ndarray, shape (n,)
            The forecast's log-odds for this model.
        pool : ndarray, shape (n, 2)
            Mean and best of the pool's log-odds.
        off_length : ndarray, shape (n,)
            ln of found over expected completion tokens.
        """
        import numpy as np

        table = columns(
            (surfaces - self._mean[model]) / self._scale[model],
            priors,
            pool=pool,
            off_length=off_length,
        )
        weights = self._weights[model]
        odds: Array = np.minimum(np.maximum(table @ weights[1:] + weights[0], -6.0), 6.0)
        return odds

    def lone(
        self, model: int, row: Sequence[float], *, prior: float, pool: Context, off_length: float
    ) -> float:
        """The figure of :meth:`log_odds` for one draft, of which arrays take longer to make."""
        table, (start, by_prior, by_mean, by_best, by_length) = self._lone[model]
        odds = start + by_prior * prior + by_mean * pool.mean + by_best * pool.best
        odds += by_length * off_length
        half = prior / 2.0
        for value, (middle, spread, plain, square, product) in zip(row, table, strict=True):
            z = (value - middle) / spread
            if z > 4.0:
                z = 4.0
            elif z < -4.0:
                z = -4.0
            odds += z * (plain + square * z / 4.0 + product * half)
        return min(max(odds, -6.0), 6.0)


def _lone(
    mean: Sequence[float], scale: Sequence[float], weights: Sequence[float]
) -> tuple[list[tuple[float, ...]], Sequence[float]]:
    """One model's head by columns of the surface, and what it weighs besides, intercept first."""
    size = len(surface.NAMES)
    start, *each = weights
    thirds = (each[:size], each[size : 2 * size], each[2 * size : 3 * size])
    return list(zip(mean, scale, *thirds, strict=True)), [start, *each[3 * size :]]


def columns(standard: Array, priors: Array, *, pool: Array, off_length: Array) -> Array:
    """What a head weighs, shape (n, WIDTH); `standard` are standardised surfaces."""
    import numpy as np

    bounded = np.minimum(np.maximum(standard, -4.0), 4.0)
    own = priors[:, None]
    return np.concatenate(
        [bounded, bounded**2 / 4.0, bounded * own / 2.0, own, pool, off_length[:, None]], axis=1
    )
