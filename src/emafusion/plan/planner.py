"""One objective over all candidates: w·E[quality] − E[cost] − s·E[latency], under hard limits.

w is the price of quality that the dial sets; dividing by it gives DESIGN §2.3's form with λ = 1/w.
"""

from __future__ import annotations

from collections.abc import Sequence

from emafusion.errors import BudgetError, NoModelError
from emafusion.plan.adaptive import FittedRule
from emafusion.plan.candidates import Candidate, alone, candidates, chosen
from emafusion.plan.dial import Dial
from emafusion.plan.eligible import eligible, named
from emafusion.plan.judging import with_judge
from emafusion.plan.outlook import Signals
from emafusion.plan.parameters import one_voice
from emafusion.types import Estimate, Forecast, Model, Plan, Request, Single

DEFAULT_PREFER = 0.5
DEAREST = 1e9
"""US dollars for a unit of quality, beyond which cost is no object; a record holds no infinity."""


class UtilityPlanner:
    """Chooses the plan of highest expected utility among those the limits allow.

    Parameters
    ----------
    signals : Signals
        What is known of the pool's judging.
    dial : Dial
        From ``prefer`` to dollars per quality.
    rule : FittedRule, optional
        The fitted look-ahead; where a request leaves the arrangement to us, its plan is preferred
        to every other of the models it was fitted on.
    usd_per_second : float
        What a second of waiting is worth to the caller.
    """

    def __init__(
        self,
        signals: Signals | None = None,
        dial: Dial | None = None,
        *,
        rule: FittedRule | None = None,
        usd_per_second: float = 0.0,
    ) -> None:
        self._rule = rule
        self._signals = signals or Signals()
        self._dial = dial or Dial()
        self._usd_per_second = usd_per_second

    def plan(self, request: Request, forecast: Forecast, models: Sequence[Model]) -> Plan:
        """The best plan for `request` among `models`.

        Raises
        ------
        RequestError
            No model has the capabilities or the room; or a named model does not exist.
        BudgetError
            Every single model is expected to cost more than the limit, and none was named.
        """
        served = eligible(request, models)
        told = {estimate.model: estimate for estimate in forecast.estimates}
        estimates = [told[model.name] for model in served]
        dearest = max(estimate.cost_usd for estimate in estimates)
        prefer = DEFAULT_PREFER if request.knobs.prefer is None else request.knobs.prefer
        price = self._dial.usd_per_quality(prefer, dearest)
        arrangement = "single" if one_voice(request) else request.knobs.arrangement
        if arrangement == "auto":
            served_forecast = Forecast(estimates=tuple(estimates), context=forecast.context)
            fitted = self._fitted(request, served_forecast, prefer=prefer, price=price)
            if fitted is not None:
                return fitted
        plain = tuple(
            candidates(estimates, self._signals, usd_per_quality=price, arrangement=arrangement)
        )
        offered = plain
        if arrangement != "single":
            judged = with_judge(plain, served, self._signals, request=request, price=price)
            offered = (*plain, *judged)
        if not offered:
            raise NoModelError(
                f"no {arrangement} can be made of the permitted models: it takes two, and a "
                "cascade needs them at different prices",
                "arrangement",
            )
        # What the one model that was named costs is bounded as it is asked: there is no choice.
        within = offered if named(request) else _within(offered, request)
        if not within:
            raise _too_dear(estimates, request)
        best = _kept(within, request)
        if best is None:
            best = chosen(within, price, usd_per_second=self._usd_per_second)
        return self._plan(best, within, estimates=estimates, request=request, price=price)

    def _fitted(
        self, request: Request, forecast: Forecast, *, prefer: float, price: float
    ) -> Plan | None:
        """The look-ahead's plan, unless a model it does not know promises more for the money."""
        # At 0 only cost counts, and judging a draft to ask another only adds to it.
        if self._rule is None or prefer <= 0.0:
            return None
        members = self._rule.lookahead.members
        estimates, context = forecast.estimates, forecast.context
        within = _affordable(estimates, request)
        adaptive = self._rule.candidate(
            [e for e in within if e.model in members], prefer, context=context
        )
        if adaptive is None:
            return None
        strangers = [alone(e) for e in within if e.model not in self._rule.pool]
        best = chosen([adaptive, *strangers], price, usd_per_second=self._usd_per_second)
        return self._plan(
            best, [adaptive, *strangers], estimates=estimates, request=request, price=price
        )

    def _plan(
        self,
        best: Candidate,
        within: Sequence[Candidate],
        *,
        estimates: Sequence[Estimate],
        request: Request,
        price: float,
    ) -> Plan:
        spare = [e for e in estimates if e.model not in best.arrangement.models]
        spare.sort(key=lambda estimate: -estimate.quality)
        return Plan(
            arrangement=best.arrangement,
            quality=best.quality,
            cost_usd=best.cost_usd,
            latency_s=best.latency_s,
            fallbacks=_fallbacks(best, spare),
            max_cost_usd=request.knobs.max_cost_usd,
            max_latency_s=request.knobs.max_latency_s,
            usd_per_quality=min(price, DEAREST),
            reason=_reason(best, len(within)),
        )


def _within(offered: Sequence[Candidate], request: Request) -> list[Candidate]:
    """The candidates whose worst case keeps the limits; failing that, the fastest single ones."""
    cost, latency = request.knobs.max_cost_usd, request.knobs.max_latency_s
    affordable = [c for c in offered if cost is None or c.worst_usd <= cost]
    timely = [c for c in affordable if latency is None or c.worst_s <= latency]
    if timely or not affordable:
        return timely
    return [min(affordable, key=lambda candidate: candidate.worst_s)]


def _kept(within: Sequence[Candidate], request: Request) -> Candidate | None:
    """The model whose turn it still is, alone, if it is among the candidates."""
    if request.turn is None:
        return None
    alone = Single(model=request.turn.model)
    return next((one for one in within if one.arrangement == alone), None)


def _affordable(estimates: Sequence[Estimate], request: Request) -> list[Estimate]:
    """The estimates that alone keep the limits."""
    cost, latency = request.knobs.max_cost_usd, request.knobs.max_latency_s
    return [
        one
        for one in estimates
        if (cost is None or one.cost_usd <= cost) and (latency is None or one.latency_s <= latency)
    ]


def _fallbacks(best: Candidate, spare: Sequence[Estimate]) -> tuple[str, ...]:
    """Who answers when the plan's last model fails.

    Models outside the plan, best first, then those of the plan again, which may have recovered
    while others were asked. One that is alone is no fallback of its own.
    """
    models = best.arrangement.models
    again = reversed(models) if spare or len(models) > 1 else ()
    return (*(estimate.model for estimate in spare), *again)


def _too_dear(estimates: Sequence[Estimate], request: Request) -> BudgetError:
    cheapest = min(estimates, key=lambda estimate: estimate.cost_usd)
    return BudgetError(
        f"max_cost_usd={request.knobs.max_cost_usd:g} is below what the cheapest plan, asking "
        f"{cheapest.model!r}, is expected to cost (${cheapest.cost_usd:.6f}); raise the limit"
    )


def _reason(best: Candidate, compared: int) -> str:
    return (
        f"expected quality {best.quality:.2f} for ${best.cost_usd:.6f}, "
        f"the best of {compared} arrangements at this setting"
    )
