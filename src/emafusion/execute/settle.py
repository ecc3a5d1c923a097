"""Which draft is the answer, and how sure we are of it.

Knows the ways drafts combine: the most trusted one, or the panel's vote. Does not ask models.
"""

from __future__ import annotations

from msgspec import Struct

from emafusion import answers
from emafusion.execute.fields import Weighted, fuse
from emafusion.execute.provenance import provenance
from emafusion.execute.trial import Trial
from emafusion.execute.vote import log_odds_weights, vote
from emafusion.types import Assessment, Fusion, Origin, log_odds, replace


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
        At least one draft. A fusion votes, unless the second tier was asked about its drafts, or
        they were run: then it takes the most trusted one, as other plans do. A draft that was
        written from the others is the answer, unless one of those is trusted more.
    last : bool
        The last draft has been streamed to the caller already: it is the answer.
    """
    if trial.written:
        return await _of_written(trial, last=last)
    assessment = trial.latest or await trial.assess()
    if last:
        chosen = len(trial.drafts) - 1
    elif isinstance(trial.ask.plan.arrangement, Fusion):
        fused = _fused(trial, assessment)
        if fused is not None:
            return fused
        ranked = bool(trial.combining) or _ran(assessment)
        chosen = assessment.best if ranked else _elected(trial, assessment)
    else:
        chosen = assessment.best
    confidence = assessment.confidences[chosen]
    return Settled(chosen=chosen, confidence=confidence, assessment=assessment)


def origins(trial: Trial, settled: Settled) -> tuple[Origin, ...]:
    """Where a synthesis came from; nothing for an answer that is one of the drafts."""
    if not trial.written or settled.chosen != len(trial.drafts) - 1:
        return ()
    *drafts, _ = trial.shown()
    return provenance(trial.drafts[settled.chosen].text, drafts)


async def _of_written(trial: Trial, *, last: bool) -> Settled:
    """The draft that was written from the others, unless one of those is trusted more."""
    assessment = await trial.assess_written()
    *sources, mine = assessment.confidences
    kept = last or mine >= max(sources)
    chosen = len(sources) if kept else assessment.best
    confidence = assessment.confidences[chosen]
    return Settled(chosen=chosen, confidence=confidence, assessment=assessment)


def _fused(trial: Trial, assessment: Assessment) -> Settled | None:
    """JSON drafts of one schema, field by field; ``None`` where there is nothing to fuse.

    A value that no draft has as a whole joins the drafts as one of its own, at no cost.
    """
    if answers.guess_kind(trial.ask.request.text) != "json" and not trial.formed:
        return None
    weighted = [
        Weighted(text=text, weight=log_odds(confidence))
        for text, confidence in zip(trial.shown(), assessment.confidences, strict=True)
    ]
    fused = fuse(weighted, response_format=trial.params.get("response_format"))
    if fused is None:
        return None
    if fused.draft is not None:
        sure = assessment.confidences[fused.draft]
        return Settled(chosen=fused.draft, confidence=sure, assessment=assessment)
    best = trial.drafts[assessment.best]
    completion = replace(best.completion, text=fused.text, logprobs=None, raw=None, answer=None)
    trial.drafts.append(replace(best, completion=completion, cost_usd=0.0, latency_s=0.0))
    sure = min(assessment.confidence, fused.least)
    return Settled(chosen=len(trial.drafts) - 1, confidence=sure, assessment=assessment)


def _ran(assessment: Assessment) -> bool:
    """Whether drafts were run: what programs do says more than how their source is spelt."""
    return any(one.judge == "execution" and one.score is not None for one in assessment.verdicts)


def _elected(trial: Trial, assessment: Assessment) -> int:
    winners = vote(trial.keys, log_odds_weights(trial.drafts, trial.ask.forecast))
    return max(winners, key=assessment.confidences.__getitem__)
