"""What a benchmark compares: systems, their operating points, and what each did query by query.

Knows shapes only: who made a run, and how it is reported, are others' concern.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Role = Literal["ours", "ablation", "baseline", "single", "bound"]


class Table(Struct, frozen=True, kw_only=True):
    """n recorded queries × m models, as arrays.

    Parameters
    ----------
    queries, tasks : tuples of n str
        Identifiers, and the task each query belongs to ("" where none is known).
    models : tuple of m str
        The pool, in the arrays' order.
    scores, costs : ndarray, shape (n, m)
        Score in [0, 1] and US dollars of each recorded answer; NaN where there is none.
    vectors : ndarray, shape (n, d)
        Unit vectors of the prompts.
    answers : ndarray of int, shape (n, m)
        Equal numbers within a row are equivalent answers; −1 where no answer can be read. Rows
        without a readable answer never count as agreeing with each other.
    surface : ndarray, shape (n, m, k)
        What shows on each draft's text: length, hedges, format … 0 where there is no draft.
    """

    queries: tuple[str, ...]
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    scores: NDArray[np.float64]
    costs: NDArray[np.float64]
    vectors: NDArray[np.float64]
    answers: NDArray[np.int64]
    surface: NDArray[np.float64]

    def rows(self, keep: NDArray[np.int64]) -> Table:
        """The queries at the positions `keep`."""
        return Table(
            queries=tuple(self.queries[row] for row in keep),
            tasks=tuple(self.tasks[row] for row in keep),
            models=self.models,
            scores=self.scores[keep],
            costs=self.costs[keep],
            vectors=self.vectors[keep],
            answers=self.answers[keep],
            surface=self.surface[keep],
        )


class Run(Struct, frozen=True, kw_only=True):
    """One system at one setting, over the n queries of a table.

    Parameters
    ----------
    knob : str
        The setting, such as ``"prefer=0.8"``; empty for a system that has none.
    scores, costs : ndarray, shape (n,)
        Score of the returned answer, and US dollars of every call made, per query.
    confidences : ndarray, shape (n,), optional
        P(right) that the system gave its answer.
    calls : sequence of n tuples of str, optional
        The models asked, in order.
    sources : sequence of n str, optional
        The model whose draft was returned.
    tuned : tuple of float, optional
        Mean score and mean US dollars of the same setting on the ``val`` rows: operating points
        are chosen by these alone.
    """

    knob: str
    scores: NDArray[np.float64]
    costs: NDArray[np.float64]
    confidences: NDArray[np.float64] | None = None
    calls: Sequence[tuple[str, ...]] | None = None
    sources: Sequence[str] | None = None
    tuned: tuple[float, float] | None = None

    @property
    def accuracy(self) -> float:
        """Mean score."""
        return float(self.scores.mean())

    @property
    def cost_usd(self) -> float:
        """Mean US dollars a query."""
        return float(self.costs.mean())


class System(Struct, frozen=True, kw_only=True):
    """A system with all its operating points; ``source`` cites the paper and section it follows."""

    name: str
    role: Role
    runs: tuple[Run, ...]
    source: str = ""
