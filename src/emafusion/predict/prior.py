"""What to expect of a model nobody has outcomes for: its price, and an expert's word.

Knows one prior. It is honest about how little it knows: the standard errors are wide.
"""

from __future__ import annotations

import math

from emafusion.types import AXES, Estimate, Labels, Model

TYPICAL_TOKENS = 250.0
TYPICAL_TOKENS_PER_S = 50.0
TYPICAL_WAIT_S = 0.6
AT_ONE_DOLLAR = 0.65
PER_FOLD = 0.25
"""Log-odds of a good answer at a price of $1 per million tokens, and per e-fold of price. A weak
prior: dearer models are better, by less than their price."""
PRIOR_WEIGHT = 4.0


def estimate(
    model: Model, labels: Labels, prompt_tokens: float, *, limit: int | None = None
) -> Estimate:
    """The forecast for `model` before any outcome: price prior blended with ``model.ability``.

    `limit` is the caller's bound on the answer's tokens, if it has set one.
    """
    length = min(TYPICAL_TOKENS, float(model.max_output), math.inf if limit is None else limit)
    quality = _from_price(model)
    told = opinion(model, labels)
    weight = PRIOR_WEIGHT
    if told is not None:
        weight += model.ability_weight
        quality = (PRIOR_WEIGHT * quality + model.ability_weight * told) / weight
    pace = model.tokens_per_s or TYPICAL_TOKENS_PER_S
    cost = prompt_tokens * model.usd_per_mtok_in + length * model.usd_per_mtok_out
    return Estimate(
        model=model.name,
        quality=quality,
        quality_std=math.sqrt(quality * (1.0 - quality) / (weight + 1.0)),
        cost_usd=cost / 1e6,
        latency_s=TYPICAL_WAIT_S + length / pace,
        tokens=length,
    )


def opinion(model: Model, labels: Labels) -> float | None:
    """The expert's success rate for these labels, or ``None`` where the expert said nothing.

    A label's own rate counts by the label's probability; the rest falls to ``overall``, or to the
    mean of what was said.
    """
    said = model.ability
    if not said:
        return None
    rest = said.get("overall", math.fsum(said.values()) / len(said))
    best: tuple[float, float] = (0.0, rest)
    for axis in AXES:
        told = labels.axes.get(axis, {})
        shares = [(told[name], rate) for name, rate in said.items() if name in told]
        share = math.fsum([p for p, _ in shares])
        rate = math.fsum([p * rate for p, rate in shares]) + (1.0 - share) * rest
        best = max(best, (share, rate))
    return min(max(best[1], 0.01), 0.99)


def _from_price(model: Model) -> float:
    price = (model.usd_per_mtok_in + 3.0 * model.usd_per_mtok_out) / 4.0
    log_odds = AT_ONE_DOLLAR + PER_FOLD * math.log(max(price, 0.02))
    return 1.0 / (1.0 + math.exp(-log_odds))
