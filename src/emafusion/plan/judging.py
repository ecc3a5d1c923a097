"""When a model judge's opinion is worth its price."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from emafusion.catalog import tokens
from emafusion.plan.candidates import Candidate
from emafusion.plan.outlook import Signals
from emafusion.types import Cascade, Model, Request, replace

BAND = 0.2
"""A judge is asked where the confidence lies this near the threshold."""
DRAFT_TOKENS = 150.0
RUBRIC_TOKENS = 110.0


def with_judge(
    offered: Sequence[Candidate],
    models: Sequence[Model],
    signals: Signals,
    *,
    request: Request,
    price: float,
) -> Iterator[Candidate]:
    """The cascades among `offered`, each with the cheapest judge whose opinion is known to help.

    A judge with signal d_j raises a draft's signal from d to √(d² + d_j²). Its gain is the quality
    that the raised signal saves among the queries within the band, at `price` per unit.
    """
    if price == float("inf"):
        price = 1e6
    judges = [model for model in models if signals.judges.get(model.name, 0.0) > 0.0]
    for candidate in offered:
        plan = candidate.arrangement
        if not isinstance(plan, Cascade):
            continue
        free = [judge for judge in judges if judge.name not in plan.tiers[0].models]
        if not free:
            continue
        judge = min(free, key=lambda model: _opinion_cost(model, request))
        cost = BAND * _opinion_cost(judge, request)
        gain = _gain(plan, signals, judge.name) * BAND
        if gain * price > cost:
            first = replace(plan.tiers[0], judge=judge.name, band=BAND)
            yield replace(
                candidate,
                arrangement=Cascade(tiers=(first, *plan.tiers[1:])),
                quality=min(candidate.quality + gain, 1.0),
                cost_usd=candidate.cost_usd + cost,
                worst_usd=candidate.worst_usd + _opinion_cost(judge, request),
            )


def _opinion_cost(judge: Model, request: Request) -> float:
    prompt = tokens.expected(request.messages) + DRAFT_TOKENS + RUBRIC_TOKENS
    return (prompt * judge.usd_per_mtok_in + 2.0 * judge.usd_per_mtok_out) / 1e6


def _gain(plan: Cascade, signals: Signals, judge: str) -> float:
    """How much likelier a query in the band is decided rightly: Φ(d'/2) − Φ(d/2)."""
    d = signals.signal(plan.tiers[0].models[0], first=True)
    raised = math.hypot(d, signals.judges[judge])
    return (math.erf(raised / 2**1.5) - math.erf(d / 2**1.5)) / 2
