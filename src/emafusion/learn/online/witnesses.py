"""Whose checks count, and whether what they tell of a model holds without any one of the callers.

Knows callers and models by their names, days, and residuals of checks. Does not know answers, nor
what follows from an alarm. Callers written ``tenant/user`` are left out together, as in queries.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from emafusion.learn.online.drift import PATIENCE, STAKES, Alarm, Signal
from emafusion.types import replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

DAILY: Final = 10
"""Checks of one caller's answers by one model that count in a day; further ones count for nothing.

So many opinions of a caller weigh at most (:class:`~emafusion.learn.online.Bounds`)."""
DAY_S: Final = 86_400.0
KEPT: Final = 500
"""Checks of each model that are kept, to tell what they say without a caller."""


class Daily:
    """How many checks of a caller's answers by a model there were on the day."""

    def __init__(self, most: int = DAILY) -> None:
        self._most, self._day = most, 0
        self._counted: Counter[tuple[str, str]] = Counter()

    def open(self, caller: str, model: str, *, at: float) -> bool:
        """Whether one more may count `at` this time, in seconds since 1970."""
        if at // DAY_S > self._day:
            self._day = int(at // DAY_S)
            self._counted.clear()
        return self._counted[caller, model] < self._most

    def count(self, caller: str, model: str) -> None:
        """Count one more, of the day that was last asked about."""
        self._counted[caller, model] += 1


class Witnesses:
    """What was told of models by checks, and by whose answers.

    Where all that is asked comes from one caller, he is the traffic: he can ruin a model for
    nobody else. Once there are others, an alarm must stand without any one of them.

    Parameters
    ----------
    pool : sequence of str
    signals : sequence of Signal
        What the models are watched by; the last of them is the checks'.
    """

    def __init__(self, pool: Sequence[str], signals: Sequence[Signal]) -> None:
        self.daily = Daily()
        self._signals = tuple(signals)
        self._told: dict[str, deque[tuple[str, float]]] = {
            name: deque(maxlen=KEPT) for name in pool
        }
        self._contested: dict[str, Alarm] = {}
        self._callers: set[str] = set()
        self._tenants: set[str] = set()

    def saw(self, caller: str) -> None:
        """Take note that `caller` asked something."""
        for known, name in ((self._callers, caller), (self._tenants, _tenant(caller))):
            if len(known) < 2:
                known.add(name)

    def forget(self, model: str) -> None:
        """Of `model` something else is expected from now on: what was told of it is void."""
        self._told[model].clear()
        self._contested.pop(model, None)

    def vetted(
        self, model: str, residual: float, *, caller: str, alarm: Alarm | None, seen: int
    ) -> Alarm | None:
        """The alarm that a check gives, if it stands without any one caller.

        One that does not is tried again with every further check.

        Parameters
        ----------
        model, caller : str
            Whose answer was checked, and who had asked for it.
        residual : float
            By how much the check lay above what was expected.
        alarm : Alarm, optional
            What the watch over all says at this check.
        seen : int
            The model's answers so far that were watched.
        """
        self._told[model].append((caller, residual))
        before = self._contested.get(model)
        if alarm is None and before is not None:
            alarm = replace(before, after=seen, since=before.since + seen - before.after)
        if alarm is None or self._stands(model):
            self._contested.pop(model, None)
            return alarm
        self._contested[model] = alarm
        return None

    def _stands(self, model: str) -> bool:
        together = len(self._tenants) > 1
        if not together and len(self._callers) <= 1:
            return True
        told = [
            (_tenant(caller) if together else caller, residual)
            for caller, residual in self._told[model]
        ]
        return bool((self._without_each(told) >= PATIENCE).all())

    def _without_each(self, told: Sequence[tuple[str, float]]) -> Array:
        """The most evidence that there ever was without each one of those who told, (c,).

        As :class:`~emafusion.learn.online.Watch` bets; other signals stay at 1, where they begin.
        """
        import numpy as np

        names, owner = np.unique([name for name, _ in told], return_inverse=True)
        check, every = self._signals[-1], sum(signal.share for signal in self._signals)
        share = check.share / every
        bent = np.clip([residual for _, residual in told], -1.0, 1.0)[:, None] * [-1.0, 1.0]
        gains = 1.0 + (bent - check.slack)[:, :, None] * np.array(STAKES)
        capital, most = np.ones((len(names), *gains.shape[1:])), np.zeros(len(names))
        for gain, who in zip(gains, owner.tolist(), strict=True):
            kept = capital[who].copy()
            capital = np.maximum(capital, 1.0) * gain
            capital[who] = kept
            most = np.maximum(most, capital.mean(axis=(1, 2)))
        found: Array = 1.0 - share + share * most
        return found


def _tenant(caller: str) -> str:
    return caller.partition("/")[0]
