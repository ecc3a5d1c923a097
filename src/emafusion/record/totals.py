"""Sums over recorded outcomes. Knows neither where they are kept nor what a period is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import field

from emafusion.types import Outcome, Value


class ModelTotals(Value, frozen=True, kw_only=True):
    """What one model was asked and what that cost, drafts and judgements alike."""

    calls: int = 0
    failed: int = 0
    cost_usd: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Totals(Value, frozen=True, kw_only=True):
    """Decisions of a period and their cost in US dollars; ``failed`` decisions gave no answer."""

    decisions: int = 0
    failed: int = 0
    cost_usd: float = 0.0
    models: Mapping[str, ModelTotals] = field(default_factory=dict)


def add_up(outcomes: Iterable[Outcome]) -> Totals:
    """The totals of `outcomes`."""
    decisions = failed = 0
    cost_usd = 0.0
    models: dict[str, ModelTotals] = {}
    for outcome in outcomes:
        decisions += 1
        failed += outcome.error is not None
        cost_usd += outcome.cost_usd
        for step in outcome.steps:
            before = models.get(step.model, ModelTotals())
            models[step.model] = ModelTotals(
                calls=before.calls + 1,
                failed=before.failed + (step.error is not None),
                cost_usd=before.cost_usd + step.cost_usd,
                prompt_tokens=before.prompt_tokens + step.usage.prompt_tokens,
                completion_tokens=before.completion_tokens + step.usage.completion_tokens,
            )
    return Totals(decisions=decisions, failed=failed, cost_usd=cost_usd, models=models)
