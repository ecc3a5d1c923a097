"""Whether the models that serve still answer as they did when the policy was fitted.

Knows what a fit left behind to compare with, and what of a recorded decision can be compared. What
follows from an alarm, or from its end, is not its business.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from emafusion.learn.online import Alarm, Habits, Recovery, Signal, Watch, Witnesses
from emafusion.learn.online.drift import SIGNALS
from emafusion.types import Outcome, Step, log_odds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CHECK: Final = Signal(name="check", slack=0.05)
"""Whether a second model gave the same answer, less how often it does."""
LEAST_GAP: Final = 0.1
"""A change is taken to be at least so large: of a smaller one no end could be told."""
KEPT: Final = 500
"""Residuals of each model and signal that are kept, to tell how large a change was."""


class Known(Struct, frozen=True, kw_only=True):
    """What a fit wrote to compare with.

    ``calibration`` holds intercept and slope of the true log-odds on the forecast's; ``habits``
    (101, m) quantiles of ln found over expected tokens, NaN where too little is known.
    ``agreement`` (4,) says how often two models give the same answer, by their log-odds: intercept,
    the checked one's, the checking one's, their product; ``None`` where it was not fitted.
    """

    calibration: tuple[float, float]
    habits: Array
    agreement: tuple[float, ...] | None = None


class Recovered(Struct, frozen=True, kw_only=True):
    """``model`` is again what it was before ``alarm``.

    It was not from the time ``begun`` until the time ``ended``, seconds since 1970.
    """

    model: str
    alarm: Alarm
    begun: float
    ended: float


class Lookout:
    """Bets, model by model, on answers that are longer, shorter, better or worse than they were.

    A model that was found changed is watched for the end of its change too.

    Parameters
    ----------
    known : Known
        What there is to compare with.
    pool : sequence of m str
    """

    def __init__(self, known: Known, *, pool: Sequence[str]) -> None:
        self.pool = tuple(pool)
        self.changed: dict[str, Alarm] = {}
        self.seen: Counter[str] = Counter()
        self._times: dict[str, deque[float]] = {name: deque(maxlen=KEPT) for name in self.pool}
        self._known = known
        self._habits = Habits(known.habits)
        checked = known.agreement is not None
        self._watch = Watch(self.pool, (*SIGNALS, CHECK) if checked else SIGNALS)
        self.witnesses = Witnesses(self.pool, (*SIGNALS, CHECK))
        # By model and signal: when each answer was given, and by how much it lay off the fit.
        self._last: dict[tuple[str, str], deque[tuple[float, float]]] = {}
        self._recovery: dict[str, Recovery] = {}
        self._begun: dict[str, float] = {}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.generic]], pool: Sequence[str]
    ) -> Lookout | None:
        """By what a fit wrote; ``None`` for a policy whose fit wrote nothing of this."""
        import numpy as np

        if "habits" not in arrays:
            return None
        level, slope = np.asarray(arrays["calibration"], dtype=np.float64).tolist()
        told = arrays.get("agreement")
        agreement = None if told is None else np.asarray(told, dtype=np.float64).tolist()
        known = Known(
            calibration=(level, slope),
            habits=np.asarray(arrays["habits"], dtype=np.float64),
            agreement=None if agreement is None else tuple(agreement),
        )
        return cls(known, pool=pool)

    def calibrated(self, odds: Array) -> list[float]:
        """Log-odds of a good answer, by those that the fitted routers give, (m,)."""
        level, slope = self._known.calibration
        found: list[float] = (level + slope * odds).tolist()
        return found

    def agreeing(self, checked: float, checking: float) -> float | None:
        """The chance of the same answer, by both models' calibrated log-odds of a good one."""
        if self._known.agreement is None:
            return None
        # Bounded as in the fit, where the chances were.
        one, two = (log_odds(1.0 / (1.0 + math.exp(-odds))) for odds in (checked, checking))
        terms = (1.0, one, two, one * two)
        found = sum(w * term for w, term in zip(self._known.agreement, terms, strict=True))
        return 1.0 / (1.0 + math.exp(-found))

    def answered(self, outcome: Outcome) -> Iterator[Alarm | Recovered]:
        """What the lengths of the answers in `outcome` tell.

        Nothing where no text was read, as of a caller who named the model: then what was expected
        is not what the fit expects of such a prompt.
        """
        if not outcome.labels.axes:
            return
        for step in outcome.steps:
            surplus = self._surplus(outcome, step)
            if surplus is None:
                continue
            residual = self._habits.residual(self.pool.index(step.model), surplus)
            # A model that has changed has no habits that are known.
            now = None if step.model in self.changed else residual
            at = outcome.created
            found = self.judged(step.model, "length", off=(residual, now), at=at)
            if found is not None:
                yield found

    def judged(
        self,
        model: str,
        signal: str,
        *,
        off: tuple[float | None, float | None],
        at: float,
        caller: str = "",
    ) -> Alarm | Recovered | None:
        """What an answer, given `at` this time, tells: that its model changed or is what it was.

        By ``off[0]`` it lay off what the fit expected, by ``off[1]`` off what is expected by now,
        which is another thing once the model has changed; ``None`` where nothing exact was
        expected. What checks tell must stand without any one `caller`.
        """
        fit, now = off
        if fit is not None:
            self._last.setdefault((model, signal), deque(maxlen=KEPT)).append((at, fit))
            begun = self.changed.get(model)
            if begun is not None and begun.signal == signal and self._recovery[model].observe(fit):
                return self._recovered(begun)
        if now is None:
            return None
        self.seen[model] += 1
        self._times[model].append(at)
        alarm = self._watch.observe(model, {signal: now})
        if signal == CHECK.name and (alarm is None or alarm.signal == signal):
            alarm = self.witnesses.vetted(
                model, now, caller=caller, alarm=alarm, seen=self.seen[model]
            )
        if alarm is not None:
            self._changed(alarm)
        return alarm

    def begun(self, alarm: Alarm) -> float:
        """When the change of `alarm`, the last one of its model, began; seconds since 1970."""
        times = self._times[alarm.model]
        return times[-min(alarm.since, len(times))]

    def afresh(self) -> None:
        """Give up what was won so far: it was won on queries that nothing is known of."""
        for model in self.pool:
            self._reset(model)
        for recovery in self._recovery.values():
            recovery.reset()

    def _reset(self, model: str) -> None:
        self._watch.reset(model)
        self.witnesses.forget(model)

    def _changed(self, alarm: Alarm) -> None:
        """Remember `alarm`, and look out for its end; a change of a change has the first's end."""
        self.witnesses.forget(alarm.model)
        if alarm.model in self.changed:
            return
        self.changed[alarm.model], begun = alarm, self.begun(alarm)
        self._begun[alarm.model] = begun
        # Of this change alone: neither what was before it nor an earlier one says how large it is.
        told = self._last.get((alarm.model, alarm.signal), ())
        last = [fit for at, fit in told if at >= begun]
        sign = 1.0 if alarm.rose else -1.0
        gap = sign * sum(last) / len(last) if last else 0.0
        self._recovery[alarm.model] = Recovery(rose=alarm.rose, gap=max(gap, LEAST_GAP))

    def _recovered(self, alarm: Alarm) -> Recovered:
        """The change that `alarm` told of is over."""
        model = alarm.model
        times = [at for at, _ in self._last[model, alarm.signal]]
        begun, since = self._begun.pop(model), self._recovery.pop(model).since
        del self.changed[model]
        self._reset(model)
        ended = max(times[-min(since, len(times))], begun)
        return Recovered(model=model, alarm=alarm, begun=begun, ended=ended)

    def _surplus(self, outcome: Outcome, step: Step) -> float | None:
        """ln of found over expected tokens; ``None`` where one of them is not to be had."""
        import numpy as np

        told = outcome.forecast.get(step.model)
        if told is None or step.model not in self.pool:
            return None
        whole = step.purpose == "draft" and step.error is None and step.part is None
        counted = step.usage.counted and step.usage.completion_tokens > 0
        known = not np.isnan(self._habits.quantiles[0, self.pool.index(step.model)])
        # Cut short by a limit, an answer says nothing of how long it would have been.
        if not (whole and counted and known) or step.finish_reason == "length":
            return None
        return math.log((step.usage.completion_tokens + 1.0) / (told.tokens + 1.0))
