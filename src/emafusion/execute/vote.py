"""Which of several drafts speaks for the panel: a weighted vote over extracted answers.

Knows answers and weights. Does not know where the weights come from.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from emafusion.types import Draft, Forecast

FLOOR = 0.05
"""The smallest weight: a model expected to be wrong more often than right still has a voice."""


def vote(keys: Sequence[Hashable | None], weights: Sequence[float]) -> list[int]:
    """The positions of the drafts whose answer wins, weightiest answer first broken by position.

    Parameters
    ----------
    keys : sequence of n hashables
        Each draft's canonical answer; ``None`` where none could be read. Such a draft never votes.
    weights : sequence of n floats
        Each draft's weight, positive.

    Returns
    -------
    list of int
        Positions that share the winning answer; every position when nobody votes.
    """
    totals: dict[Hashable, float] = {}
    for key, weight in zip(keys, weights, strict=True):
        if key is not None:
            totals[key] = totals.get(key, 0.0) + weight
    if not totals:
        return list(range(len(keys)))
    winner = max(totals, key=totals.__getitem__)
    return [position for position, key in enumerate(keys) if key == winner]


def log_odds_weights(drafts: Sequence[Draft], forecast: Forecast) -> list[float]:
    """Each draft's weight: the log-odds that its model is right (Nitzan & Paroush, 1982)."""
    weights = []
    for draft in drafts:
        estimate = forecast.get(draft.model)
        clipped = min(max(0.5 if estimate is None else estimate.quality, 0.01), 0.99)
        weights.append(max(math.log(clipped / (1.0 - clipped)), FLOOR))
    return weights
