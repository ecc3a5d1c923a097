"""A request as the vector that the learned parts read: h = [embedding; labels; surface].

Knows how the three are laid side by side; does not know what any coordinate means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from emafusion.encoders import surface
from emafusion.protocols import Encoder
from emafusion.types import AXES, Labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Features:
    """h(x) of DESIGN §2.2, standardised.

    Parameters
    ----------
    encoder : Encoder
        Text to unit vectors of ``encoder.dim``.
    labels : mapping of axis to label names
        The taxonomy's labels, in the order their probabilities take in the vector.
    mean, scale : ndarray, shape (d,), optional
        The training mean and standard deviation; absent, vectors are left as they are.
    """

    def __init__(
        self,
        encoder: Encoder,
        labels: Mapping[str, Sequence[str]],
        *,
        mean: NDArray[np.float64] | None = None,
        scale: NDArray[np.float64] | None = None,
    ) -> None:
        self.encoder = encoder
        self.labels: Mapping[str, Sequence[str]] = {axis: tuple(labels[axis]) for axis in AXES}
        self.mean = mean
        self.scale = scale
        self._columns = tuple((axis, self.labels[axis]) for axis in AXES)

    def vectors(self, texts: Sequence[str], labels: Sequence[Labels]) -> NDArray[np.float64]:
        """One row per text, shape ``(n, encoder.dim + labels + surface features)``."""
        import numpy as np

        raw = np.concatenate(
            [self.encoder.encode(texts), self._probabilities(labels), surface.features(texts)],
            axis=1,
        ).astype(np.float64)
        if self.mean is None or self.scale is None:
            return raw
        return np.clip((raw - self.mean) / self.scale, -5.0, 5.0)

    def vector(self, text: str, labels: Labels) -> NDArray[np.float64]:
        """The row of :meth:`vectors` for one text."""
        import numpy as np

        told: list[float] = []
        for axis, names in self._columns:
            told += map(labels.axes.get(axis, {}).get, names, repeat(0.0))
        raw: NDArray[np.float64] = np.concatenate(
            [self.encoder.encode([text])[0], np.array(told), surface.row(text)]
        )
        if self.mean is None or self.scale is None:
            return raw
        raw -= self.mean
        raw /= self.scale
        np.minimum(raw, 5.0, out=raw)
        np.maximum(raw, -5.0, out=raw)
        return raw

    def _probabilities(self, labels: Sequence[Labels]) -> NDArray[np.float64]:
        import numpy as np

        order = [(axis, name) for axis in AXES for name in self.labels[axis]]
        rows = [[one.axes.get(axis, {}).get(name, 0.0) for axis, name in order] for one in labels]
        return np.array(rows, dtype=np.float64).reshape(len(labels), len(order))
