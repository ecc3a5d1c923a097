"""What one opinion on one recorded decision teaches of one model.

Knows decisions and opinions; whether an opinion counts, and what is believed, others know.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from emafusion.types import Labels, Outcome, Single, log_odds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


COINCIDENCE: Final = 0.3
"""How often two wrong answers are the same one: .21 and .40 of the time on recorded rows of short
answers and of ten options (docs/online.md)."""


class Lesson(Struct, frozen=True, kw_only=True):
    """An answer of `model` to a query of these `labels` was given this `score`.

    ``vector`` (d,) is the query's, ``None`` where its text was not kept. ``weight`` in [0, 1] is
    how far the opinion counts. ``evidence`` is by how many units of log-odds the judges trusted the
    very answer more than the forecast trusted its model, where they chose the answer for it. The
    answer was given ``at`` this time, seconds since 1970. Of a check the score is whether a second
    model said the same, ``second`` the log-odds of that one being right.
    """

    model: str
    labels: Labels
    score: float
    weight: float
    vector: Array | None
    evidence: float | None
    at: float
    second: float | None = None


def author(outcome: Outcome, pool: Collection[str]) -> str | None:
    """The model of `pool` whose draft is the answer, as it stands.

    ``None`` for answers put together of parts, written or fused from several drafts, and failures.
    """
    name = outcome.model
    if outcome.error is not None or outcome.parts or outcome.origins or name not in pool:
        return None
    if outcome.forecast.get(name) is None:
        return None
    drafts = [s for s in outcome.steps if s.purpose == "draft" and s.error is None]
    own = [s for s in drafts if s.model == name and s.text == outcome.text]
    wrote = any(s.purpose == "write" for s in outcome.steps)
    # Where texts were not kept all of them are equal, and a writer may have been anyone.
    return name if own and (outcome.text or not wrote) else None


def evidence(outcome: Outcome, model: str) -> float | None:
    """What the judges added to the forecast of `model`; ``None`` where they chose nothing.

    An answer that was accepted, or preferred to others, is better than its model's usual ones, by
    just this much. A lone model's answer is returned whatever they say: its score is plain.
    """
    if outcome.plan is None or isinstance(outcome.plan.arrangement, Single):
        drafts = [s for s in outcome.steps if s.purpose == "draft" and s.error is None]
        if len(drafts) < 2:
            return None
    return log_odds(outcome.confidence) - outcome.forecast[model].log_odds


def shifted(rate: float, evidence: float) -> float:
    """`rate` with `evidence` added to its log-odds."""
    return 1.0 / (1.0 + math.exp(-(log_odds(rate) + evidence)))


def surprising(score: float, believed: float, evidence: float) -> float:
    """What to count `score` as, of an answer that judges chose on this `evidence`.

    A good answer of its model was `believed` this probable; of the answer that was chosen it was
    p = σ(log-odds believed + evidence), and only what the score differs from p counts, less the
    further p lies from the belief, so that the result stays in [0, 1]. Its mean is the belief
    wherever that is right. The plain score would teach that every model is as good as those of its
    answers that were accepted.
    """
    expected = shifted(believed, evidence)
    share = min(believed / expected, (1.0 - believed) / (1.0 - expected))
    return min(max(believed + share * (score - expected), 0.0), 1.0)


def seconded(same: float, believed: float, *, expected: float, second: float) -> float:
    """What to count an answer as of which a second model did (1) or did not (0) say the `same`.

    The answer was `believed` to be right, the same one was `expected` this often, and the second
    model is right with the chance `second`. What agreement says of being right is the difference
    between how often the second model agrees with right answers and with wrong ones: only so much
    of the surprise counts. The mean is the belief wherever that is right.
    """
    told = max(second - COINCIDENCE * (1.0 - second), 0.0)
    return min(max(believed + told * (same - expected), 0.0), 1.0)
