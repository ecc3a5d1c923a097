"""Fits what ranks open-ended drafts (:mod:`emafusion.judge.ranker`) on preferences between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emafusion.judge import ranker
from emafusion.judge.ranker import Ranker
from emafusion.learn.fit import logistic
from emafusion.learn.fit.evidence import NOBODY, Evidence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEWEST = 40
"""Open-ended queries below which nothing is fitted."""
FEWEST_OTHERS = 200
"""Queries with answers to share below which the ranker judges those too."""
PENALTY = 100.0
LEVEL_PENALTY = 1.0
KNOWN = 3.0
"""How many columns a model's name counts for: names need less shrinkage than what shows."""


def fit(evidence: Evidence) -> tuple[Ranker | None, Array]:
    """The ranker, fitted on open-ended queries, and every draft's expected score by its like.

    The merit's weights are those of a ridge regression of the differences of score within a query
    on the differences of what shows: the least squares of all pairs, a preference counting by
    how clear it was (rank regression; compare Joachims, "Optimizing search engines using
    clickthrough data", 2002, §4).

    Returns
    -------
    ranker : Ranker or None
        ``None`` where there are too few open-ended queries.
    expected : ndarray, shape (n, m)
        By a ranker that left the query out; NaN where there is none.
    """
    import numpy as np

    known = evidence.complete & (evidence.fold != NOBODY)
    rows = np.flatnonzero(known & evidence.open_ended)
    if len(rows) < FEWEST:
        return nothing(evidence)
    alone = int((known & ~evidence.open_ended).sum()) < FEWEST_OTHERS
    if alone:
        rows = np.flatnonzero(known)
    shown = evidence.surfaces[rows].reshape(-1, evidence.surfaces.shape[2])
    mean, spread = shown.mean(axis=0), shown.std(axis=0)
    scale = np.where(spread > 1e-6, spread, 1.0)
    seen = evidence.rows(rows)
    table = _table(seen, (seen.surfaces - mean) / scale)
    whole = _ridge(table, seen.scores)
    merits = table @ whole
    for number in np.unique(seen.fold):
        out = seen.fold == number
        merits[out] = table[out] @ _ridge(table[~out], seen.scores[~out])
    ease = seen.priors.mean(axis=1)
    level = _level(merits, ease, seen.scores)
    models = evidence.scores.shape[1]
    fitted = Ranker(
        evidence.pool,
        typical=np.stack([mean, scale]),
        weights=whole[models:],
        models=whole[:models] * KNOWN,
        level=level,
        alone=alone,
    )
    expected = read(fitted, evidence)
    expected[rows] = fitted.expected(merits, ease)
    return fitted, expected


def nothing(evidence: Evidence) -> tuple[None, Array]:
    """What :func:`fit` gives where nothing is to be ranked."""
    import numpy as np

    return None, np.full(evidence.scores.shape, np.nan)


def read(fitted: Ranker | None, evidence: Evidence) -> Array:
    """The score expected of every draft, shape (n, m); NaN where there is no ranker."""
    if fitted is None:
        return nothing(evidence)[1]
    everyone = range(evidence.scores.shape[1])
    merits = fitted.merits(everyone, evidence.surfaces, evidence.priors)
    return fitted.expected(merits, evidence.priors.mean(axis=1))


def _table(evidence: Evidence, standard: Array) -> Array:
    """Who wrote a draft and what shows on it; shape (n, m, m + WIDTH)."""
    import numpy as np

    count, models = evidence.scores.shape
    names = np.broadcast_to(np.eye(models) * KNOWN, (count, models, models))
    return np.concatenate([names, ranker.columns(standard, evidence.priors)], axis=2)


def _ridge(table: Array, scores: Array) -> Array:
    """Weights of the differences within a query."""
    import numpy as np

    sides = (table - table.mean(axis=1, keepdims=True)).reshape(-1, table.shape[2])
    targets = (scores - scores.mean(axis=1, keepdims=True)).reshape(-1)
    gram = sides.T @ sides
    gram[np.diag_indices_from(gram)] += PENALTY
    found: Array = np.linalg.solve(gram, sides.T @ targets)
    return found


def _level(merits: Array, ease: Array, scores: Array) -> Array:
    """From merits to scores; merit may not count against a draft."""
    import numpy as np

    table = np.column_stack([merits.reshape(-1), np.repeat(ease, merits.shape[1])])
    mean, spread = table.mean(axis=0), table.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    weights = logistic.fit((table - mean) / scale, scores.reshape(-1), LEVEL_PENALTY)
    slopes = weights[1:] / scale
    slopes[0] = max(slopes[0], 1e-3)
    return np.array([weights[0] - float(slopes @ mean), *slopes])
