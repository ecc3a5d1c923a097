"""Intervals of means over rows that come in clusters: what another sample would have shown.

Knows numbers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ROUNDS: Final = 2000
FEWEST_CLUSTERS: Final = 10
"""Clusters below which a resample of them says nothing of others."""
_AT_ONCE: Final = 4_000_000
"""Numbers in memory at a time."""


class Estimate(Struct, frozen=True, kw_only=True):
    """A mean, with the ends of its 95 % percentile interval.

    ``floor`` and ``ceiling`` end the one-sided 95 % intervals, ``above`` is the share of the
    resamples in which the mean is above 0.
    """

    value: float
    low: float
    high: float
    floor: float
    ceiling: float
    above: float


def mean(
    values: Array, *, clusters: Sequence[str], weights: Array | None = None, seed: int
) -> Estimate:
    """The mean of `values` and its interval by resampling whole clusters.

    Parameters
    ----------
    values : ndarray, shape (n,)
    clusters : sequence of n str
        Rows of one cluster are drawn together.
    weights : ndarray, shape (n,), optional
        With them the estimate is ``Σ values ÷ Σ weights``: values are weighed already.
    seed : int
        Fixes the draws, so that estimates over the same clusters are paired.

    References
    ----------
    Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, sections 8.5 and 13.3.
    """
    import numpy as np

    weights = np.ones(len(values)) if weights is None else weights
    _, group = np.unique(np.array(clusters), return_inverse=True)
    sums, sizes = np.bincount(group, values), np.bincount(group, weights)
    count = len(sums)
    rng = np.random.default_rng(seed)
    means: list[Array] = []
    for start in range(0, ROUNDS, step := max(_AT_ONCE // count, 1)):
        rounds = min(step, ROUNDS - start)
        drawn = rng.integers(0, count, (rounds, count))
        means.append(sums[drawn].sum(axis=1) / np.maximum(sizes[drawn].sum(axis=1), 1e-300))
    found = np.concatenate(means)
    low, floor, ceiling, high = np.quantile(found, [0.025, 0.05, 0.95, 0.975])
    return Estimate(
        value=float(sums.sum() / sizes.sum()),
        low=float(low),
        high=float(high),
        floor=float(floor),
        ceiling=float(ceiling),
        above=float((found > 0.0).mean()),
    )


def wary(values: Array, *, clusters: Sequence[str], worst: float, seed: int) -> Estimate:
    """The mean of `values`, its lower ends as if one row more had come out as `worst`.

    What is lost rarely may not be among few rows at all; a resample of them then knows nothing of
    it, and the plain interval's lower end lies too high. With the row it falls by about
    ``3 · |worst| ÷ n`` where nothing was seen to be lost: the rule of three. ``value``, ``high``
    and ``ceiling`` are those of :func:`mean`.

    References
    ----------
    Hanley & Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 1983.
    """
    import msgspec
    import numpy as np

    plain = mean(values, clusters=clusters, seed=seed)
    alone = max(clusters, key=len) + "\0"
    low = mean(np.append(values, worst), clusters=[*clusters, alone], seed=seed)
    return msgspec.structs.replace(plain, low=low.low, floor=low.floor, above=low.above)
