"""Whether a model still answers as it did: bets against "nothing has changed", per model.

Knows residuals: what was seen of an answer less what was expected of it. Does not know scores,
texts or vendors, nor what is done about an alarm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from emafusion.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PATIENCE: Final = 20_000.0
"""Answers between false alarms, at least, on average."""
STAKES: Final = (0.2, 0.4, 0.8)
"""Shares of the capital that each bettor stakes: the best stake grows with the change."""


class Signal(Struct, frozen=True, kw_only=True):
    """What is watched: a residual in [−1, 1] whose mean is 0 while nothing has changed.

    ``slack`` is how far its mean may lie off 0 for other reasons (a forecast calibrated to two
    points, say) before anyone earns by it; ``share`` its share of the capital.
    """

    name: str
    slack: float = 0.03
    share: float = 1.0


SIGNALS: Final = (
    Signal(name="reward", slack=0.03, share=2.0),
    Signal(name="length", slack=0.05),
)
"""Watched by default; an ``agreement`` or a ``refusal`` residual may join (docs/online.md)."""


class Alarm(Struct, frozen=True, kw_only=True):
    """One model is not what it was.

    ``after`` is how many of its answers had been seen, ``since`` how many of them since the bettor
    who gave the alarm began to win: about when the change happened. ``signal`` is what he bet on,
    ``rose`` which way; ``evidence`` the capital made of 1.
    """

    model: str
    after: int
    since: int
    signal: str
    rose: bool
    evidence: float


class Watch:
    """One e-detector a model: the weighted mean of CUSUMs of bets (Shin, Ramdas & Rinaldo, 2023).

    Each bettor stakes a share λ of his capital on one signal and one direction: it is multiplied by
    1 + λ(±r − slack), and never falls below 1. While residuals have mean 0 (within the slack), the
    mean number of answers between false alarms is at least ``patience``, whatever the residuals'
    law: the mean of CUSUMs lies below that of the Shiryaev–Roberts sums, and those sums less the
    number of answers are a supermartingale. Rates add up over models, so the pool as a whole gives
    at most one false alarm in ``patience`` of all answers.

    Parameters
    ----------
    pool : sequence of str
    signals : sequence of Signal
    patience : float
        Answers between false alarms, at least, on average.
    """

    def __init__(
        self,
        pool: Sequence[str],
        signals: Sequence[Signal] = SIGNALS,
        *,
        patience: float = PATIENCE,
    ) -> None:
        import numpy as np

        if patience <= 1.0:
            raise ConfigError(f"patience must be more than 1 answer, not {patience!r}")
        self.pool = tuple(pool)
        self.signals = tuple(signals)
        self.patience = patience
        # Bettors by signal, direction (down, up) and stake.
        shape = (len(self.signals), 2, len(STAKES))
        shares = np.array([signal.share for signal in self.signals])[:, None, None]
        self._shares = np.broadcast_to(shares / (shares.sum() * 2 * len(STAKES)), shape)
        self._slack = np.array([signal.slack for signal in self.signals])[:, None, None]
        self._sign = np.array([-1.0, 1.0])[:, None]
        self._stake = np.array(STAKES)
        self._capital = np.ones((len(self.pool), *shape))
        self._since = np.zeros((len(self.pool), *shape))
        self._seen = np.zeros(len(self.pool), dtype=np.int64)

    def observe(self, model: str, residuals: Mapping[str, float]) -> Alarm | None:
        """Count one answer of `model`; an alarm where there is enough evidence of a change.

        Signals without a residual are not bet on. After an alarm the model is watched afresh.
        """
        import numpy as np

        at = self.pool.index(model)
        self._seen[at] += 1
        told = np.array([residuals.get(signal.name, math.nan) for signal in self.signals])
        bent = np.clip(told, -1.0, 1.0)[:, None, None] * self._sign - self._slack
        # No residual, no bet: the capital stays as it is.
        gain = np.where(np.isnan(bent), 1.0, 1.0 + self._stake * bent)
        begun = self._capital[at]
        # Capital below 1 is given up: who bets on a change starts again from here.
        self._since[at] = np.where(begun <= 1.0, 1.0, self._since[at] + 1.0)
        self._capital[at] = np.maximum(begun, 1.0) * gain
        evidence = float((self._shares * self._capital[at]).sum())
        return self._alarm(at, evidence) if evidence >= self.patience else None

    def evidence(self, model: str) -> float:
        """The capital that bets against `model` have made of 1; an alarm is at ``patience``."""
        return float((self._shares * self._capital[self.pool.index(model)]).sum())

    def reset(self, model: str) -> None:
        """Watch `model` afresh: after an alarm, or when another forecast is expected of it."""
        at = self.pool.index(model)
        self._capital[at], self._since[at] = 1.0, 0.0

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The state, to go on from another day."""
        return {"capital": self._capital, "since": self._since, "seen": self._seen}

    def resume(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from what :meth:`to_arrays` told; raises ``ConfigError`` for another watch's."""
        import numpy as np

        if np.shape(arrays["capital"]) != self._capital.shape:
            raise ConfigError("the state is of a watch over other models or other signals")
        self._capital = np.array(arrays["capital"], dtype=np.float64)
        self._since = np.array(arrays["since"], dtype=np.float64)
        self._seen = np.array(arrays["seen"], dtype=np.int64)

    def _alarm(self, at: int, evidence: float) -> Alarm:
        import numpy as np

        held = self._shares * self._capital[at]
        signal, rose, stake = np.unravel_index(int(held.argmax()), held.shape)
        found = Alarm(
            model=self.pool[at],
            after=int(self._seen[at]),
            since=int(self._since[at][signal, rose, stake]),
            signal=self.signals[signal].name,
            rose=bool(rose),
            evidence=evidence,
        )
        self.reset(self.pool[at])
        return found


class Recovery:
    """Whether a model that has changed is again what it was: bets against "it still is not".

    That its residuals, of the forecast from before the change, still lie at least half as far off
    as they did is what CUSUMs of bets speak against, as in :class:`Watch`: while it is true, a
    recovery is announced once in ``patience`` answers on average, at most.

    Parameters
    ----------
    rose : bool
        Whether the residuals rose with the change.
    gap : float
        By how much.
    patience : float
    """

    def __init__(self, *, rose: bool, gap: float, patience: float = 1000.0) -> None:
        import numpy as np

        self._sign, self._half = (1.0 if rose else -1.0), gap / 2.0
        self.patience = patience
        self._stakes = np.array(STAKES) / (1.0 + self._half)
        self._capital = np.ones(len(STAKES))

    def observe(self, residual: float) -> bool:
        """Count one answer; whether the model is what it was."""
        import numpy as np

        self._capital = np.maximum(self._capital, 1.0) * self.gains([residual])[0]
        return float(self._capital.mean()) >= self.patience

    def gains(self, residuals: Sequence[float]) -> Array:
        """What each bettor's capital is multiplied by at each of n `residuals`, (n, s)."""
        import numpy as np

        back = self._half - self._sign * np.clip(residuals, -1.0, 1.0)
        found: Array = 1.0 + back[:, None] * self._stakes
        return found

    def reset(self) -> None:
        """Give up what was won so far."""
        self._capital[:] = 1.0


class Habits:
    """How long each model's answers are, against what is expected of them.

    Parameters
    ----------
    quantiles : ndarray, shape (q, m)
        Of ln found over expected tokens, at q even levels from 0 to 1, on outcomes of the fit.
    """

    def __init__(self, quantiles: Array) -> None:
        import numpy as np

        self.quantiles = quantiles
        self._levels = np.linspace(0.0, 1.0, len(quantiles))
        self._each = np.ascontiguousarray(np.transpose(quantiles))

    @classmethod
    def fit(cls, surplus: Array, levels: int = 101) -> Habits:
        """From `surplus` (n, m), with NaN where a model was not asked."""
        import numpy as np

        return cls(np.nanquantile(surplus, np.linspace(0.0, 1.0, levels), axis=0))

    def residual(self, model: int, surplus: float) -> float:
        """The residual ``length`` of one answer: 2u − 1, uniform on [−1, 1], with u the share of
        the model's former answers that were shorter beside what was expected.
        """
        import numpy as np

        return 2.0 * float(np.interp(surplus, self._each[model], self._levels)) - 1.0
