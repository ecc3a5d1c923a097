"""Soft labels for drafts that nothing marks: what several judges say of them, joined.

Knows how much each judge's word weighs and how merits become labels. A label is the share of the
same query's other drafts that a draft is expected to be preferred to: no reference says what is
right, so drafts can only be told apart. Judges are agreement in content
(:mod:`~emafusion.learn.labelling.content`), the demands of the prompt's wording, visible faults,
words addressed to a judge, and models that compared drafts, where some were asked.

What a draft is worth is taken to be mostly what its model is usually worth: of how it differs from
that, a judge's word counts the less the less sure it is of single drafts (shrinkage; James &
Stein, 1961).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from emafusion.evaluate.recorded import Recorded
from emafusion.judge.rules import Look, form
from emafusion.learn.labelling import content, demands
from emafusion.learn.labelling.opinions import NOTHING, Opinions
from emafusion.types import Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CONTENT: Final = 20.0
"""Log-odds that a draft is preferred which says all of what the others say, to one that says none.

Of pairs of real open-ended drafts, in pools of three to twenty-two models, 20 to 35 fitted best.
"""
OWN_CONTENT: Final = 0.35
"""What of a draft's own agreement in content counts beside its model's; 0.2 to 0.5 did as well."""
JUDGED: Final = 1.5
"""What the joint log-odds of models that judge weigh."""
OWN_JUDGED: Final = 0.7
FORM: Final = 2.0
"""Log-odds between a faultless draft and one that is all fault."""
DEMANDS: Final = 2.0
"""Log-odds between a draft that meets every demand of the wording and one that meets none."""
FLAGGED: Final = 3.0
"""Log-odds that a draft loses by speaking to its judge."""
SUREST: Final = 3.0
"""Log-odds between two drafts beyond which none of this makes a preference surer."""


class Judged(Struct, frozen=True, kw_only=True):
    """Labels of n queries × m models.

    Parameters
    ----------
    scores : ndarray, shape (n, m)
        What was given, and a soft label where that was missing and could be judged.
    noise : float
        Expected share of pairs of judged drafts that the labels put in the wrong order.
    labelled : int
        Queries that got labels here.
    """

    scores: Array
    noise: float
    labelled: int


def judged(
    recorded: Recorded,
    scores: Array,
    *,
    flagged: NDArray[np.bool_],
    countable: NDArray[np.bool_] | None = None,
    opinions: Opinions = NOTHING,
) -> Judged:
    """`scores` with a soft label for every draft of the queries that have no score at all.

    Parameters
    ----------
    recorded : Recorded
        Prompts and drafts.
    scores : ndarray, shape (n, m)
        NaN where nothing is known.
    flagged : ndarray of bool, shape (n, m)
        Drafts that addressed their judge.
    countable : ndarray of bool, shape (n,), optional
        Queries that votes are for: short answers have too little in common to be told apart here.
    opinions : Opinions, optional
        What models that judge said.
    """
    import numpy as np

    asked = np.array([[draft is not None for draft in row] for row in recorded.drafts])
    bare = np.isnan(scores).all(axis=1) & (asked.sum(axis=1) > 1)
    if countable is not None:
        bare &= ~countable
    rows = np.flatnonzero(bare)
    if not len(rows):
        return Judged(scores=scores, noise=0.0, labelled=0)
    few, there = recorded.rows(rows.tolist()), asked[rows]
    preferred = _preferred(_merits(few, there, flagged=flagged[rows], opinions=opinions))
    pairs = there[:, :, None] & there[:, None, :] & ~np.eye(there.shape[1], dtype=bool)
    wins = np.where(pairs, preferred, 0.0)
    found = scores.copy()
    found[rows] = np.where(there, wins.sum(axis=2) / np.maximum(pairs.sum(axis=2), 1), scores[rows])
    doubt = np.minimum(preferred, 1.0 - preferred)[pairs]
    return Judged(scores=found, noise=float(doubt.mean()), labelled=len(rows))


def _merits(
    recorded: Recorded,
    there: NDArray[np.bool_],
    *,
    flagged: NDArray[np.bool_],
    opinions: Opinions,
) -> Array:
    """What each draft is worth beside the others of its query, in log-odds; shape (n, m)."""
    texts = [[None if d is None else d.text for d in row] for row in recorded.drafts]
    said = _beside(content.shared(texts), there)
    told = _beside(opinions.log_odds(recorded), there)
    met, faultless = _seen(recorded)
    merits: Array = (
        CONTENT * _usual(said, OWN_CONTENT)
        + JUDGED * _usual(told, OWN_JUDGED)
        + DEMANDS * met
        + FORM * faultless
        - FLAGGED * flagged
    )
    return merits


def _seen(recorded: Recorded) -> tuple[Array, Array]:
    """The share of the prompt's demands that each draft meets, and how faultless it looks.

    Constants of a row do not matter: only differences between its drafts are read.
    """
    import numpy as np

    met, faultless = np.zeros(recorded.scores.shape), np.zeros(recorded.scores.shape)
    for row, (prompt, drafts) in enumerate(zip(recorded.prompts, recorded.drafts, strict=True)):
        request = Request(id="", messages=({"role": "user", "content": prompt},))
        checks = demands.demanded(prompt)
        for column, draft in enumerate(drafts):
            if draft is None:
                continue
            faultless[row, column] = form(Look(request, draft, "text", None))
            if checks:
                met[row, column] = demands.share(checks, draft.text)
    return met, faultless


def _beside(values: Array, there: NDArray[np.bool_]) -> Array:
    """Each value less the mean of its row; 0 where there is none."""
    import numpy as np

    known = there & ~np.isnan(values)
    whole = np.where(known, values, 0.0)
    means = whole.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    found: Array = np.where(known, whole - means, np.nan)
    return found


def _usual(values: Array, own: float) -> Array:
    """What a model usually has, and the part `own` of how a draft differs from it.

    Where nothing is known of a draft, its model's usual value stands; 0 where of neither.
    """
    import numpy as np

    known = ~np.isnan(values)
    whole = np.where(known, values, 0.0)
    usual = np.broadcast_to(whole.sum(axis=0) / np.maximum(known.sum(axis=0), 1), values.shape)
    found: Array = np.where(known, (1.0 - own) * usual + own * whole, usual)
    return found


def _preferred(merits: Array) -> Array:
    """P(the first is preferred) of all pairs of a row; shape (n, m, m)."""
    import numpy as np

    gaps = np.clip(merits[:, :, None] - merits[:, None, :], -SUREST, SUREST)
    found: Array = 1.0 / (1.0 + np.exp(-gaps))
    return found
