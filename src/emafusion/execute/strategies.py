"""The arrangements, carried out: single, cascade, adaptive, fusion.

A strategy is a coroutine over a :class:`~emafusion.execute.trial.Trial`. It returns the name of the
model whose answer would end the request, which may then be streamed, or ``None`` when the drafts it
gathered already hold the answer.
"""

from __future__ import annotations

from emafusion.execute.brief import brief
from emafusion.execute.second_tier import FEWEST_DRAFTS, combine
from emafusion.execute.trial import Trial
from emafusion.types import Adaptive, Cascade, Decompose, Fusion, Single, Synthesis, Tier


async def single(plan: Single) -> str:
    """Ask one model, and nobody else."""
    return plan.model


async def cascade(plan: Cascade, trial: Trial) -> str | None:
    """Ask tier after tier until the confidence suffices (DESIGN §2.3; FrugalGPT, §3).

    Tier k+1 is never asked once tier k was accepted. A last tier of one model is not judged here:
    its answer ends the request.
    """
    *early, last = plan.tiers
    for trial.tier, tier in enumerate(early):
        await trial.question(tier.models)
        if await _confidence(trial, tier) >= tier.accept:
            return None
    trial.tier = len(early)
    return await _end(last.models, trial)


async def adaptive(plan: Adaptive, trial: Trial) -> str | None:
    """Ask whom the rule names, judge, ask the rule again, until it accepts (DESIGN §2.3).

    A model is asked once; one that failed, or that what is left of the money cannot pay, is not
    asked again. Every draft is judged, the last one too: which answer is the best is not known
    before, so nothing is streamed while it is being written.
    """
    waiting = [model for model in plan.models if model != plan.start]
    following: str | None = plan.start
    while following is not None:
        await trial.question([following])
        trial.tier += 1
        waiting = [m for m in waiting if m != following and trial.affords(m)]
        if trial.drafts:
            verdict = await trial.assess()
            following = trial.following(plan, verdict, waiting)
        else:
            following = trial.following(plan, None, waiting)
    trial.tier = max(trial.tier - 1, 0)
    return None


async def fusion(plan: Fusion, trial: Trial) -> str | None:
    """Ask the whole panel together (DESIGN §2.5); how its drafts combine is decided after."""
    return await _end(plan.panel, trial)


async def synthesis(plan: Synthesis, trial: Trial) -> str | None:
    """Ask the panel together, then put its drafts to the writer (DESIGN §2.5).

    One draft needs no writer: it is the answer. Drafts that do not fit the writer's context window
    are put to a fallback; where they fit none, the most trusted draft is the answer.
    """
    await trial.question(plan.panel)
    if len(trial.drafts) < FEWEST_DRAFTS:
        return None
    confidences = (await trial.assess()).confidences
    writers = dict.fromkeys((plan.writer, *trial.ask.plan.fallbacks))
    writer = brief(trial, tuple(writers), confidences)
    trial.tier = 1 if writer is not None else 0
    return writer


async def carry_out(trial: Trial) -> str | None:
    """Carry the trial's plan out as its arrangement demands.

    Where several drafts could hold the answer, the second tier may have them compared or rewritten.
    """
    match trial.ask.plan.arrangement:
        case Single() as plan:
            return await single(plan)
        case Cascade() as plan:
            return await cascade(plan, trial) or await combine(trial)
        case Adaptive() as plan:
            return await adaptive(plan, trial) or await combine(trial)
        case Fusion() as plan:
            return await fusion(plan, trial) or await combine(trial)
        case Synthesis() as plan:
            return await synthesis(plan, trial)
        case Decompose():
            raise TypeError("a composite plan is carried out part by part")


async def _end(models: tuple[str, ...], trial: Trial) -> str | None:
    if len(models) == 1:
        return models[0]
    await trial.question(models)
    return None


async def _confidence(trial: Trial, tier: Tier) -> float:
    """P(right) of the best draft so far; a model judge is asked only where it could decide."""
    if not trial.drafts:
        return 0.0
    confidence = (await trial.assess()).confidence
    if tier.judge is None or abs(confidence - tier.accept) > tier.band:
        return confidence
    return (await trial.assess(tier.judge)).confidence
