"""Whether the queries are still those that were learnt from: a window of them against the fit's.

Knows vectors. Does not know texts or outcomes: queries may drift while every model stays as it is.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict, deque
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from emafusion.errors import ArtefactError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Vectors = NDArray[np.float32] | NDArray[np.float64]

WAVES: Final = 128
WINDOW: Final = 200
MOST: Final = 50
"""Queries in a window from which on a caller makes room for others."""
FEWEST: Final = 50
"""Queries of other callers below which one caller's are the traffic."""


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
    variances : ndarray, shape (2w,)
        Of one query's features, along their principal axes.
    count : int
        Queries that the reference was made of.
    """

    def __init__(self, waves: Array, centre: Array, *, variances: Array, count: int) -> None:
        self.waves = waves
        self.centre = centre
        self.variances = variances
        self.count = count

    @classmethod
    def fit(cls, vectors: Vectors, *, seed: int = 0) -> Reference:
        """From the encoder's `vectors` (n, d) of the queries that were learnt from."""
        import numpy as np

        if len(vectors) < 2:
            raise DataError("a reference of queries takes at least two")
        rng = np.random.default_rng(seed)
        some = np.asarray(vectors, dtype=np.float64)[rng.permutation(len(vectors))[:500]]
        square = (some**2).sum(axis=1)
        apart = square[:, None] + square[None, :] - 2.0 * some @ some.T
        width = float(np.sqrt(np.median(np.maximum(apart, 0.0)))) or 1.0
        waves = rng.standard_normal((vectors.shape[1], WAVES)) / width
        features = _features(vectors, waves)
        variances = np.linalg.eigvalsh(np.cov(features.T))
        return cls(
            waves,
            features.mean(axis=0),
            variances=np.maximum(variances, 0.0),
            count=len(vectors),
        )

    def apart(self, size: int) -> float:
        """The expected distance of `size` unchanged queries."""
        return float(self.variances.sum()) * (1.0 / size + 1.0 / self.count)

    def threshold(self, patience: float, size: int = WINDOW) -> float:
        """The distance that at most one window of `size` queries in `patience` passes by chance.

        Means of features are nearly normal, so the distance is a sum of χ² weighted by the
        variances of their difference: the window strays of its law, and so does the reference. Its
        tail is bounded by the exponential moment (Chernoff, 1952); the law of the same mean and
        variance has too light a tail where few axes matter.
        """
        import numpy as np

        weights = self.variances * (1.0 / size + 1.0 / self.count)
        most = float(weights.max())
        if most <= 0.0:
            return 0.0
        steps = np.linspace(0.0, 0.5, 1001)[1:-1, None] / most
        moments = -0.5 * np.log1p(-2.0 * steps * weights).sum(axis=1)
        return float(((math.log(patience) + moments) / steps[:, 0]).min())

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The arrays that an artefact keeps."""
        import numpy as np

        return {
            "waves": self.waves.astype(np.float32),
            "centre": self.centre,
            "variances": self.variances,
            "count": np.array([self.count]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Reference:
        """What :meth:`to_arrays` told; raises ``ArtefactError`` where it does not fit together."""
        import numpy as np

        found = {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}
        width = 2 * found["waves"].shape[1]
        if not found["centre"].shape == found["variances"].shape == (width,):
            raise ArtefactError("the reference of queries does not fit together")
        return cls(
            found["waves"],
            found["centre"],
            variances=found["variances"],
            count=int(found["count"][0]),
        )


class Stray:
    """The last queries that came in, held against the reference.

    A query that stands in the window already does not count again: neither one that is asked over
    and over nor a probe of the server's health makes a drift. A full window
    gives up the oldest query of whoever has most of it. It has strayed where it has so without any
    one of its callers too, as far as :data:`FEWEST` queries are left to say so: the odd
    questions of one caller are not a drift of what all ask. Callers written ``tenant/user`` are
    bounded together too, whatever users a tenant may think of.

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
        # By place in the window, the oldest first: whose query it is, and the digest of its text.
        self._held: OrderedDict[int, tuple[str, bytes]] = OrderedDict()
        self._places: dict[Group, deque[int]] = {}
        self._heavy: set[Group] = set()
        self._known: set[bytes] = set()
        self.seen = 0

    def observe(self, vector: Vectors, caller: str = "") -> bool:
        """Count one query by its encoder's vector (d,); whether the window has strayed."""
        self.take(vector[None, :], [caller])
        return self.strayed

    def take(
        self, vectors: Vectors, callers: Sequence[str], *, texts: Sequence[str] | None = None
    ) -> None:
        """Count the queries of these `vectors` (n, d), in their order, each of its caller.

        By their `texts` it is told which stand in the window already; without, none does.
        """
        told = _features(vectors, self._reference.waves)
        names = [b""] * len(told) if texts is None else [_digest(text) for text in texts]
        for features, caller, name in zip(told, callers, names, strict=True):
            if name and name in self._known:
                continue
            place = self._place()
            self._kept[place] = features
            self._held[place] = (caller, name)
            self._known.add(name)
            for group in _groups(caller):
                self._places.setdefault(group, deque()).append(place)
                if len(self._places[group]) >= MOST:
                    self._heavy.add(group)
            self.seen += 1

    @property
    def full(self) -> bool:
        """Whether there are enough queries to tell."""
        return len(self._held) == WINDOW

    @property
    def distance(self) -> float:
        """The window's squared distance from the reference; 0 until it is full."""
        return self._distance(self._kept.sum(axis=0), WINDOW) if self.full else 0.0

    @property
    def strayed(self) -> bool:
        """Whether the window lies farther off than chance explains, whoever is left out of it."""
        total = self._kept.sum(axis=0)
        if not self.full or self._distance(total, WINDOW) <= self.threshold:
            return False
        return all(self._strays_without(places, total) for places in self._places.values())

    def _strays_without(self, places: Collection[int], total: Array) -> bool:
        """Whether the window strays without the queries at `places`."""
        rest = WINDOW - len(places)
        if rest < FEWEST:
            return True  # Too few others to say: these queries are the traffic.
        left = total - self._kept[list(places)].sum(axis=0)
        # The threshold is in proportion to the variance of what it bounds.
        wider = self._reference.apart(rest) / self._reference.apart(WINDOW)
        return self._distance(left, rest) > self.threshold * wider

    def _distance(self, total: Array, count: int) -> float:
        return float(((total / count - self._reference.centre) ** 2).sum())

    def _place(self) -> int:
        """Where the next query goes; what stood there is forgotten."""
        if not self.full:
            return len(self._held)
        place = self._oldest()
        owner, name = self._held.pop(place)
        self._known.discard(name)
        for group in _groups(owner):
            self._places[group].remove(place)
            if len(self._places[group]) < MOST:
                self._heavy.discard(group)
            if not self._places[group]:
                del self._places[group]
        return place

    def _oldest(self) -> int:
        """Of whoever has most of the window its oldest query; where nobody has much, that of all.

        So those who ask little keep their place beside one who asks without end.
        """
        tenants = [one for one in self._heavy if one[0] == "tenant"]
        if not tenants:
            return next(iter(self._held))
        heaviest = max(tenants, key=lambda one: len(self._places[one]))
        users = [
            one for one in self._heavy if one[0] == "caller" and _groups(one[1])[1] == heaviest
        ]
        most = max(users, key=lambda one: len(self._places[one]), default=heaviest)
        return self._places[most][0]


Group: TypeAlias = tuple[str, str]
"""A caller, or all of a tenant."""


def _digest(text: str) -> bytes:
    """What a window keeps of a text; nothing of an empty one, which is like no other."""
    found = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
    return found if text else b""


def _groups(caller: str) -> tuple[Group, Group]:
    return ("caller", caller), ("tenant", caller.partition("/")[0])


def _features(vectors: Vectors, waves: Array) -> Array:
    import numpy as np

    # Single precision is plenty for cosines, and halves what a query costs.
    turns = np.asarray(vectors, dtype=np.float32) @ waves.astype(np.float32)
    scale = np.float32(waves.shape[1] ** -0.5)
    found: Array = np.concatenate([np.cos(turns), np.sin(turns)], axis=1) * scale
    return found
