"""The benchmark's figures: of frontiers, of confidences, of differences.

Knows numbers only: points (mean US dollars a query, mean score), confidences and scores. Which
system they belong to, and how a report shows them, are others' concern.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from emafusion.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from emafusion.evaluate.runs import Run

    Array = NDArray[np.float64]

# RouterArena, section 4: the weight of accuracy, and the costs of 1,000 queries at both ends.
_BETA: Final = 0.1
_DEAREST_PER_1K: Final = 200.0
_CHEAPEST_PER_1K: Final = 0.0044

_Z95: Final = 1.959963984540054
_CHUNK: Final = 200

LEVEL = 0.005
"""Accuracy by which a point may fall short and still count as level."""
NEAR_BEST = 0.003
"""Accuracy within which points count as the best: less than settings of one dial differ by luck."""


def hull(points: ArrayLike, *, origin: bool = False) -> Array:
    """The non-decreasing concave frontier of points: what mixing operating points at random buys.

    Parameters
    ----------
    points : array_like, shape (n, 2)
        US dollars and accuracy of each operating point.
    origin : bool
        Whether not answering at all, at no cost, may be mixed in.

    Returns
    -------
    ndarray, shape (k, 2)
        The corners, costs and accuracies both rising.

    References
    ----------
    Hu et al., "RouterBench", 2024, section 3.2 (non-decreasing convex hull).
    """
    found = _points(points)
    if origin:
        found = np.vstack([[0.0, 0.0], found])
    found = found[np.lexsort((-found[:, 1], found[:, 0]))]
    higher = np.maximum.accumulate(np.concatenate([[-np.inf], found[:-1, 1]]))
    corners: list[Array] = []
    for point in found[found[:, 1] > higher]:
        while len(corners) > 1 and _turn(corners[-2], corners[-1], point) >= 0:
            corners.pop()
        corners.append(point)
    return np.array(corners)


def aiq(points: ArrayLike, dearest: float) -> float:
    """Average improvement in quality: mean height of the hull, from cost 0 to ``dearest``.

    The hull is that of the points and the origin, flat beyond its last corner.

    Parameters
    ----------
    points : array_like, shape (n, 2)
        US dollars and accuracy of each operating point.
    dearest : float
        Where the range ends, in US dollars: twice the best single model's cost, the same for all
        systems that are compared.

    References
    ----------
    Hu et al., "RouterBench", 2024, section 3.3 (AIQ).
    """
    if dearest <= 0:
        raise DataError(f"the range of AIQ must end above 0 US dollars, not at {dearest!r}")
    costs, accuracies = hull(points, origin=True).T
    inside = costs < dearest
    ends = np.concatenate([costs[inside], [dearest]])
    heights = np.concatenate([accuracies[inside], [np.interp(dearest, costs, accuracies)]])
    return float(np.trapezoid(heights, ends) / dearest)


def router_arena(accuracy: float, usd_per_1k: float) -> float:
    """RouterArena's score: a weighted harmonic mean of accuracy and log cost, in [0, 1].

    ``S = (1 + β) A C / (β A + C)`` with ``C = log(200 / c) / log(200 / 0.0044)``, β = 0.1, and c
    US dollars a thousand queries, held within those bounds.
    """
    cost = np.clip(usd_per_1k, _CHEAPEST_PER_1K, _DEAREST_PER_1K)
    thrift = float(np.log(_DEAREST_PER_1K / cost) / np.log(_DEAREST_PER_1K / _CHEAPEST_PER_1K))
    below = _BETA * accuracy + thrift
    return (1 + _BETA) * accuracy * thrift / below if below > 0 else 0.0


def oracle_gap(accuracy: float, best_single: float, oracle: float) -> float:
    """Share of the way from the best single model to the oracle; NaN if there is no way."""
    gap = oracle - best_single
    return (accuracy - best_single) / gap if gap > 0 else float("nan")


def cost_save(points: ArrayLike, best_single: tuple[float, float]) -> float | None:
    """Share of the best single model's cost saved at no less accuracy; None if never reached.

    ``1 − c / c_best``, where c is the least cost on the hull of ``points`` (without the origin) at
    which accuracy is not below the best single model's: negative where that is dearer.

    Parameters
    ----------
    points : array_like, shape (n, 2)
        US dollars and accuracy of each operating point.
    best_single : tuple of float
        US dollars and accuracy of the best single model.

    References
    ----------
    LLMRouterBench, 2026, section on metrics (CostSave).
    """
    cost, accuracy = best_single
    costs, accuracies = hull(points).T
    if accuracies[-1] < accuracy or cost <= 0:
        return None
    return 1.0 - float(np.interp(accuracy, accuracies, costs)) / cost


def ece(confidences: ArrayLike, scores: ArrayLike, *, bins: int = 15) -> float:
    """Expected calibration error, ``Σ (n_b / n) |mean score − mean confidence|``.

    Over bins of equal width on [0, 1]: the benchmark's primary figure, as most papers report it.
    :func:`ece_equal_mass` is the same over bins that hold equally many.

    References
    ----------
    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.
    """
    confident, right = _pairs(confidences, scores)
    places = np.clip((confident * bins).astype(np.int64), 0, bins - 1)
    return _gap(places, confident, right)


def ece_of_a_perfect_judge(
    confidences: ArrayLike, *, bins: int = 15, rounds: int = 200, seed: int = 0
) -> float:
    """The mean :func:`ece` of answers that are right exactly as often as `confidences` say.

    For scores of 0 and 1. With n answers it is not 0 but about ``Σ √(n_b) / n``: what the best of
    judges would show.
    """
    confident = np.asarray(confidences, dtype=np.float64)
    rng = np.random.default_rng(seed)
    drawn = (rng.random(len(confident)) < confident for _ in range(rounds))
    return float(np.mean([ece(confident, one, bins=bins) for one in drawn]))


def ece_equal_mass(confidences: ArrayLike, scores: ArrayLike, *, bins: int = 15) -> float:
    """Expected calibration error over bins that hold equally many (adaptive ECE).

    Equal confidences share a bin, so a constant confidence makes one bin of all.

    References
    ----------
    Nixon et al., "Measuring Calibration in Deep Learning", CVPR workshops 2019, section 4.
    """
    confident, right = _pairs(confidences, scores)
    edges = np.unique(np.quantile(confident, np.linspace(0, 1, bins + 1)[1:-1]))
    return _gap(np.searchsorted(edges, confident, side="right"), confident, right)


def paired_bootstrap(
    a: ArrayLike, b: ArrayLike, *, seed: int, rounds: int = 2000
) -> tuple[float, float, float]:
    """Mean of ``a − b`` over the same queries, with the ends of its 95 % percentile interval.

    References
    ----------
    Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    first, second = _pairs(a, b)
    differences = first - second
    rng = np.random.default_rng(seed)
    means: list[Array] = []
    for start in range(0, rounds, _CHUNK):
        size = (min(_CHUNK, rounds - start), len(differences))
        means.append(differences[rng.integers(0, len(differences), size)].mean(axis=1))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)


