"""Avengers-Pro: prompts in clusters, and each model's performance and efficiency in each."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from emafusion.evaluate.baselines.plays import Play, figures, pick
from emafusion.evaluate.baselines.settings import swept, val_aiq
from emafusion.evaluate.baselines.singles import accuracies, mean_costs
from emafusion.evaluate.runs import System
from emafusion.evaluate.threads import one_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]
    Indices = NDArray[np.int64]

SOURCE = (
    "Avengers-Pro, Zhang et al. 2025, arXiv:2508.12631, section 3 "
    "(x = α p̃ + (1 − α)(1 − q̃) per cluster, summed over the nearest clusters)"
)
CLUSTERS: Final = (8, 16, 32, 60, 100)
NEAREST: Final = (1, 2, 4)
# Cheap pools bunch near α = 1, where a point of accuracy weighs against little money.
ALPHAS: Final = (*np.round(1.0 - np.geomspace(1.0, 1e-3, 59), 4).tolist(), 1.0)


class Profiles(Struct, frozen=True, kw_only=True):
    """Cluster centres (k, d), and per cluster and model accuracy and US dollars, (k, m)."""

    centres: Array
    accuracy: Array
    cost: Array

    def closest(self, vectors: Array) -> Indices:
        """Clusters from nearest to farthest, shape (n, k)."""
        squares = (self.centres**2).sum(axis=1) - 2 * vectors @ self.centres.T
        return np.argsort(squares, axis=1, kind="stable")

    def scores(self, alpha: float) -> Array:
        """Performance–efficiency score of every model in every cluster, shape (k, m)."""
        return alpha * _scaled(self.accuracy) + (1 - alpha) * (1 - _scaled(self.cost))


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """The number of clusters and of nearest ones are tuned for AIQ on val; the dial is α."""
    fitted = {k: _fit(train, k, seed=seed) for k in CLUSTERS if k <= len(train.queries)}
    near = {k: profiles.closest(val.vectors) for k, profiles in fitted.items()}

    def merit(setting: tuple[int, int]) -> float:
        k, top = setting
        plays = (_play(val, fitted[k], near[k][:, :top], alpha=alpha) for alpha in ALPHAS)
        return val_aiq(val, [figures(val, play) for play in plays])

    k, top = max(product(fitted, NEAREST), key=merit)
    places = {id(val): near[k][:, :top], id(test): fitted[k].closest(test.vectors)[:, :top]}
    runs = swept(
        val,
        test,
        settings=ALPHAS,
        play=lambda table, alpha: _play(table, fitted[k], places[id(table)], alpha=alpha),
        knob=lambda alpha: f"clusters={k} top={top} α={alpha:g}",
    )
    return System(name="kmeans", role="baseline", runs=runs, source=SOURCE)


def _fit(train: Table, k: int, *, seed: int) -> Profiles:
    from sklearn.cluster import KMeans

    # Fewer prompts than clusters, once equal vectors are counted once, leave clusters empty.
    k = min(k, len(np.unique(train.vectors.round(5), axis=0)))
    with one_thread():
        model = KMeans(n_clusters=k, n_init=2, random_state=seed).fit(train.vectors)
    places = model.labels_
    return Profiles(
        centres=np.asarray(model.cluster_centers_, dtype=np.float64),
        accuracy=_per_cluster(train.scores, places, k=k, overall=accuracies(train)),
        cost=_per_cluster(train.costs, places, k=k, overall=mean_costs(train)),
    )


def _per_cluster(values: Array, places: Indices, *, k: int, overall: Array) -> Array:
    """Means over each cluster's rows, NaN left out; ``overall`` where a cluster has none."""
    inside = (places[:, None] == np.arange(k)).astype(np.float64)
    seen = np.isfinite(values)
    counts = inside.T @ seen
    sums = inside.T @ np.where(seen, values, 0.0)
    means: Array = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    return means


def _scaled(values: Array) -> Array:
    """Each cluster's values brought to [0, 1]; a model never seen at all costs the most."""
    finite = np.where(np.isfinite(values), values, np.nanmax(values[np.isfinite(values)]))
    low, high = finite.min(axis=1, keepdims=True), finite.max(axis=1, keepdims=True)
    return np.asarray((finite - low) / np.where(high > low, high - low, 1.0))


def _play(table: Table, profiles: Profiles, places: Indices, *, alpha: float) -> Play:
    utilities = profiles.scores(alpha)[places].sum(axis=1)
    return pick(table, utilities, confidences=profiles.accuracy[places].mean(axis=1))
