"""The nearest training prompts, and means over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.int64]

_CHUNK: Final = 1024


def nearest(known: Array, asked: Array, k: int) -> Indices:
    """The k rows of ``known`` with the highest cosine to each row of ``asked``, nearest first.

    ``known`` (N, d) and ``asked`` (n, d) hold unit vectors; the result is (n, min(k, N)).
    """
    k = min(k, len(known))
    base = np.ascontiguousarray(known.T, dtype=np.float32)
    found = []
    for start in range(0, len(asked), _CHUNK):
        closeness = asked[start : start + _CHUNK].astype(np.float32) @ base
        part = np.argpartition(-closeness, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(closeness, part, axis=1), axis=1, kind="stable")
        found.append(np.take_along_axis(part, order, axis=1))
    return np.concatenate(found) if found else np.zeros((0, k), dtype=np.int64)


def averages(values: Array, neighbours: Indices) -> Array:
    """Mean of ``values`` (N, m) over each row's neighbours (n, k), NaN left out: shape (n, m).

    Where no neighbour has a value, the mean over all rows stands in; NaN where there is none.
    """
    from scipy.sparse import csr_array

    n, k = neighbours.shape
    links = csr_array(
        (np.ones(n * k), neighbours.ravel(), np.arange(0, n * k + 1, k)), shape=(n, len(values))
    )
    seen = np.isfinite(values)
    filled = np.where(seen, values, 0.0)
    overall = filled.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    overall[~seen.any(axis=0)] = np.nan
    counts = links @ seen.astype(np.float64)
    return np.asarray(np.where(counts > 0, (links @ filled) / np.maximum(counts, 1), overall))
