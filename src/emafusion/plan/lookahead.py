"""The fitted look-ahead: after every verdict, stop here or ask this model next.

For each set of models that may have spoken, linear estimates of what asking one more, and going on
well from there, would add to the confidence. Knows the arithmetic of deciding; the coefficients
are learnt elsewhere (DESIGN §2.3). Works on any number of queries at once, so that a benchmark
runs the rule that serves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.errors import ArtefactError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

STOP = -1
"""The decision to ask nobody else."""
NOBODY = -1


class Standing(Struct, frozen=True, kw_only=True):
    """Where n queries stand.

    Parameters
    ----------
    best, second : ndarray, shape (n,)
        P(right) of the most trusted answer and of its best rival; 0 before anyone has spoken.
    priors : ndarray, shape (n, k)
        Log-odds of each member before it was asked.
    costs : ndarray, shape (n, k)
        US dollars that asking each member is expected to take.
    """

    best: Array
    second: Array
    priors: Array
    costs: Array


class Lookahead:
    """Coefficients for every set of members already heard and every setting of the dial.

    Parameters
    ----------
    members : sequence of k str
        Set number s holds member i where bit i of s is set.
    prices : ndarray, shape (settings,)
        US dollars per unit of quality, rising: one setting of the dial each.
    mean, scale : ndarray, shape (2^k, d)
        Standardisation of a set's columns.
    weights : ndarray, shape (2^k, settings, d + 1, k)
        What asking each member next adds to the confidence in all that follows, net of what
        the rest costs; intercept first.
    outlook : ndarray, shape (settings, d + 1, 2)
        From the start: the confidence reached and the US dollars spent.
    """

    def __init__(
        self,
        members: Sequence[str],
        prices: Array,
        *,
        mean: Array,
        scale: Array,
        weights: Array,
        outlook: Array,
    ) -> None:
        import numpy as np

        self.members = tuple(members)
        self.prices = prices
        self._mean = mean
        self._scale = scale
        self._weights = weights
        self._outlook = outlook
        self._safe = np.full(len(prices), NOBODY)
        self._worth = np.zeros((0, 2))

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.generic]], pool: Sequence[str]
    ) -> Lookahead:
        """The rule that a fit wrote."""
        import numpy as np

        names = ("prices", "mean", "scale", "weights", "outlook")
        absent = [name for name in (*names, "safe") if f"lookahead_{name}" not in arrays]
        if absent:
            raise ArtefactError(
                f"the policy lacks plan/lookahead_{absent[0]}; fit it anew with: emafusion fit"
            )
        found = {name: np.asarray(arrays[f"lookahead_{name}"], dtype=np.float64) for name in names}
        members = [pool[int(place)] for place in arrays["lookahead_members"].tolist()]
        safe = np.asarray(arrays["lookahead_safe"], dtype=np.int64)
        worth = arrays.get("lookahead_worth")
        return cls(members, found.pop("prices"), **found).guarded(
            safe, None if worth is None else np.asarray(worth, dtype=np.float64)
        )

    def to_arrays(self, pool: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """What :meth:`from_arrays` reads."""
        import numpy as np

        return {
            "lookahead_members": np.array([list(pool).index(name) for name in self.members]),
            "lookahead_prices": self.prices,
            "lookahead_mean": self._mean.astype(np.float32),
            "lookahead_scale": self._scale.astype(np.float32),
            "lookahead_weights": self._weights.astype(np.float32),
            "lookahead_outlook": self._outlook.astype(np.float64),
            "lookahead_safe": self._safe,
            "lookahead_worth": self._worth,
        }

    def guarded(self, safe: Integers, worth: Array | None = None) -> Lookahead:
        """The same rule under the guard of DESIGN §2.2.

        `safe`, shape (settings,), holds the member that alone serves a setting, where nothing the
        rule does was shown to be worth more, and :data:`NOBODY` where the rule was. `worth`,
        shape (k, 2), holds each member's mean score and mean US dollars where that was shown.
        """
        found = copy(self)
        found._safe = safe
        found._worth = self._worth if worth is None else worth
        return found

    def repriced(self, ratios: Array) -> Lookahead:
        """The same rule where member i's price is `ratios[i]` times what it was fitted at.

        What is asked next follows the costs of each request; what the guard keeps to was the
        member of most worth at the fitted prices, and is now the one of most worth at these.
        """
        import numpy as np

        if len(self._worth) != len(ratios) or np.allclose(ratios, 1.0, rtol=0.01):
            return self
        worth = self._worth[:, 0] - self._worth[:, 1] * ratios / self.prices[:, None]
        return self.guarded(np.where(self._safe == NOBODY, NOBODY, worth.argmax(axis=1)))

    def safe(self, setting: int) -> int | None:
        """The member that alone serves `setting`, if one does."""
        member = int(self._safe[setting])
        return None if member == NOBODY else member

    def setting(self, prefer: float) -> int:
        """The setting nearest to `prefer`, 0 (cost) to 1 (quality)."""
        return round(prefer * (len(self.prices) - 1))

    def number(self, heard: Sequence[str]) -> int:
        """The set number of `heard` members."""
        return sum(1 << self.members.index(name) for name in set(heard))

    def decide(
        self, number: int, setting: int, standing: Standing, *, allowed: Sequence[int]
    ) -> Integers:
        """For each query the member to ask next, or :data:`STOP`; shape (n,).

        Parameters
        ----------
        number : int
            The set of members heard so far; from the empty set it never stops.
        setting : int
            The setting of the dial.
        standing : Standing
            Where the queries stand.
        allowed : sequence of int
            The members that may be asked, none of them heard; empty means stop.
        """
        import numpy as np

        count = len(standing.best)
        safe = self.safe(setting)
        if safe is not None and number == 0 and safe in allowed:
            return np.full(count, safe)
        if not allowed or (safe is not None and number >> safe & 1):
            return np.full(count, STOP)
        places = np.array(allowed)
        table = (columns(standing) - self._mean[number]) / self._scale[number]
        weights = self._weights[number, setting][:, places]
        gains = table @ weights[1:] + weights[0]
        net = gains - standing.costs[:, places] / self.prices[setting]
        best = net.argmax(axis=1)
        going = net[np.arange(len(net)), best] > 0.0
        if number == 0:
            going[:] = True
        chosen: Integers = np.where(going, places[best], STOP)
        return chosen

    def expect(self, setting: int, standing: Standing) -> Array:
        """Before anyone is asked: expected confidence and US dollars, shape (n, 2)."""
        table = (columns(standing) - self._mean[0]) / self._scale[0]
        weights = self._outlook[setting]
        expected: Array = table @ weights[1:] + weights[0]
        return expected


def columns(standing: Standing) -> Array:
    """What the estimates are linear in, shape (n, d)."""
    import numpy as np

    if len(standing.best) == 1:
        return np.array([_column(standing)])
    best, second, priors = standing.best, standing.second, standing.priors
    bounded = np.clip(best, 0.005, 0.995)
    odds = np.log(bounded / (1.0 - bounded))
    ease = priors.mean(axis=1)
    shape = [
        best, odds, best**2, best**3, second, best * second,
        np.maximum(best - 0.5, 0.0), np.maximum(best - 0.8, 0.0),
        best * ease, odds * ease, ease, ease**2,
    ]  # fmt: skip
    return np.column_stack([*shape, priors, priors**2])


def _column(standing: Standing) -> list[float]:
    """The columns of one query: arrays of one number each would cost ten times as much."""
    best, second = float(standing.best[0]), float(standing.second[0])
    priors = standing.priors[0].tolist()
    bounded = min(max(best, 0.005), 0.995)
    odds = math.log(bounded / (1.0 - bounded))
    ease = sum(priors) / len(priors)
    return [
        best, odds, best**2, best**3, second, best * second,
        max(best - 0.5, 0.0), max(best - 0.8, 0.0), best * ease, odds * ease, ease, ease**2,
        *priors, *(prior**2 for prior in priors),
    ]  # fmt: skip
