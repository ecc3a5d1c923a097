"""Whether the queries are still those that were learnt from: a window of them against the fit's.

Knows vectors. Does not know texts or outcomes: queries may drift while every model stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from emafusion.errors import ArtefactError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

WAVES = 128
WINDOW = 200
WINDOWS = 2000
"""Windows drawn of the reference, to know how far one strays by chance."""


class Reference:
    """What a window of unchanged queries looks like.

    The distance of a window is its squared maximum mean discrepancy to the reference under a
    Gaussian kernel, by random Fourier features (Gretton et al., 2012; Rahimi & Recht, 2007).

    Parameters
    ----------
    waves : ndarray, shape (d, w)
        Frequencies; features are their cosines and sines.
    centre : ndarray, shape (2w,)
        The reference's mean feature.
    usual : float
        The mean distance of a window of :data:`WINDOW` reference queries.
    spread : float
        The standard deviation of that distance.
    """

    def __init__(self, waves: Array, centre: Array, *, usual: float, spread: float) -> None:
        self.waves = waves
        self.centre = centre
        self.usual = usual
        self.spread = spread

    @classmethod
    def fit(cls, vectors: Array, *, seed: int = 0) -> Reference:
        """From the encoder's `vectors` (n, d) of the queries that were learnt from."""
        import numpy as np

        if len(vectors) < 2:
            raise DataError("a reference of queries takes at least two")
        rng = np.random.default_rng(seed)
        some = vectors[rng.permutation(len(vectors))[:500]]
        square = (some**2).sum(axis=1)
        apart = square[:, None] + square[None, :] - 2.0 * some @ some.T
        width = float(np.sqrt(np.median(np.maximum(apart, 0.0)))) or 1.0
        waves = rng.standard_normal((vectors.shape[1], WAVES)) / width
        features = _features(vectors, waves)
        centre = features.mean(axis=0)
        drawn = rng.integers(len(vectors), size=(WINDOWS, WINDOW))
        strays = [float(((features[rows].mean(axis=0) - centre) ** 2).sum()) for rows in drawn]
        # The reference strays from the law it was drawn of, too: by so much more a window does.
        more = 1.0 + WINDOW / len(vectors)
        usual, spread = float(np.mean(strays)) * more, float(np.std(strays)) * more
        return cls(waves, centre, usual=usual, spread=spread)

    def threshold(self, patience: float) -> float:
        """The distance that one window in `patience` passes by chance.

        A weighted sum of χ² has a tail much like that of the gamma law of the same mean and
        variance (Satterthwaite, 1946); its quantile is by Wilson & Hilferty (1931).
        """
        from statistics import NormalDist

        shape = (self.usual / self.spread) ** 2
        scale = self.spread**2 / self.usual
        z = NormalDist().inv_cdf(1.0 - 1.0 / patience)
        part = 1.0 / (9.0 * shape)
        return float(shape * scale * (1.0 - part + z * part**0.5) ** 3)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The arrays that an artefact keeps."""
        import numpy as np

        return {
            "waves": self.waves,
            "centre": self.centre,
            "strays": np.array([self.usual, self.spread]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Reference:
        """What :meth:`to_arrays` told."""
        import numpy as np

        found = {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}
        if found["centre"].shape != (2 * found["waves"].shape[1],):
            raise ArtefactError("the reference of queries does not fit together")
        usual, spread = found["strays"].tolist()
        return cls(found["waves"], found["centre"], usual=usual, spread=spread)


class Stray:
    """A sliding window over the queries that come in.

    Parameters
    ----------
    reference : Reference
    patience : float
        Windows of unchanged, independent queries that pass for one that alarms.
    """

    def __init__(self, reference: Reference, *, patience: float = 20_000.0) -> None:
        import numpy as np

        self._reference = reference
        self.threshold = reference.threshold(patience)
        self._kept = np.zeros((WINDOW, len(reference.centre)))
        self._sum = np.zeros(len(reference.centre))
        self.seen = 0

    def observe(self, vector: Array) -> bool:
        """Count one query by its encoder's vector (d,); whether the window has strayed."""
        told = _features(vector[None, :], self._reference.waves)[0]
        at = self.seen % WINDOW
        self._sum += told - self._kept[at]
        self._kept[at] = told
        self.seen += 1
        return self.distance > self.threshold

    @property
    def distance(self) -> float:
        """The window's squared distance from the reference; 0 until it is full."""
        if self.seen < WINDOW:
            return 0.0
        gap = self._sum / WINDOW - self._reference.centre
        return float((gap**2).sum())


def _features(vectors: Array, waves: Array) -> Array:
    import numpy as np

    turns = np.asarray(vectors, dtype=np.float64) @ waves
    found: Array = np.concatenate([np.cos(turns), np.sin(turns)], axis=1) / WAVES**0.5
    return found
