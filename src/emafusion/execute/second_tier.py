"""The second tier: what becomes of drafts that differ, once they are in (DESIGN §2.5).

Reads what the panel said of them, asks the fitted policy, and carries its decision out; knows no
policy from inside. Whatever fails, the drafts are still there to be selected from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from emafusion.execute.brief import brief
from emafusion.execute.trial import Trial, rivalling
from emafusion.types import Assessment, Draft, Verdict, log_odds, replace
from emafusion.types.outcomes import Gathered
from emafusion.types.plans import Combination

FEWEST_DRAFTS = 2


async def combine(trial: Trial) -> str | None:
    """Compare or rewrite `trial`'s drafts where the policy expects that to pay.

    Returns the writer's name where one is to end the request, as a strategy does.
    """
    if trial.second is None or len(trial.drafts) < FEWEST_DRAFTS:
        return None
    assessment = trial.latest or await trial.assess()
    gathered = gather(trial.drafts, assessment)
    if gathered is None:
        return None
    gathered = replace(gathered, took_s=trial.took_s)
    ask = trial.ask
    chosen = trial.second.combiner.choose(
        gathered, ask.labels, forecast=ask.forecast, plan=ask.plan, models=ask.models
    )
    trial.combining = chosen.reason
    if chosen.action == "compare":
        await _compare(trial, assessment, gathered=gathered, chosen=chosen)
    if chosen.action == "synthesise":
        return _write(trial, assessment, chosen.model)
    return None


def gather(drafts: Sequence[Draft], assessment: Assessment) -> Gathered | None:
    """What `drafts` amount to; ``None`` where all say the same, or the panel cannot tell.

    Who agrees with whom is the panel's word: a draft without a verdict of ``agreement`` gives no
    answer that another could share.
    """
    best = assessment.best
    sure = assessment.confidences
    rivals = [p for p, c in enumerate(sure) if p != best and c == assessment.second]
    if assessment.second <= 0.0 or not rivals:
        return None
    rival = next((p for p in rivals if drafts[p].text != drafts[best].text), None)
    if rival is None:
        return None
    said = (v.score for v in assessment.verdicts if v.draft == best and v.judge == "agreement")
    agreeing = next((score for score in said if score is not None), None)
    usages = [draft.completion.usage for draft in drafts]
    return Gathered(
        authors=tuple(draft.model for draft in drafts),
        leading=(best, rival),
        best=sure[best],
        second=assessment.second,
        agreeing=agreeing or 0.0,
        open_ended=agreeing is None,
        prompt_tokens=max(usage.prompt_tokens for usage in usages),
        draft_tokens=sum(usage.completion_tokens for usage in usages),
        spent_usd=math.fsum(draft.cost_usd for draft in drafts),
        took_s=math.fsum(draft.latency_s for draft in drafts),
    )


def _write(trial: Trial, assessment: Assessment, writer: str) -> str | None:
    """The drafts put to `writer`, and to nobody in its place: they are an answer already."""
    found = brief(trial, (writer,), assessment.confidences)
    if found is None:
        trial.combining += f"; {writer} has no room for the drafts: selected"
    return found


async def _compare(
    trial: Trial, assessment: Assessment, *, gathered: Gathered, chosen: Combination
) -> None:
    """The two leading drafts compared; what is heard moves their confidences, and theirs alone."""
    one, other = await trial.compare(gathered.leading, chosen.model)
    if one is None or other is None:
        trial.combining += "; nothing was heard: selected"
        return
    shift = chosen.weight * (log_odds(one) - log_odds(other)) / 2.0
    shifts = dict(zip(gathered.leading, (shift, -shift), strict=True))
    keys = trial.keys
    confidences = tuple(_shifted(assessment.confidences, shifts, keys))
    verdicts = tuple(
        Verdict(judge="comparison", draft=place, score=score, reason=f"by {chosen.model}")
        for place, score in zip(gathered.leading, (one, other), strict=True)
    )
    trial.judged_anew(
        replace(
            assessment,
            confidences=confidences,
            verdicts=(*assessment.verdicts, *verdicts),
            second=rivalling(confidences, keys),
        )
    )


def _shifted(
    sure: Sequence[float], shifts: Mapping[int, float], keys: Sequence[str | None]
) -> list[float]:
    """The confidences `sure`, the log-odds of the drafts at some places moved by their `shifts`.

    Drafts that give the same answer as one of those move with it.
    """
    by_key = {keys[place]: shift for place, shift in shifts.items() if keys[place] is not None}
    if len(by_key) < len(shifts):
        by_key = {}  # Answers that cannot be told apart are not shared either.
    moves = [shifts.get(place, by_key.get(key, 0.0)) for place, key in enumerate(keys)]
    return [_moved(one, move) if move else one for one, move in zip(sure, moves, strict=True)]


def _moved(confidence: float, shift: float) -> float:
    return 1.0 / (1.0 + math.exp(-(log_odds(confidence) + shift)))
