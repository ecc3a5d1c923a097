"""How well drafts were chosen among: the same panel's drafts, combined in other ways.

For open-ended queries, which no vote can settle. Knows nothing of routing: every way of choosing
has the same drafts, at the same cost.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.evaluate import metrics
from emafusion.evaluate.recorded import Recorded
from emafusion.evaluate.runs import Run
from emafusion.judge import surface
from emafusion.learn.fit import ranking
from emafusion.learn.fit.evidence import Evidence
from emafusion.learn.fit.policy import Learnt
from emafusion.protocols import Encoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PANEL = 4
LEAST_SHARE = 0.5
"""Share of open-ended queries below which there is nothing to report."""
CLEAR = 1e-6
"""Difference of score below which two drafts are as good as each other."""


class Chosen(Struct, frozen=True, kw_only=True):
    """One way of choosing: the mean score, and how much ours is above it, with a 95 % interval."""

    score: float
    ours_over: tuple[float, float, float]


class Combining(Struct, frozen=True, kw_only=True):
    """The ways of choosing among one panel's drafts.

    ``pairwise_accuracy`` is the share of pairs of drafts of unlike score that ours orders right.
    """

    panel: tuple[str, ...]
    n: int
    cost_usd: float
    pairwise_accuracy: float
    select: float
    oracle: float
    best_single_of_all: Chosen
    others: dict[str, Chosen]


def combining(
    learnt: Learnt, seen: Evidence, recorded: Recorded, *, run: Run, encoder: Encoder, seed: int
) -> Combining | None:
    """Ours and four plain ways of choosing, on the drafts of the models that `run` asks most.

    ``None`` where most queries are not open-ended, or nothing ranks drafts.
    """
    import numpy as np

    decided = learnt.decided
    if decided is None or decided.ranker is None or seen.open_ended.mean() < LEAST_SHARE:
        return None
    asked = Counter(name for calls in run.calls or () for name in calls)
    names = tuple(name for name, _ in asked.most_common(PANEL))
    panel = [seen.pool.index(name) for name in names]
    scores, rows = seen.scores[:, panel], np.arange(len(seen.scores))
    expected = ranking.read(decided.ranker, seen)[:, panel]
    ours = scores[rows, expected.argmax(axis=1)]
    best = int(learnt.evidence.scores.mean(axis=0).argmax())

    def beside(others: Array) -> Chosen:
        middle, low, high = metrics.paired_bootstrap(ours, others, seed=seed)
        return Chosen(score=float(others.mean()), ours_over=(low, middle, high))

    lengths = seen.surfaces[:, panel, surface.NAMES.index("length")]
    central = _centrality(recorded, panel, encoder)
    return Combining(
        panel=names,
        n=len(rows),
        cost_usd=float(seen.costs[:, panel].sum(axis=1).mean()),
        pairwise_accuracy=_pairwise(expected, scores),
        select=float(ours.mean()),
        oracle=float(scores.max(axis=1).mean()),
        best_single_of_all=beside(seen.scores[:, best]),
        others={
            "random_draft": beside(scores.mean(axis=1)),
            "longest_draft": beside(scores[rows, lengths.argmax(axis=1)]),
            "centroid_of_drafts": beside(scores[rows, central.argmax(axis=1)]),
            "favourite_of_the_forecast": beside(scores[rows, seen.priors[:, panel].argmax(axis=1)]),
        },
    )


def _centrality(recorded: Recorded, panel: list[int], encoder: Encoder) -> Array:
    """The cosine of each draft to the mean of the panel's drafts, shape (n, k)."""
    import numpy as np

    vectors = [
        encoder.encode([draft.text if (draft := row[model]) else "" for row in recorded.drafts])
        for model in panel
    ]
    drafts = np.stack(vectors, axis=1).astype(np.float64)
    middle = drafts.mean(axis=1)
    found: Array = np.einsum("nkd,nd->nk", drafts, middle)
    return found


def _pairwise(expected: Array, scores: Array) -> float:
    """The share of pairs of unlike score that `expected` orders as `scores` do."""
    import numpy as np

    first, second = np.triu_indices(scores.shape[1], 1)
    told, found = (values[:, first] - values[:, second] for values in (expected, scores))
    clear = np.abs(found) > CLEAR
    if not clear.any():
        return float("nan")
    return float(((told > 0) == (found > 0))[clear].mean())
