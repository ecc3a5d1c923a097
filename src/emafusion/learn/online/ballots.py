"""How much one caller's votes count: a little each, and never more than a bound in all.

Knows callers, decisions and models by their names. Does not know keys, clocks or stores: who asked
what is told, and whoever has a clock opens a new window.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from statistics import median

from msgspec import Struct

from emafusion.errors import ConfigError

EVERY = 50
"""Votes after which the usual leaning of callers is taken anew."""


class Ballot(Struct, frozen=True, kw_only=True):
    """One vote: `caller` says that the answer of `model` in `decision` was worth `reward`.

    ``asker`` is the caller whose decision it was, as the record has it; ``None`` where there is no
    such decision, or where `model` did not answer it. ``expected`` is what the forecast expected.
    """

    caller: str
    asker: str | None
    decision: str
    model: str
    reward: float
    expected: float = 0.5


class Bounds(Struct, frozen=True, kw_only=True):
    """``votes``: the most that one caller's votes on one model weigh together in one window.

    ``remembered`` is how many decisions are known to be voted on. ``far`` is by how many median
    deviations a caller's votes may differ from the other callers' before they count for nothing,
    ``jury`` how many callers it takes to tell.
    """

    votes: float = 10.0
    remembered: int = 100_000
    far: float = 5.0
    jury: int = 5


class Ballots:
    """Weighs votes, one at a time.

    The n-th vote of a caller on a model weighs (1 − 1/k)^(n − 1) with k = ``bounds.votes``: all of
    them together weigh less than k, however many. A decision is voted on once, and by who asked.
    Callers whose votes lie far off those of all callers (by median and median absolute deviation of
    what their votes lie above the forecast) weigh nothing.
    """

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        if self.bounds.votes < 1.0:
            raise ConfigError(f"a caller's votes must weigh at least 1, not {self.bounds.votes!r}")
        self._cast: dict[tuple[str, str], int] = {}
        self._leaning: dict[str, tuple[int, float]] = {}
        self._done: OrderedDict[str, None] = OrderedDict()
        self._usual: tuple[float, float] | None = None
        self._told = 0

    def weigh(self, ballot: Ballot) -> float:
        """The weight in [0, 1] of `ballot`, which is hereby cast; 0 where it does not count."""
        if ballot.asker is None or ballot.asker != ballot.caller or ballot.decision in self._done:
            return 0.0
        self._done[ballot.decision] = None
        if len(self._done) > self.bounds.remembered:
            self._done.popitem(last=False)
        cast = self._cast.get((ballot.caller, ballot.model), 0)
        self._cast[ballot.caller, ballot.model] = cast + 1
        count, total = self._leaning.get(ballot.caller, (0, 0.0))
        self._leaning[ballot.caller] = (count + 1, total + ballot.reward - ballot.expected)
        if self._outlying(ballot.caller):
            return 0.0
        weight: float = (1.0 - 1.0 / self.bounds.votes) ** cast
        return weight

    def renew(self) -> None:
        """Open a new window, say at the end of a day: every caller may be heard again."""
        self._cast.clear()
        self._leaning.clear()
        self._usual = None

    def _outlying(self, caller: str) -> bool:
        """Whether `caller`'s votes lie far off those of all callers."""
        if len(self._leaning) <= self.bounds.jury:
            return False
        self._told += 1
        if self._usual is None or self._told % EVERY == 0:
            means = [total / count for count, total in self._leaning.values()]
            middle = median(means)
            self._usual = middle, median([abs(mean - middle) for mean in means])
        middle, deviation = self._usual
        count, total = self._leaning[caller]
        # A caller with few votes strays by luck: a vote's own spread is at most a half.
        luck = deviation + 0.5 / math.sqrt(count)
        return abs(total / count - middle) > self.bounds.far * luck


def rate_bound(strength: float, trials: Sequence[float], votes: float) -> float:
    """By how much votes of this weight can move the taxonomy router's rate of a cell.

    At each level, from the whole pool's down to the cell, with n outcomes there before the votes,
    |Δ| ≤ (w + κ|Δ of the level above|) / (n + κ).

    Parameters
    ----------
    strength : float
        κ.
    trials : sequence of float
        Outcomes of the model at each level, the whole first.
    votes : float
        w: :attr:`Bounds.votes` for each caller and window.
    """
    moved = 0.0
    for seen in trials:
        moved = min((votes + strength * moved) / (seen + strength), 1.0)
    return moved


def odds_bound(variance: float, widest: float, votes: float) -> float:
    """By how much votes of this weight can move the learned router's log-odds of a query z.

    |Δ log-odds(z)| ≤ w·√(v(z) v_max): v(z) is the belief's variance there before the votes, v_max
    the greatest at any query voted on. A vote moves it by weight·|zᵀSx|·|y − p|, where |y − p| ≤ 1,
    |zᵀSx| ≤ √(zᵀSz · xᵀSx), and no vote makes S greater. The heads have a part in common, so w is
    :attr:`Bounds.votes` for each caller, window and model voted on.
    """
    return float(votes * math.sqrt(variance * widest))
