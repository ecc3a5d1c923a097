"""The judge of fluency: how likely the model itself found what it wrote."""

from __future__ import annotations

import math
from collections.abc import Sequence

from emafusion.types import Draft, Request


class LogprobJudge:
    """Scores a draft by its geometric mean token probability, exp(Σ log p / n).

    Silent where the provider returns no log-probabilities.
    """

    name = "logprob"

    def score(self, request: Request, drafts: Sequence[Draft]) -> list[float | None]:
        """The mean token probability of each draft, in [0, 1]."""
        return [mean_probability(draft) for draft in drafts]


def mean_probability(draft: Draft) -> float | None:
    """exp of the mean log-probability of the draft's tokens; ``None`` where there is none."""
    logprobs = draft.completion.logprobs
    if not logprobs:
        return None
    return min(math.exp(math.fsum(logprobs) / len(logprobs)), 1.0)
