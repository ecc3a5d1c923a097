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

from emafusion.learn.online import (
    Alarm,
    Habits,
    Recovery,
    Signal,
    Told,
    Watch,
    Witnesses,
    began,
)
from emafusion.learn.online.drift import SIGNALS
from emafusion.learn.online.witnesses import KEPT
from emafusion.types import Outcome, Step, log_odds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CHECK: Final = Signal(name="check", slack=0.05)
"""Whether a second model gave the same answer, less how often it does."""
LEAST_GAP: Final = 0.1
"""A change is taken to be at least so large: of a smaller one no end could be told."""


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
        self._known = known
        self._habits = Habits(known.habits)
        signals = SIGNALS if known.agreement is None else (*SIGNALS, CHECK)
        self._watch = Watch(self.pool, signals)
        self.witnesses = Witnesses(self.pool, signals)
        self._recovery: dict[str, Recovery] = {}
        # What was told by a changed model's signal since the alarm, held against the fit.
        self._back: dict[str, deque[Told]] = {}
        # What was told until the alarm, and late of answers from before it: it dates the change.
        self._dating: dict[str, deque[Told]] = {}
        self._begun: dict[str, float] = {}
        self._last: dict[str, float] = {}

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
            off, caller = (residual, now), outcome.caller
            found = self.judged(step.model, "length", off=off, at=at, caller=caller)
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
        expected. What is found must stand without any one `caller`.
        """
        fit, now = off
        if fit is not None:
            back = self._is_back(model, signal, Told(at=at, caller=caller, off=fit))
            if back is not None:
                return back
        if now is None:
            return None
        self.seen[model] += 1
        found = self.witnesses.vetted(
            model,
            signal,
            told=Told(at=at, caller=caller, off=now),
            alarm=self._watch.observe(model, {signal: now}),
            seen=self.seen[model],
        )
        if found is None:
            return None
        self._changed(*found)
        return found[0]

    def begun(self, alarm: Alarm) -> float:
        """When the change of `alarm`, the last one of its model, began; seconds since 1970."""
        return self._last[alarm.model]

    def redated(self, model: str, signal: str, told: Told) -> float | None:
        """When a change began that is known of, where what is `told` late says another time.

        ``None`` where it says the same, or nothing: by another signal than the alarm's, or once the
        model has changed again.
        """
        alarm, dating = self.changed.get(model), self._dating.get(model)
        if alarm is None or dating is None or alarm.signal != signal:
            return None
        dating.append(told)
        begun = self.witnesses.dated(dating, alarm)
        if begun == self._begun[model]:
            return None
        self._begun[model] = self._last[model] = begun
        return begun

    def afresh(self) -> None:
        """Give up what was won so far: it was won on queries that nothing is known of."""
        for model in self.pool:
            self._reset(model)
        for model, recovery in self._recovery.items():
            recovery.reset()
            self._back[model].clear()

    def _reset(self, model: str) -> None:
        self._watch.reset(model)
        self.witnesses.forget(model)

    def _changed(self, alarm: Alarm, begun: float) -> None:
        """Remember `alarm`, and look out for its end; a change of a change has the first's end."""
        model = alarm.model
        told = self.witnesses.told(model, alarm.signal)
        self._reset(model)
        self._last[model] = begun
        if model in self.changed:
            self._dating.pop(model, None)
            return
        self.changed[model], self._begun[model] = alarm, begun
        self._dating[model] = deque(told, maxlen=2 * KEPT)
        # Of this change alone: what was before it does not say how large it is.
        last = [one.off for one in told if one.at >= begun]
        sign = 1.0 if alarm.rose else -1.0
        gap = sign * sum(last) / len(last) if last else 0.0
        self._recovery[model] = Recovery(rose=alarm.rose, gap=max(gap, LEAST_GAP))
        self._back[model] = deque(maxlen=KEPT)

    def _is_back(self, model: str, signal: str, told: Told) -> Recovered | None:
        """Whether a model that has changed is what it was, without any one caller's word."""
        alarm = self.changed.get(model)
        if alarm is None or alarm.signal != signal:
            return None
        recovery, back = self._recovery[model], self._back[model]
        back.append(told)
        if not recovery.observe(told.off):
            return None
        gains = recovery.gains([one.off for one in back])
        left = self.witnesses.without_weakest(back, gains, needed=recovery.patience)
        if left is None:
            return None
        ended = began(left, recovery.gains([one.off for one in left]))[0]
        begun = self._begun.pop(model)
        # To be what it was is a change of the change too, and may have been found as one.
        ended = max(ended, self._last[model], begun)
        for kept in (self._recovery, self._back, self._dating, self.changed):
            kept.pop(model, None)
        self._reset(model)
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
