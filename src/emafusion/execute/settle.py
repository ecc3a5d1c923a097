"""Which draft is the answer, and how sure we are of it.

Knows the ways drafts combine: the most trusted one, or the panel's vote. Does not ask models.
"""

from __future__ import annotations

from msgspec import Struct

from emafusion import answers
from emafusion.execute.trial import Trial
from emafusion.execute.vote import log_odds_weights, vote
from emafusion.types import Assessment, Fusion


class Settled(Struct, frozen=True, kw_only=True):
    """The chosen draft's position, its P(right), and the assessment behind both."""

    chosen: int
    confidence: float
    assessment: Assessment


async def settle(trial: Trial, *, last: bool = False) -> Settled:
    """Choose among `trial`'s drafts.

    Parameters
    ----------
    trial : Trial
        At least one draft. A fusion votes; other plans take the most trusted draft.
    last : bool
        The last draft has been streamed to the caller already: it is the answer.
    """
    assessment = trial.latest or await trial.assess()
    if last:
        chosen = len(trial.drafts) - 1
    elif isinstance(trial.ask.plan.arrangement, Fusion):
        chosen = _elected(trial, assessment)
    else:
        chosen = assessment.best
    confidence = assessment.confidences[chosen]
    return Settled(chosen=chosen, confidence=confidence, assessment=assessment)


def _elected(trial: Trial, assessment: Assessment) -> int:
    kind = answers.guess_kind(trial.ask.request.text)
    keys = [answers.canonical(draft.text, kind) for draft in trial.drafts]
    winners = vote(keys, log_odds_weights(trial.drafts, trial.ask.forecast))
    return max(winners, key=assessment.confidences.__getitem__)
