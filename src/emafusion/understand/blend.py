"""The stage's classifier: the fast one, helped by the slow one where it is unsure and help pays.

Knows when to ask and how to mix, ``p(c|x) = λ·p_slow(c|x) + (1−λ)·p_fast(c|x)`` per axis; the
numbers are fitted by ``learn.fit_mixture``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from emafusion.errors import ArtefactError
from emafusion.protocols import Port
from emafusion.types import AXES, Axis, Labels, Request, replace
from emafusion.understand.fast import FastClassifier
from emafusion.understand.slow import SlowClassifier

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """How the slow classifier is used: on each axis its ``weight`` λ, and how often it is right.

    ``trust`` is the share of its named labels that were right when it was fitted, so that
    ``p_slow`` is that share for the label it names and the rest spread over the others. It is asked
    when, on an axis with a weight, the fast classifier's best label has less than ``unsure``.
    """

    weight: Mapping[Axis, float] = field(default_factory=dict)
    trust: Mapping[Axis, float] = field(default_factory=dict)
    unsure: float = 0.0

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The arrays an artefact stores."""
        return {
            "blend/weight": np.array([self.weight.get(axis, 0.0) for axis in AXES]),
            "blend/trust": np.array([self.trust.get(axis, 0.0) for axis in AXES]),
            "blend/unsure": np.array([self.unsure]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Mixture:
        """Read back :meth:`to_arrays`; arrays without a mixture give one that never asks."""
        if "blend/weight" not in arrays:
            return cls()
        try:
            weight = arrays["blend/weight"].astype(np.float64).tolist()
            trust = arrays["blend/trust"].astype(np.float64).tolist()
            unsure = float(arrays["blend/unsure"].astype(np.float64)[0])
            return cls(
                weight=dict(zip(AXES, weight, strict=True)),
                trust=dict(zip(AXES, trust, strict=True)),
                unsure=unsure,
            )
        except (KeyError, ValueError, IndexError) as error:
            raise ArtefactError(f"the blend's arrays are damaged: {error}") from error


class Blend:
    """A :class:`~emafusion.protocols.Classifier`: the fast classifier, blended with the slow one.

    Parameters
    ----------
    fast : FastClassifier
        Always speaks.
    slow : SlowClassifier, optional
        Without one, this is the fast classifier alone.
    mixture : Mixture
        When and how much the slow one counts; by default it is never asked.
    """

    def __init__(
        self,
        fast: FastClassifier,
        slow: SlowClassifier | None = None,
        *,
        mixture: Mixture | None = None,
    ) -> None:
        self.fast = fast
        self.slow = slow
        self.mixture = mixture or Mixture()

    async def understand(self, request: Request, port: Port) -> Labels:
        """The labels of `request`; no failure of the slow classifier's model is raised."""
        labels = self.fast.labels(request)
        if self.slow is None or not self.unsure(labels):
            return labels
        named = await self.slow.name(request, port)
        if not named:
            return labels
        axes = {axis: dict(labels.axes[axis]) for axis in AXES}
        for axis, label in named.items():
            if label in axes[axis]:
                axes[axis] = self._mix(axis, axes[axis], label)
        return replace(labels, axes=axes, source="blend")

    def unsure(self, labels: Labels) -> bool:
        """Whether the slow classifier is worth asking about `labels`."""
        return any(
            weight > 0.0 and max(labels.axes[axis].values()) < self.mixture.unsure
            for axis, weight in self.mixture.weight.items()
        )

    def _mix(self, axis: Axis, fast: Mapping[str, float], label: str) -> dict[str, float]:
        weight = self.mixture.weight.get(axis, 0.0)
        trust = self.mixture.trust.get(axis, 0.0)
        rest = (1.0 - trust) / max(1, len(fast) - 1)
        return {
            name: (1.0 - weight) * share + weight * (trust if name == label else rest)
            for name, share in fast.items()
        }
