"""A newcomer's rows as they may have been: drafts lent by models that do as it does.

Late stages are fitted on who agrees with whom and how drafts look. Where the newcomer was not
asked, its score is drawn from what the probes say of it, and a model of the same row with that
score lends answer and surface: the hot deck (Andridge & Little, 2010). Rows it was asked are its
own. Knows evidence; asks nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.learn.fit.evidence import Evidence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

SHARPNESS = 4.0
"""Lenders count by the share of probes they agreed on, to this power."""
KNOWN_TOGETHER = 20.0
"""Probes that the pool's own rate of equal wrong answers counts for."""
RIGHT = 0.5


class Probed(Struct, frozen=True, kw_only=True):
    """What a newcomer gave to k rows of the evidence.

    Parameters
    ----------
    rows : ndarray of int, shape (k,)
        Positions of the rows.
    scores, surplus : ndarray, shape (k,)
    surfaces : ndarray, shape (k, surface columns)
    answers : ndarray of int, shape (k,)
        As the row numbers them; numbers that no known model has are its own, −1 is unread.
    flagged : ndarray of bool, shape (k,)
    """

    rows: Integers
    scores: Array
    surplus: Array
    surfaces: Array
    answers: Integers
    flagged: NDArray[np.bool_]


class Imputed(Struct, frozen=True, kw_only=True):
    """A newcomer's whole column; ``lenders`` (n,) says whose draft stands for its own."""

    scores: Array
    surplus: Array
    surfaces: Array
    answers: Integers
    flagged: NDArray[np.bool_]
    lenders: Integers


class Typical(Struct, frozen=True, kw_only=True):
    """Mean and spread of surfaces, of the known models (m, columns) and the newcomer (columns,)."""

    known: tuple[Array, Array]
    own: tuple[Array, Array]


def kin(evidence: Evidence, rows: Integers, *, scores: Array, answers: Integers) -> Array:
    """How much each known model counts as the newcomer's like, shape (m,); sums to 1.

    By the share of the probes to which both gave the same answer, or, where one cannot be read,
    scores within a half of each other.
    """
    import numpy as np

    theirs, mine = evidence.answers[rows], answers[:, None]
    near = np.abs(evidence.scores[rows] - scores[:, None]) < RIGHT
    same = np.where((theirs >= 0) & (mine >= 0), theirs == mine, near)
    share = (same.sum(axis=0) + 1.0) / (len(rows) + 2.0)
    weights: Array = share**SHARPNESS
    shares: Array = weights / weights.sum()
    return shares


def imputed(
    evidence: Evidence,
    probed: Probed,
    rates: Array,
    *,
    kin: Array,
    typical: Typical,
    seed: int,
) -> Imputed:
    """The newcomer's column of `evidence`, `rates` (n,) its P(right) in each row."""
    import numpy as np

    rng = np.random.default_rng(seed)
    count, models = evidence.scores.shape
    rows = np.arange(count)
    right = evidence.scores > RIGHT
    luck = rng.random(count) < rates
    weights = np.tile(kin, (count, 1))
    alike = weights * (right == luck[:, None])
    found = alike.sum(axis=1) > 0.0
    lenders = _drawn(np.where(found[:, None], alike, weights), rng)
    lent = evidence.answers[rows, lenders]
    together = luck | (rng.random(count) < _shared(evidence, probed))
    answers = np.where((found & together) | (lent < 0), lent, models)
    # Where answers are graded and not right or wrong, what is expected is the fairest score.
    graded = np.any((evidence.scores > 0.05) & (evidence.scores < 0.95), axis=1)
    whole = Imputed(
        scores=np.where(graded, rates, luck.astype(np.float64)),
        surplus=evidence.surplus[rows, lenders].copy(),
        surfaces=_dressed(evidence.surfaces[rows, lenders], lenders, typical),
        answers=answers,
        flagged=evidence.flagged[rows, lenders].copy(),
        lenders=lenders,
    )
    for name in ("scores", "surplus", "surfaces", "answers", "flagged"):
        getattr(whole, name)[probed.rows] = getattr(probed, name)
    return whole


def _drawn(weights: Array, rng: np.random.Generator) -> Integers:
    """One column of each row, by its weights."""
    import numpy as np

    ends = np.cumsum(weights, axis=1)
    marks = rng.random(len(weights)) * ends[:, -1]
    found: Integers = np.minimum((ends <= marks[:, None]).sum(axis=1), weights.shape[1] - 1)
    return found


def _dressed(surfaces: Array, lenders: Integers, typical: Typical) -> Array:
    """Lent surfaces as the newcomer would have them: as unusual for it as for the lender."""
    mean, scale = typical.known
    standard = (surfaces - mean[lenders]) / scale[lenders]
    dressed: Array = typical.own[0] + standard * typical.own[1]
    return dressed


def _shared(evidence: Evidence, probed: Probed) -> float:
    """How often the newcomer's wrong answer is that of another model that is wrong.

    Counted on the probes, shrunk towards the same count between the known models.
    """
    import numpy as np

    wrong = (evidence.scores <= RIGHT) & (evidence.answers >= 0)
    theirs, heard = evidence.answers[probed.rows], wrong[probed.rows]
    mine = (probed.scores <= RIGHT) & (probed.answers >= 0)
    both = heard & mine[:, None]
    same = both & (theirs == probed.answers[:, None])
    pairs, equal = 0.0, 0.0
    for model in range(1, evidence.scores.shape[1]):
        beside = wrong[:, :model] & wrong[:, [model]]
        pairs += float(beside.sum())
        equal += float(
            (beside & (evidence.answers[:, :model] == evidence.answers[:, [model]])).sum()
        )
    usual = (equal + 1.0) / (pairs + 2.0)
    # A probe counts once, however many models are wrong in it.
    seen = both.sum(axis=1)
    told = float(np.divide(same.sum(axis=1), seen, where=seen > 0, out=np.zeros(len(seen))).sum())
    return (told + KNOWN_TOGETHER * usual) / (float((seen > 0).sum()) + KNOWN_TOGETHER)
