"""Which of several open-ended drafts is the best: where no answer can be read, none can agree.

One merit for each draft, linear in what shows on its face and in the forecast, with an intercept
for each model; learnt from which draft of a pair was preferred. Knows the arithmetic; weights are
learnt elsewhere. Works on any number of drafts at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from emafusion.errors import ArtefactError
from emafusion.judge import surface

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

WIDTH = len(surface.NAMES) + 1
"""Columns of a draft: its standardised surface and its model's prior log-odds."""
WIDEST = 4.0


class Ranker:
    """The merit of drafts, and the score to be expected of each.

    Parameters
    ----------
    pool : sequence of m str
        The models, in the arrays' order.
    typical : ndarray, shape (2, surface columns)
        Mean and spread of surfaces.
    weights : ndarray, shape (WIDTH,)
        Merit in units of score; only differences between drafts of one query mean anything.
    models : ndarray, shape (m,)
        What each model's name adds.
    level : ndarray, shape (3,)
        Intercept and weights of merit and ease in the log-odds of a draft's score.
    alone : bool
        Whether it judges every draft: too few queries with answers to share were fitted on for
        anyone else to.
    """

    def __init__(
        self,
        pool: Sequence[str],
        *,
        typical: Array,
        weights: Array,
        models: Array,
        level: Array,
        alone: bool = False,
    ) -> None:
        self.pool = tuple(pool)
        self._typical = typical
        self._weights = weights
        self._models = models
        self._level = level
        self.alone = alone
        *surfaces, self._by_prior = weights.tolist()
        self._lone = list(zip(*typical.tolist(), surfaces, strict=True))

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.generic]], pool: Sequence[str]
    ) -> Ranker | None:
        """The ranker that a fit wrote; ``None`` where the outcomes held no open-ended drafts.

        Raises
        ------
        ArtefactError
            It was fitted to other columns than this version reads.
        """
        import numpy as np

        if "ranker_weights" not in arrays:
            return None
        read = tuple(arrays["ranker_columns"].tolist()) if "ranker_columns" in arrays else ()
        right = len(arrays["ranker_weights"]) == WIDTH and len(arrays["ranker_models"]) == len(pool)
        if read != surface.NAMES or not right:
            raise ArtefactError(
                "the policy was fitted by another version of emafusion, which ranked drafts "
                "differently; fit it anew with: emafusion fit"
            )
        names = ("typical", "weights", "models", "level")
        found = {name: np.asarray(arrays[f"ranker_{name}"], dtype=np.float64) for name in names}
        return cls(pool, **found, alone=bool(arrays["ranker_alone"][0]))

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """What :meth:`from_arrays` reads."""
        import numpy as np

        return {
            "ranker_columns": np.array(surface.NAMES),
            "ranker_typical": self._typical,
            "ranker_weights": self._weights,
            "ranker_models": self._models,
            "ranker_level": self._level,
            "ranker_alone": np.array([self.alone]),
        }

    def merits(self, models: Sequence[int], surfaces: Array, priors: Array) -> Array:
        """The merit of each draft, shape (n, k).

        Parameters
        ----------
        models : sequence of k int
            Who wrote the drafts, as positions in the pool.
        surfaces : ndarray, shape (n, k, surface columns)
        priors : ndarray, shape (n, k)
            The forecast's log-odds.
        """
        table = columns((surfaces - self._typical[0]) / self._typical[1], priors)
        found: Array = table @ self._weights + self._models[list(models)]
        return found

    def expected(self, merits: Array, ease: Array) -> Array:
        """The score to be expected of each draft, shape (n, k), given the query's ease (n,).

        Rises with merit, so the draft of most merit is the one that is expected to score most.
        """
        import numpy as np

        start, by_merit, by_ease = self._level
        odds = start + by_merit * merits + by_ease * ease[:, None]
        found: Array = 1.0 / (1.0 + np.exp(-np.minimum(np.maximum(odds, -6.0), 6.0)))
        return found

    def lone(self, model: int, row: Sequence[float], *, prior: float, ease: float) -> float:
        """The figure of :meth:`expected` for one draft, of which arrays take longer to make."""
        merit = float(self._models[model]) + self._by_prior * prior
        for value, (middle, spread, weight) in zip(row, self._lone, strict=True):
            z = (value - middle) / spread
            if z > WIDEST:
                z = WIDEST
            elif z < -WIDEST:
                z = -WIDEST
            merit += z * weight
        start, by_merit, by_ease = self._level.tolist()
        odds = start + by_merit * merit + by_ease * ease
        return 1.0 / (1.0 + math.exp(-min(max(odds, -6.0), 6.0)))


def columns(standard: Array, priors: Array) -> Array:
    """What merit is linear in, shape (…, WIDTH), from standardised surfaces."""
    import numpy as np

    bounded = np.minimum(np.maximum(standard, -WIDEST), WIDEST)
    return np.concatenate([bounded, priors[..., None]], axis=-1)