def mean_ci(scores: ArrayLike) -> tuple[float, float]:
    """The 95 % interval of a mean of scores in [0, 1].

    Wilson's interval: exact in spirit for right-or-wrong, wider than need be for scores between,
    and never outside [0, 1].

    References
    ----------
    Wilson, "Probable Inference …", JASA 1927.
    """
    values = np.asarray(scores, dtype=np.float64)
    if not len(values):
        raise DataError("there are no scores to take the mean of")
    n, p = len(values), float(values.mean())
    centre = (p + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    half = _Z95 * np.sqrt(max(p * (1 - p), 0.0) / n + _Z95**2 / (4 * n**2)) / (1 + _Z95**2 / n)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def headline(
    runs: Sequence[Run], *, best_single: tuple[float, float], budget_usd: float
) -> dict[str, Run]:
    """The operating points a report leads with, chosen by their ``val`` figures alone.

    ``max_quality`` is the cheapest within :data:`NEAR_BEST` of the most accurate; ``parity``
    the cheapest that is level with the best single model's accuracy (within :data:`LEVEL`),
    ``economy`` the most accurate within the budget, and no dearer than ``max_quality``. Of equals
    the cheaper. Where none is good enough for parity, ``max_quality`` stands in; where none fits
    the budget, the cheapest.

    Parameters
    ----------
    runs : sequence of Run
        Each with ``tuned`` figures; those without are passed over.
    best_single : tuple of float
        US dollars and accuracy of the best single model on ``val``.
    budget_usd : float
        What economy may cost on ``val``: a quarter of the pool's mean cost.

    Raises
    ------
    DataError
        If no run has ``tuned`` figures.
    """
    known = [(run, *run.tuned) for run in runs if run.tuned is not None]
    if not known:
        raise DataError("no run has figures of the val rows to choose operating points by")
    level = [each for each in known if each[1] >= best_single[1] - LEVEL]
    thrifty = [each for each in known if each[2] <= budget_usd]
    most = max(accuracy for _, accuracy, _ in known)
    near = [each for each in known if each[1] >= most - NEAR_BEST]
    best = min(near, key=lambda each: (each[2], -each[1]))
    cheapest = min(known, key=lambda each: (each[2], -each[1]))
    within = [each for each in thrifty if each[2] <= best[2]]
    return {
        "max_quality": best[0],
        "parity": min(level, key=lambda each: (each[2], -each[1]), default=best)[0],
        "economy": max(within, key=lambda each: (each[1], -each[2]), default=cheapest)[0],
    }


def _points(points: ArrayLike) -> Array:
    found = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    if not len(found) or not np.isfinite(found).all() or (found[:, 0] < 0).any():
        raise DataError("points must be pairs (US dollars ≥ 0, accuracy), at least one")
    return found


def _turn(a: Array, b: Array, c: Array) -> float:
    """Positive where the way from a over b to c bends to the left: b lies below the line a–c."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def _pairs(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        told = f"{first.shape} and {second.shape}"
        raise DataError(f"two rows of numbers must be equally long and not empty, not {told}")
    return first, second


def _gap(places: NDArray[np.int64], confidences: Array, scores: Array) -> float:
    sums = np.bincount(places, weights=scores - confidences)
    return float(np.abs(sums).sum() / len(confidences))
