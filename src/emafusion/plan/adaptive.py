"""One request's share of the fitted look-ahead: where to begin, what to expect, whom to ask next.

Knows how a forecast and a verdict become the look-ahead's columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emafusion.plan.candidates import Candidate, alone
from emafusion.plan.lookahead import STOP, Lookahead, Standing
from emafusion.types import Adaptive, Assessment, Context, Estimate, Forecast, replace

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
    usd_per_second : float
        What a second of waiting is worth: it is counted with what a call costs.
    """

    def __init__(
        self, lookahead: Lookahead, pool: Sequence[str] = (), *, usd_per_second: float = 0.0
    ) -> None:
        self._usd_per_second = usd_per_second
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
            self._standing(forecast, best=best, second=second),
            allowed=places,
        )[0]
        return None if choice == STOP else members[int(choice)]

    def _standing(self, forecast: Forecast, *, best: float, second: float) -> Standing:
        """Where one request stands, waiting counted as money."""
        members = self.lookahead.members
        found = standing(members, forecast, best=best, second=second)
        if not self._usd_per_second:
            return found
        seconds = [0.0 if (e := forecast.get(name)) is None else e.latency_s for name in members]
        return replace(found, costs=found.costs + self._usd_per_second * _row(*seconds))

    def candidate(
        self, estimates: Sequence[Estimate], prefer: float, *, context: Context | None = None
    ) -> Candidate | None:
        """The adaptive plan for a forecast, or the one model that the guard keeps to.

        ``None`` where fewer than two members may be asked.
        """
        members = self.lookahead.members
        named = {one.model: one for one in estimates}
        pool = tuple(name for name in members if name in named)
        if len(pool) < 2:
            return None
        setting = self.lookahead.setting(prefer)
        safe = self.lookahead.safe(setting)
        if safe is not None and members[safe] in pool:
            return alone(named[members[safe]])
        forecast = Forecast(estimates=tuple(estimates), context=context)
        now = self._standing(forecast, best=0.0, second=0.0)
        places = [members.index(name) for name in pool]
        start = members[int(self.lookahead.decide(0, setting, now, allowed=places)[0])]
        quality, cost = self.lookahead.expect(setting, now)[0].tolist()
        first = named[start]
        return Candidate(
            arrangement=Adaptive(pool=pool, start=start, setting=setting),
            quality=min(max(quality, 0.0), 1.0),
            cost_usd=max(cost, first.cost_usd),
            latency_s=_calls(cost, [named[name] for name in pool])
            * math.fsum(named[name].latency_s for name in pool)
            / len(pool),
            worst_usd=first.cost_usd,
            worst_s=first.latency_s,
        )


def _calls(cost: float, estimates: Sequence[Estimate]) -> float:
    """About how many calls so much money is, at the models' mean price; from one to all."""
    mean = math.fsum(estimate.cost_usd for estimate in estimates) / len(estimates)
    return min(max(cost / mean, 1.0), float(len(estimates))) if mean > 0.0 else 1.0


def standing(members: Sequence[str], forecast: Forecast, *, best: float, second: float) -> Standing:
    """Where one request stands; a member without an estimate counts as the pool's average."""
    import numpy as np

    named = {estimate.model: estimate for estimate in forecast.estimates}
    found = [named.get(name) for name in members]
    priors: list[float | None] = [None if e is None else e.log_odds for e in found]
    known = [prior for prior in priors if prior is not None]
    typical = math.fsum(known) / len(known) if known else 0.0
    typical = forecast.context.mean if forecast.context is not None else typical
    filled = [typical if prior is None else prior for prior in priors]
    costs = [0.0 if e is None else e.cost_usd for e in found]
    return Standing(
        best=_row(best)[0],
        second=_row(second)[0],
        priors=_row(*filled),
        costs=np.array([costs]),
    )


def _row(*values: float) -> NDArray[np.float64]:
    import numpy as np

    return np.array([values], dtype=np.float64)
