"""Whether the models that serve still answer as they did when the policy was fitted.

Knows what a fit left behind to compare with, and what of a recorded decision can be compared. What
follows from an alarm is not its business.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from emafusion.learn.online import Alarm, Habits, Watch
from emafusion.types import Outcome, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Lookout:
    """Bets, model by model, on answers that are longer, shorter, better or worse than they were.

    Parameters
    ----------
    calibration : tuple of float
        Intercept and slope of the true log-odds on the forecast's.
    habits : ndarray, shape (101, m)
        Quantiles of ln found over expected tokens; NaN where too little is known.
    pool : sequence of m str
    """

    def __init__(
        self, calibration: tuple[float, float], habits: Array, *, pool: Sequence[str]
    ) -> None:
        self.pool = tuple(pool)
        self.changed: set[str] = set()
        self.seen: Counter[str] = Counter()
        self._level, self._slope = calibration
        self._habits = Habits(habits)
        self._watch = Watch(self.pool)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.generic]], pool: Sequence[str]
    ) -> Lookout | None:
        """By what a fit wrote; ``None`` for a policy whose fit wrote nothing of this."""
        import numpy as np

        if "habits" not in arrays:
            return None
        level, slope = np.asarray(arrays["calibration"], dtype=np.float64).tolist()
        return cls((level, slope), np.asarray(arrays["habits"], dtype=np.float64), pool=pool)

    def calibrated(self, log_odds: float) -> float:
        """Log-odds of a good answer, by those that the fitted routers give."""
        return self._level + self._slope * log_odds

    def answered(self, outcome: Outcome) -> Iterator[Alarm]:
        """The alarms that the lengths of the answers in `outcome` give."""
        for step in outcome.steps:
            surplus = self._surplus(outcome, step)
            if surplus is None:
                continue
            residual = self._habits.residual(self.pool.index(step.model), surplus)
            alarm = self._observe(step.model, length=residual)
            if alarm is not None:
                yield alarm

    def scored(self, model: str, residual: float) -> Alarm | None:
        """The alarm, if any, after a score that lay `residual` above what was expected."""
        return self._observe(model, reward=residual)

    def _observe(self, model: str, **residuals: float) -> Alarm | None:
        self.seen[model] += 1
        alarm = self._watch.observe(model, residuals)
        if alarm is not None:
            self.changed.add(model)
        return alarm

    def _surplus(self, outcome: Outcome, step: Step) -> float | None:
        """ln of found over expected tokens; ``None`` where one of them is not to be had.

        A model that has changed has no habits that are known.
        """
        import numpy as np

        told = outcome.forecast.get(step.model)
        if told is None or step.model not in self.pool or step.model in self.changed:
            return None
        whole = step.purpose == "draft" and step.error is None and step.part is None
        counted = step.usage.counted and step.usage.completion_tokens > 0
        known = not np.isnan(self._habits.quantiles[0, self.pool.index(step.model)])
        # Cut short by a limit, an answer says nothing of how long it would have been.
        if not (whole and counted and known) or step.finish_reason == "length":
            return None
        return math.log((step.usage.completion_tokens + 1.0) / (told.tokens + 1.0))
