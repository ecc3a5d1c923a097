"""How near a query is to the texts that something was learnt from.

The nearest centroid's cosine, read as an empirical quantile: 0.3 says that 30 % of the covered
texts lie farther from their centroid than this query does, 0 that nearly all lie nearer. Knows
vectors only; ``learn.fit_understand`` makes the centroids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from emafusion.errors import ArtefactError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Familiarity:
    """Centroids ``(m, dim)``, and covered texts' sorted cosines ``(q,)`` to their nearest."""

    centroids: NDArray[np.float32] = field(repr=False)
    cosines: NDArray[np.float32] = field(repr=False)

    def __call__(self, vector: NDArray[np.float32]) -> float:
        """The familiarity in [0, 1] of a unit `vector`, shape ``(dim,)``."""
        nearest = np.maximum.reduce(self.centroids @ vector)
        return int(self.cosines.searchsorted(nearest, side="right")) / len(self.cosines)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The arrays an artefact stores."""
        return {
            "familiarity/centroids": self.centroids.astype(np.float16),
            "familiarity/cosines": self.cosines.astype(np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Familiarity:
        """Read back :meth:`to_arrays`; raises :class:`~emafusion.errors.ArtefactError`."""
        try:
            centroids = arrays["familiarity/centroids"].astype(np.float32)
            cosines = arrays["familiarity/cosines"].astype(np.float32)
        except KeyError as error:
            raise ArtefactError(f"the classifier's arrays lack {error.args[0]!r}") from error
        if centroids.ndim != 2 or cosines.ndim != 1 or not len(centroids) or not len(cosines):
            raise ArtefactError("the classifier's familiarity arrays have the wrong shape")
        return cls(centroids=centroids, cosines=np.sort(cosines))
