"""A fitted policy with the outcomes it is extended on, and what a newcomer said to some of them.

Knows arrays and how to take some rows of them; learns nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from emafusion.artefacts import Artefact, Manifest
from emafusion.evaluate.recorded import Recorded
from emafusion.judge.option_prior import OptionPrior
from emafusion.learn.fit import spending
from emafusion.learn.fit.evidence import Evidence
from emafusion.learn.fit.policy import Material
from emafusion.learn.probing import likeness

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]


class Known(Struct, frozen=True, kw_only=True):
    """A fitted policy and the outcomes it is extended on, every row answered by its whole pool.

    ``evidence`` has what the judges see of ``material``'s rows, by fits that left each row out;
    ``bills`` are the pool's.
    """

    artefact: Artefact
    material: Material
    evidence: Evidence
    bills: spending.Bills
    option_prior: OptionPrior | None

    def rows(self, keep: Integers) -> Known:
        """Some of the rows, by position."""
        return replace(self, material=self.material.rows(keep), evidence=self.evidence.rows(keep))

    def columns(self) -> tuple[Array, likeness.Prior]:
        """What a newcomer's scores are regressed on, every row, and the prior of the weights."""
        table = likeness.columns(self.evidence.scores, self.evidence.priors)
        return table, likeness.pooled(self.evidence.scores, self.evidence.priors)


def penalty(manifest: Manifest, count: int) -> float:
    """The fit's penalty on the learned router's heads, for `count` of its rows."""
    scale: float = (count / max(manifest.queries, count)) ** 0.5
    return manifest.settings["penalty"] * scale


class Answers(Struct, frozen=True, kw_only=True):
    """What a newcomer said to k of the rows.

    Parameters
    ----------
    rows : ndarray of int, shape (k,)
        Positions in the material.
    recorded : Recorded
        k queries × the newcomer alone.
    surfaces, answers, chosen, flagged : ndarray, shape (k, …)
        As :class:`~emafusion.learn.fit.evidence.Drafted` has them of one model, answers in the
        row's own numbers.
    """

    rows: Integers
    recorded: Recorded
    surfaces: Array
    answers: Integers
    chosen: Integers
    flagged: NDArray[np.bool_]
