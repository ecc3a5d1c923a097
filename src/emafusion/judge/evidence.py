"""Drafts and verdicts as numbers: one row of evidence per draft for the panel to weigh.

Knows which numbers; does not know what they are worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from emafusion.types import Draft, Forecast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COMMON: tuple[str, ...] = (
    "prior",
    "rules",
    "faulty",
    "logprob",
    "lowest",
    "sequence",
    "no_logprob",
    "support",
    "opposition",
    "strongest_rival",
    "unreadable",
    "longer",
    "off_length",
    "judge",
)
OWN: tuple[str, ...] = ("own_bias", "own_prior", "own_logprob", "own_sequence")
"""Columns repeated for each model of the fitted pool, zero for other models' drafts."""
TYPICAL_LOGPROB = -0.15
LEAST_LIKELY = -20.0
"""Log-probability of a whole answer below which one is as unlikely as another."""


def names(pool: Sequence[str]) -> tuple[str, ...]:
    """The columns' names for a panel fitted on `pool`."""
    return (*COMMON, *(f"{own}:{model}" for model in pool for own in OWN))


def rows(
    drafts: Sequence[Draft],
    forecast: Forecast,
    *,
    scores: Mapping[str, Sequence[float | None]],
    keys: Sequence[str | None],
    pool: Sequence[str],
) -> NDArray[np.float64]:
    """The evidence on each draft.

    Parameters
    ----------
    drafts : sequence of n drafts
    forecast : Forecast
        What was expected of each model before it ran.
    scores : mapping of judge name to n scores
        ``rules``, and ``model`` where a model judge was asked.
    keys : sequence of n answers
        Canonical answers, ``None`` where none can be read.
    pool : sequence of k model names
        The models that have columns of their own.

    Returns
    -------
    ndarray, shape (n, 14 + 4 k)
    """
    import numpy as np

    table = np.zeros((len(drafts), len(COMMON) + len(OWN) * len(pool)))
    found = told(drafts, forecast, scores=scores, keys=keys)
    for place, (draft, common) in enumerate(zip(drafts, found, strict=True)):
        table[place, : len(COMMON)] = [common[name] for name in COMMON]
        if draft.model in pool:
            start = len(COMMON) + len(OWN) * list(pool).index(draft.model)
            table[place, start : start + len(OWN)] = own(common)
    return table


def told(
    drafts: Sequence[Draft],
    forecast: Forecast,
    *,
    scores: Mapping[str, Sequence[float | None]],
    keys: Sequence[str | None],
) -> list[dict[str, float]]:
    """The columns that all models share, by name, of each of `drafts`; as :func:`rows`."""
    logits = [prior(draft, forecast) for draft in drafts]
    found = []
    for place, draft in enumerate(drafts):
        common = _common(place, drafts, logits=logits, scores=scores, keys=keys)
        length = _length(draft, forecast)
        common["longer"], common["off_length"] = length, abs(length)
        found.append(common)
    return found


def own(common: Mapping[str, float]) -> tuple[float, float, float, float]:
    """A draft's entries in its model's own columns, in the order of :data:`OWN`."""
    return 1.0, common["prior"], common["logprob"], common["sequence"]


def prior(draft: Draft, forecast: Forecast) -> float:
    """The log-odds that `draft` is right, before it was read."""
    estimate = forecast.get(draft.model)
    return logit(0.5 if estimate is None else estimate.quality)


def logit(probability: float) -> float:
    """ln(p / (1 − p)), with p kept within [0.01, 0.99]."""
    clipped = min(max(probability, 0.01), 0.99)
    return math.log(clipped / (1.0 - clipped))


def _common(
    place: int,
    drafts: Sequence[Draft],
    *,
    logits: Sequence[float],
    scores: Mapping[str, Sequence[float | None]],
    keys: Sequence[str | None],
) -> dict[str, float]:
    rules = scores["rules"][place]
    judged = scores["model"][place] if "model" in scores else None
    logprobs = drafts[place].completion.logprobs
    mean = math.fsum(logprobs) / len(logprobs) if logprobs else TYPICAL_LOGPROB
    support, rivals = _agreement(place, logits, keys)
    return {
        "prior": logits[place],
        "rules": (1.0 if rules is None else rules) - 1.0,
        "faulty": float(rules is not None and rules < 1.0),
        "logprob": max(mean, -2.0) - TYPICAL_LOGPROB,
        "lowest": max(min(logprobs), -6.0) / 6.0 if logprobs else 0.0,
        "sequence": max(math.fsum(logprobs), LEAST_LIKELY) / 5.0 if logprobs else 0.0,
        "no_logprob": float(not logprobs),
        "support": support,
        "opposition": sum(rivals.values()),
        "strongest_rival": max(rivals.values(), default=0.0),
        "unreadable": float(keys[place] is None),
        "judge": 0.0 if judged is None else logit(judged),
    }


def _agreement(
    place: int, logits: Sequence[float], keys: Sequence[str | None]
) -> tuple[float, dict[str, float]]:
    """The weight of the other drafts that agree, and of those that do not, by their answer.

    A voice weighs ln(1 + odds): a model expected to be wrong says little either way.
    """
    support, rivals = 0.0, dict[str, float]()
    for other, key in enumerate(keys):
        if other == place or key is None:
            continue
        voice = math.log1p(math.exp(logits[other]))
        if key == keys[place]:
            support += voice
        else:
            rivals[key] = rivals.get(key, 0.0) + voice
    return support, rivals


def _length(draft: Draft, forecast: Forecast) -> float:
    """ln of the draft's length over the length expected of its model; 0 where none was."""
    estimate = forecast.get(draft.model)
    if estimate is None or estimate.tokens <= 0:
        return 0.0
    found = draft.completion.usage.completion_tokens
    return max(-3.0, min(3.0, math.log((found + 1.0) / (estimate.tokens + 1.0))))
