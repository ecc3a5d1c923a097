"""The fast classifier: encoder vector and surface features into one calibrated softmax per axis.

Knows its arrays and how to apply them in microseconds; ``learn.fit_understand`` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from emafusion.encoders import surface
from emafusion.errors import ArtefactError
from emafusion.types import AXES, Axis, Labels, Request
from emafusion.understand.facts import stated
from emafusion.understand.familiarity import Familiarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.protocols import Encoder, Port

FORMAT = 1
"""The version of the arrays that this file reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One axis: labels, weights ``(inputs, labels)`` and biases, with the temperature in them."""

    labels: tuple[str, ...]
    weights: NDArray[np.float32] = field(repr=False)
    biases: NDArray[np.float32] = field(repr=False)


class FastClassifier:
    """A linear softmax head per axis over [encoder vector; surface features].

    Parameters
    ----------
    heads : mapping of axis to Head
        One for each of the four axes.
    familiarity : Familiarity
        Says how near a query is to what the heads were fitted on.
    encoder : Encoder
        The encoder that the heads were fitted with.
    """

    def __init__(
        self, heads: Mapping[Axis, Head], familiarity: Familiarity, encoder: Encoder
    ) -> None:
        self.heads = dict(heads)
        self.familiarity = familiarity
        self.encoder = encoder
        self._weights = np.concatenate([heads[axis].weights for axis in AXES], axis=1)
        self._biases = np.concatenate([heads[axis].biases for axis in AXES])
        widths = [len(heads[axis].labels) for axis in AXES]
        ends = np.cumsum(widths).tolist()
        self._slices = {a: slice(e - w, e) for a, e, w in zip(AXES, ends, widths, strict=True)}
        self._starts = np.array([part.start for part in self._slices.values()])
        self._axis_of = np.repeat(np.arange(len(AXES)), widths)
        self._named = [(a, self.heads[a].labels, self._slices[a]) for a in AXES]

    async def understand(self, request: Request, port: Port | None = None) -> Labels:
        """The labels of `request`; `port` is not used: no model is asked."""
        del port
        return self.labels(request)

    def labels(self, request: Request) -> Labels:
        """The labels of `request`: of its last user message, and what its parameters state."""
        guessed = self.read(request.text)
        return Labels(axes=stated(guessed.axes, request), familiarity=guessed.familiarity)

    def read(self, text: str) -> Labels:
        """The labels of a bare `text`."""
        vector = self.encoder.encode([text])[0]
        inputs = np.concatenate([vector, surface.row(text)])
        scores = inputs @ self._weights + self._biases
        scores -= np.maximum.reduceat(scores, self._starts)[self._axis_of]
        np.exp(scores, out=scores)
        sums = [np.add.reduce(scores[part]) for _, _, part in self._named]
        shares = (scores / np.array(sums)[self._axis_of]).tolist()
        axes: dict[str, dict[str, float]] = {
            axis: dict(zip(names, shares[part], strict=True)) for axis, names, part in self._named
        }
        return Labels(axes=axes, familiarity=self.familiarity(vector))

    def read_all(self, texts: Sequence[str]) -> tuple[Labels, ...]:
        """The labels of many bare `texts` at once, equal to :meth:`read` of each."""
        vectors = self.encoder.encode(texts)
        scores = np.concatenate([vectors, surface.features(texts)], axis=1) @ self._weights
        scores = scores + self._biases
        return tuple(
            Labels(
                axes={
                    axis: dict(zip(self.heads[axis].labels, _softmax(row[part]), strict=True))
                    for axis, part in self._slices.items()
                },
                familiarity=self.familiarity(vector),
            )
            for vector, row in zip(vectors, scores, strict=True)
        )

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The arrays an artefact stores: everything but the encoder."""
        arrays: dict[str, NDArray[np.generic]] = {
            "format": np.array([FORMAT]),
            "encoder": _packed(self.encoder.name),
            "features": _packed("\n".join(surface.NAMES)),
            **self.familiarity.to_arrays(),
        }
        for axis, head in self.heads.items():
            arrays[f"{axis}/labels"] = _packed("\n".join(head.labels))
            arrays[f"{axis}/weights"] = head.weights.astype(np.float32)
            arrays[f"{axis}/biases"] = head.biases.astype(np.float32)
        return arrays

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.generic]], encoder: Encoder
    ) -> FastClassifier:
        """The classifier that :meth:`to_arrays` stored.

        Raises
        ------
        ArtefactError
            Where an array is missing or misshapen, or was fitted with another encoder or other
            surface features.
        """
        try:
            _same("encoder", _unpacked(arrays["encoder"]), encoder.name)
            _same("surface features", _unpacked(arrays["features"]), "\n".join(surface.NAMES))
            _same("array format", str(int(arrays["format"][0])), str(FORMAT))
            heads = {axis: _head(arrays, axis, encoder.dim + len(surface.NAMES)) for axis in AXES}
        except KeyError as error:
            raise ArtefactError(f"the classifier's arrays lack {error.args[0]!r}") from error
        return cls(heads, Familiarity.from_arrays(arrays), encoder)


def _head(arrays: Mapping[str, NDArray[np.generic]], axis: Axis, inputs: int) -> Head:
    labels = tuple(_unpacked(arrays[f"{axis}/labels"]).split("\n"))
    weights = arrays[f"{axis}/weights"].astype(np.float32)
    biases = arrays[f"{axis}/biases"].astype(np.float32)
    if weights.shape != (inputs, len(labels)) or biases.shape != (len(labels),):
        raise ArtefactError(
            f"the classifier's {axis!r} head has shape {weights.shape}, not {(inputs, len(labels))}"
        )
    return Head(labels=labels, weights=weights, biases=biases)


def _softmax(scores: NDArray[np.float32]) -> list[float]:
    exponents = np.exp(scores - scores.max())
    shares: list[float] = (exponents / exponents.sum()).tolist()
    return shares


def _same(what: str, stored: str, given: str) -> None:
    if stored != given:
        raise ArtefactError(
            f"the classifier was fitted with {what} {stored[:60]!r}, not {given[:60]!r}; "
            "fit it again"
        )


def _packed(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _unpacked(array: NDArray[np.generic]) -> str:
    return array.astype(np.uint8).tobytes().decode()
