"""Whose word counts when a model is accused, and whether it holds without any one of the callers.

Knows callers and models by their names, times, and residuals. Does not know answers, nor what
follows from an alarm. Callers written ``tenant/user`` are left out together, as in queries.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

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
"""Residuals of each model and signal that are kept, to tell what they say without a caller."""


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


class Told(Struct, frozen=True, kw_only=True):
    """An answer that was given ``at`` this time to ``caller`` lay ``off`` what was expected."""

    at: float
    caller: str
    off: float


class Witnesses:
    """What was told of models, and by whose answers.

    Where all that is asked comes from one caller, he is the traffic: he can ruin a model for
    nobody else. Once there are others, an alarm must stand without any one of them.

    Parameters
    ----------
    pool : sequence of str
    signals : sequence of Signal
        What the models are watched by.
    """

    def __init__(self, pool: Sequence[str], signals: Sequence[Signal]) -> None:
        self.daily = Daily()
        self._signals = {signal.name: signal for signal in signals}
        self._told: dict[tuple[str, str], deque[Told]] = {
            (model, name): deque(maxlen=KEPT) for model in pool for name in self._signals
        }
        self._contested: dict[str, Alarm] = {}
        self._callers: set[str] = set()
        self._tenants: set[str] = set()
        self._suspect = ""

    def saw(self, caller: str) -> None:
        """Take note that `caller` asked something."""
        for known, name in ((self._callers, caller), (self._tenants, _tenant(caller))):
            if len(known) < 2:
                known.add(name)

    def told(self, model: str, signal: str) -> tuple[Told, ...]:
        """The last :data:`KEPT` residuals, as they came."""
        return tuple(self._told[model, signal])

    def forget(self, model: str) -> None:
        """Of `model` something else is expected from now on: what was told of it is void."""
        for name in self._signals:
            self._told[model, name].clear()
        self._contested.pop(model, None)

    def vetted(
        self, model: str, signal: str, *, told: Told, alarm: Alarm | None, seen: int
    ) -> tuple[Alarm, float] | None:
        """The alarm that stands without any one caller, and when the change began.

        One that does not is tried again with every further residual, by that one's signal.

        Parameters
        ----------
        model, signal : str
            What is told of.
        told : Told
            What was told now.
        alarm : Alarm, optional
            What the watch over all says to it.
        seen : int
            The model's answers so far that were watched.
        """
        self._told[model, signal].append(told)
        contested = alarm or self._contested.get(model)
        if contested is None:
            return None
        self._contested[model] = contested
        # Who is alone may have won by one signal what another one makes an alarm of.
        name = contested.signal if self._alone else signal
        every = self._told[model, name]
        share = self._share(name)
        needed = (PATIENCE - 1.0 + share) / share
        left = self.without_weakest(every, self._gains(every, name), needed=needed)
        if left is None:
            return None
        begun, best = began(left, self._gains(left, name))
        since = sum(one.at >= begun for name in self._signals for one in self._told[model, name])
        rose = best >= len(STAKES)
        return replace(contested, signal=name, rose=rose, after=seen, since=since), begun

    def dated(self, told: Collection[Told], alarm: Alarm) -> float:
        """When the change of `alarm` began by all that is `told`, whoever weighs most left out."""
        way = slice(len(STAKES), None) if alarm.rose else slice(len(STAKES))
        left = self.without_weakest(told, self._gains(told, alarm.signal)[:, way], needed=0.0)
        left = left or tuple(told)
        return began(left, self._gains(left, alarm.signal)[:, way])[0]

    def without_weakest(
        self, told: Collection[Told], gains: Array, *, needed: float
    ) -> tuple[Told, ...] | None:
        """What is left of `told` without the caller who wins the bettors most by these `gains`.

        All of it where there is one caller alone, ``None`` where without somebody the bettors'
        mean capital never reached `needed`.
        """
        import numpy as np

        if self._alone:
            return tuple(told)
        together = len(self._tenants) > 1
        owners = np.array([_tenant(one.caller) if together else one.caller for one in told])
        least, weakest = np.inf, ""
        # Whoever failed the last alarm goes first: he mostly fails the next one too.
        for name in sorted(set(owners.tolist()), key=lambda name: (name != self._suspect, name)):
            most = float(np.exp(_won(gains[owners != name])).mean(axis=1).max())
            if most < needed:
                self._suspect = name
                return None
            if most < least:
                least, weakest = most, name
        return tuple(one for one, other in zip(told, owners != weakest, strict=True) if other)

    @property
    def _alone(self) -> bool:
        return len(self._tenants) <= 1 and len(self._callers) <= 1

    def _share(self, signal: str) -> float:
        return self._signals[signal].share / sum(one.share for one in self._signals.values())

    def _gains(self, told: Collection[Told], signal: str) -> Array:
        """What each bettor's capital is multiplied by, (n, 2s): the s who bet on a fall first.

        As :class:`~emafusion.learn.online.Watch` bets.
        """
        import numpy as np

        bent = np.clip([one.off for one in told], -1.0, 1.0)[:, None] * [-1.0, 1.0]
        slack = self._signals[signal].slack
        gains: Array = 1.0 + (bent - slack)[:, :, None] * np.array(STAKES)
        return gains.reshape(len(told), -1)


def began(told: Sequence[Told], gains: Array) -> tuple[float, int]:
    """When the bettor who won most began to, by the times of the answers; and which one he is.

    Opinions come in any order: `told` is put in that of the answers before it is bet on.
    """
    import numpy as np

    order = np.argsort([one.at for one in told], kind="stable")
    won = _won(gains[order])
    end, best = np.unravel_index(int(won.argmax()), won.shape)
    start = int(np.flatnonzero(won[: end + 1, best] <= 0.0)[-1])
    return told[int(order[min(start, len(told) - 1)])].at, int(best)


def _won(gains: Array) -> Array:
    """ln of each bettor's capital after 0 to n bets, (n + 1, b), given up wherever it is below 1.

    So sums of ln gains, less the least of them up to there.
    """
    import numpy as np

    sums = np.concatenate([np.zeros((1, gains.shape[1])), np.log(gains).cumsum(axis=0)])
    found: Array = sums - np.minimum.accumulate(sums, axis=0)
    return found


def _tenant(caller: str) -> str:
    return caller.partition("/")[0]
