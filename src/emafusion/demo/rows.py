"""What the demo measured: one row per question, one attempt per system.

It knows how an engine's outcome becomes such a row. It does not ask, and it does not draw.
"""

from __future__ import annotations

from msgspec import Struct, field

from emafusion.demo.questions import Entry
from emafusion.types import AXES, Outcome, Step

OURS = "emafusion"


class Call(Struct, frozen=True, kw_only=True):
    """One call to a model: US dollars, seconds, tokens; ``error`` where it failed."""

    model: str
    purpose: str
    cost_usd: float
    latency_s: float
    prompt_tokens: int
    completion_tokens: int
    error: str | None = None


class Attempt(Struct, frozen=True, kw_only=True):
    """One system's answer to one question.

    ``score`` in [0, 1]; a question it could not answer (``error``) counts as wrong. ``cost_usd``
    is the sum of its ``calls``. ``recorded`` tells that it was measured in an earlier run.
    """

    score: float
    cost_usd: float
    latency_s: float
    text: str
    calls: tuple[Call, ...]
    recorded: bool = False
    error: str | None = None


class Vote(Struct, frozen=True, kw_only=True):
    """One judge's score in [0, 1] for one draft, ``None`` where it had nothing to say."""

    judge: str
    draft: int
    score: float | None


class Row(Attempt, frozen=True, kw_only=True):
    """emafusion's answer to one question, and the single models' attempts at the same one.

    ``id`` is the question's name in its file, ``question`` the hash of its prompt.
    """

    id: str
    question: str
    kind: str
    prompt: str
    reference: str
    decision_id: str
    labels: dict[str, str]
    arrangement: str
    plan: tuple[tuple[str, ...], ...]
    tried: tuple[str, ...]
    votes: tuple[Vote, ...]
    model: str
    confidence: float
    escalated: bool
    singles: dict[str, Attempt] = field(default_factory=dict)


def row_of(entry: Entry, outcome: Outcome, *, error: str | None = None) -> Row:
    """The row that `outcome` amounts to; its answer is marked here."""
    arranged = outcome.plan.arrangement if outcome.plan is not None else None
    tags = arranged.__struct_config__.tag if arranged is not None else ""
    answered = error is None and outcome.error is None
    return Row(
        id=entry.id,
        question=entry.question.id,
        kind=entry.kind,
        prompt=entry.question.prompt,
        reference=entry.question.reference,
        decision_id=outcome.decision_id,
        labels={axis: outcome.labels.top(axis) for axis in AXES if axis in outcome.labels.axes},
        arrangement=str(tags),
        plan=tiers(outcome),
        tried=tuple(step.model for step in outcome.steps if step.purpose == "draft"),
        votes=tuple(Vote(judge=v.judge, draft=v.draft, score=v.score) for v in outcome.verdicts),
        model=outcome.model,
        confidence=outcome.confidence,
        escalated=outcome.tier > 0,
        score=entry.question.grade(outcome.text) if answered else 0.0,
        cost_usd=outcome.cost_usd,
        latency_s=outcome.latency_s,
        text=outcome.text,
        calls=tuple(call_of(step) for step in outcome.steps),
        error=error or outcome.error,
    )


def tiers(outcome: Outcome) -> tuple[tuple[str, ...], ...]:
    """The plan's models, those asked together in one tuple."""
    if outcome.plan is None:
        return ()
    arranged = outcome.plan.arrangement
    steps = getattr(arranged, "tiers", None)
    if steps is not None:
        return tuple(tier.models for tier in steps)
    return (getattr(arranged, "panel", None) or arranged.models,)


def call_of(step: Step) -> Call:
    """The call that `step` records."""
    return Call(
        model=step.model,
        purpose=step.purpose,
        cost_usd=step.cost_usd,
        latency_s=step.latency_s,
        prompt_tokens=step.usage.prompt_tokens,
        completion_tokens=step.usage.completion_tokens,
        error=step.error,
    )
