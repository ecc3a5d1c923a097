"""The promise behind "accepted": a threshold on confidence, and how often it may be wrong.

Knows the promise and the threshold that keeps it; how one is found from outcomes is the fit's
concern, and what becomes of an answer that is not accepted is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIGURES = ("alpha", "delta", "threshold", "certified", "relative", "calibrated_on", "coverage")


class Guarantee(Struct, frozen=True, kw_only=True):
    """A bound on the risk of accepted answers, or the statement that there is none.

    Where `certified`: with probability at least 1 − δ over the calibration rows, the answers whose
    confidence reaches `threshold` are wrong at most α (`relative`: α more often than the best
    single model's answers to the same queries).

    Parameters
    ----------
    alpha : float in [0, 1)
        The risk that was asked for.
    delta : float in (0, 1)
        The probability with which the promise may fail.
    threshold : float
        Least confidence that is accepted; infinity where nothing is certified.
    certified : bool
        Whether the calibration rows bear the promise out.
    relative : bool
        Whether the risk is counted against the best single model's.
    reason : str
        The promise in words, or why there is none and what would help.
    calibrated_on : int
        Number of calibration rows.
    coverage : float in [0, 1]
        Share of the calibration rows that `threshold` accepts; 0 where nothing is certified.
    """

    alpha: float
    delta: float
    threshold: float
    certified: bool
    relative: bool
    reason: str
    calibrated_on: int
    coverage: float

    def accepts(self, confidence: float) -> bool:
        """Whether an answer held right with that confidence falls under the promise."""
        return self.certified and confidence >= self.threshold

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The guarantee as arrays, for an artefact: its figures, shape (7,), and its reason."""
        import numpy as np

        figures = [float(getattr(self, name)) for name in FIGURES]
        return {"figures": np.array(figures), "reason": np.array([self.reason], dtype=np.str_)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Guarantee:
        """The guarantee that :meth:`to_arrays` laid down."""
        found = dict(zip(FIGURES, arrays["figures"].tolist(), strict=True))
        return cls(
            alpha=found["alpha"],
            delta=found["delta"],
            threshold=found["threshold"],
            certified=bool(found["certified"]),
            relative=bool(found["relative"]),
            reason=str(arrays["reason"][0]),
            calibrated_on=int(found["calibrated_on"]),
            coverage=found["coverage"],
        )
