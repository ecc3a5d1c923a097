"""One request's share of the fitted look-ahead: where to begin, what to expect, whom to ask next.

Knows how a forecast and a verdict become the look-ahead's columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emafusion.plan.candidates import Candidate
from emafusion.plan.lookahead import STOP, Lookahead, Standing
from emafusion.types import Adaptive, Assessment, Estimate, Forecast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class FittedRule:
    """The look-ahead, applied to one request at a time (the engine's ``rule``).

    Parameters
    ----------
    lookahead : Lookahead
        The fitted rule.
    pool : sequence of str, optional
        Every model of the fit, those that earned no place in the rule among them.
    """

    def __init__(self, lookahead: Lookahead, pool: Sequence[str] = ()) -> None:
        self.lookahead = lookahead
        self.pool = frozenset((*pool, *lookahead.members))

    def next(
        self,
        plan: Adaptive,
        forecast: Forecast,
        assessment: Assessment | None,
        *,
        heard: Sequence[str],
        allowed: Sequence[str],
    ) -> str | None:
        """The model of `allowed` to ask next, ``None`` to accept what there is."""
        members = self.lookahead.members
        spoke = [name for name in heard if name in members]
        best = assessment.confidence if assessment is not None else 0.0
        second = assessment.second if assessment is not None else 0.0
        places = [members.index(name) for name in allowed if name in members]
        choice = self.lookahead.decide(
            self.lookahead.number(spoke),
            plan.setting,
            standing(members, forecast, best=best, second=second),
            allowed=places,
        )[0]
        return None if choice == STOP else members[int(choice)]

    def candidate(self, estimates: Sequence[Estimate], prefer: float) -> Candidate | None:
        """The adaptive plan for a forecast; ``None`` where fewer than two members may be asked."""
        members = self.lookahead.members
        named = {one.model: one for one in estimates}
        pool = tuple(name for name in members if name in named)
        if len(pool) < 2:
            return None
        setting = self.lookahead.setting(prefer)
        forecast = Forecast(estimates=tuple(estimates))
        now = standing(members, forecast, best=0.0, second=0.0)
        places = [members.index(name) for name in pool]
        start = members[int(self.lookahead.decide(0, setting, now, allowed=places)[0])]
        quality, cost = self.lookahead.expect(setting, now)[0].tolist()
        first = named[start]
        return Candidate(
            arrangement=Adaptive(pool=pool, start=start, setting=setting),
            quality=min(max(quality, 0.0), 1.0),
            cost_usd=max(cost, first.cost_usd),
            latency_s=first.latency_s * max(cost / max(first.cost_usd, 1e-12), 1.0) ** 0.5,
            worst_usd=first.cost_usd,
            worst_s=first.latency_s,
        )


def standing(members: Sequence[str], forecast: Forecast, *, best: float, second: float) -> Standing:
    """Where one request stands; a member without an estimate counts as an average one."""
    import numpy as np

    found = [forecast.get(name) for name in members]
    priors: list[float | None] = [None if e is None else log_odds(e.quality) for e in found]
    known = [prior for prior in priors if prior is not None]
    typical = math.fsum(known) / len(known) if known else 0.0
    filled = [typical if prior is None else prior for prior in priors]
    costs = [0.0 if e is None else e.cost_usd for e in found]
    return Standing(
        best=_row(best)[0],
        second=_row(second)[0],
        priors=_row(*filled),
        costs=np.array([costs]),
    )


def log_odds(quality: float) -> float:
    """ln(p / (1 − p)), p within [0.005, 0.995] as the fit has it."""
    bounded = min(max(quality, 0.005), 0.995)
    return math.log(bounded / (1.0 - bounded))


def _row(*values: float) -> NDArray[np.float64]:
    import numpy as np

    return np.array([values], dtype=np.float64)
