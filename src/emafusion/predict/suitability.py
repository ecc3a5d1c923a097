"""The taxonomy router: how well each model has done on queries of these labels.

Knows label cells and shrunken success rates. Does not read text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from emafusion.types import Axis, Labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVELS: tuple[tuple[Axis, ...], ...] = (
    (),
    ("task",),
    ("task", "complexity"),
    ("task", "complexity", "domain"),
)
"""From the whole to the cell: each level's rate is the prior of the next (DESIGN §2.2)."""


class Suitability:
    """Φ(model, labels): hierarchical beta-binomial success rates.

    At each level, rate = (successes + κ·parent's rate) / (trials + κ), where trials and successes
    are soft counts: a query counts in a cell by its probability of lying there. Φ is the expected
    rate under the query's own label probabilities.

    Parameters
    ----------
    labels : mapping of axis to label names
        The order of the cells.
    trials, successes : ndarray, shape (cells, models)
        Soft counts at the finest level, cells in C order of the axes of the last level.
    strength : float
        κ, in pseudo-counts.
    """

    def __init__(
        self,
        labels: Mapping[str, Sequence[str]],
        trials: NDArray[np.float64],
        successes: NDArray[np.float64],
        *,
        strength: float,
    ) -> None:
        import numpy as np

        self._axes = [(axis, tuple(labels[axis])) for axis in LEVELS[-1]]
        self.strength = strength
        self.rates, self._support = _shrunken(
            [len(names) for _, names in self._axes], trials, successes, strength=strength
        )
        self.overall = _overall(trials, successes, strength=strength)
        self._models = self.rates.shape[1]
        self._both = np.concatenate([self.rates, self._support], axis=1)

    def rate(self, labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Φ and its standard error for each model, two arrays of shape (models,)."""
        import numpy as np

        # One axis after another is weighed away: no cell's own weight is ever needed.
        both = self._both
        for axis, names in self._axes:
            shares = np.array(_shares(labels.axes.get(axis, {}), names))
            both = shares @ both.reshape(len(names), -1)
        rate, count = both[: self._models], both[self._models :] + self.strength
        return rate, np.sqrt(rate * (1.0 - rate) / (count + 1.0))

    def weights(self, labels: Sequence[Labels]) -> NDArray[np.float64]:
        """How much of each query lies in each cell, shape (n, cells); rows sum to 1."""
        import numpy as np

        cells = np.ones((len(labels), 1))
        for axis, names in self._axes:
            share = np.array(
                [[one.axes.get(axis, {}).get(n, 0.0) for n in names] for one in labels]
            )
            total = share.sum(axis=1, keepdims=True)
            even = np.full_like(share, 1.0 / len(names))
            share = np.divide(share, total, out=even, where=total > 0)
            cells = (cells[:, :, None] * share[:, None, :]).reshape(len(labels), -1)
        return cells


def _shares(told: Mapping[str, float], names: Sequence[str]) -> list[float]:
    """The probabilities of `names`, brought to a sum of 1; even where none has any."""
    found = list(map(told.get, names, repeat(0.0)))
    total = sum(found)
    return [share / total for share in found] if total > 0 else [1.0 / len(names)] * len(names)


def _overall(
    trials: NDArray[np.float64], successes: NDArray[np.float64], *, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each model's rate on all queries and its standard error, two arrays of shape (models,)."""
    import numpy as np

    n, s = (np.asarray(counts, dtype=np.float64).sum(axis=0) for counts in (trials, successes))
    rate = (s + strength * 0.5) / (n + strength)
    return rate, np.sqrt(rate * (1.0 - rate) / (n + strength + 1.0))


def _shrunken(
    sizes: Sequence[int],
    trials: NDArray[np.float64],
    successes: NDArray[np.float64],
    *,
    strength: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rates and trials at the finest level, each level shrunk towards the one above."""
    import numpy as np

    models = trials.shape[1]
    n = np.asarray(trials, dtype=np.float64).reshape(*sizes, models)
    s = np.asarray(successes, dtype=np.float64).reshape(*sizes, models)
    rate = np.full(models, 0.5)
    for depth in range(len(LEVELS)):
        folded = tuple(range(depth, len(sizes)))
        level_n, level_s = n.sum(axis=folded), s.sum(axis=folded)
        parent = rate if depth == 0 else rate[..., None, :]
        rate = (level_s + strength * parent) / (level_n + strength)
    return rate.reshape(-1, models), n.reshape(-1, models)
