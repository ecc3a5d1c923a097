"""Now and then another model than the best-looking one, to learn from its answer.

Knows which requests and models may be explored with; how often and at what cost is
:mod:`emafusion.learn.online`'s. One account for the process, whichever policies serve.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emafusion.learn.online import Choice, Exploration, Spent, Terms
from emafusion.plan.eligible import eligible
from emafusion.types import Adaptive, Forecast, Knobs, Model, Plan, Request, Single, replace

if TYPE_CHECKING:
    import numpy as np


class BoundedExplorer:
    """Departs from single and adaptive plans, within bounds on how often and at what cost.

    A single plan asks another model; an adaptive one begins with another model of its own, and goes
    on as ever. Never explored are requests for private models, those whose caller forbids it, names
    models or an arrangement, and models that the request's own limits rule out, the least quality
    that it asks for among them.

    Parameters
    ----------
    terms : Terms
        The bounds.
    usual : Knobs
        The policy's own settings: what a caller did not ask for.
    random : numpy Generator, optional
    """

    def __init__(
        self, terms: Terms, *, usual: Knobs, random: np.random.Generator | None = None
    ) -> None:
        import numpy as np

        self._usual = usual
        self._random = np.random.default_rng() if random is None else random
        self._account = Exploration(terms)
        # Requests of several event loops share one account.
        self._lock = threading.Lock()

    @property
    def terms(self) -> Terms:
        """The bounds."""
        return self._account.terms

    @property
    def spent(self) -> Spent:
        """What has been explored so far."""
        return self._account.spent

    def explore(
        self, request: Request, forecast: Forecast, plan: Plan, *, models: Sequence[Model]
    ) -> Plan:
        """`plan`, or one that asks another of `models` first, with the chance that it had."""
        if not isinstance(plan.arrangement, Single | Adaptive):
            return plan
        counted = _counted(forecast, plan)
        allowed = self._allowed(request, counted, plan, models=models)
        with self._lock:
            choice = self._account.choose(
                counted,
                plan.arrangement.models[0],
                allowed=allowed,
                usd_per_quality=plan.usd_per_quality,
                random=self._random,
            )
        if not choice.explored:
            return replace(plan, propensity=choice.propensity)
        return _departed(plan, choice, counted)

    def _allowed(
        self, request: Request, counted: Forecast, plan: Plan, *, models: Sequence[Model]
    ) -> list[str]:
        """Whom else `request` may be sent to."""
        knobs = request.knobs
        if knobs.explore is False or knobs.private:
            return []
        if knobs.models != self._usual.models or knobs.arrangement != self._usual.arrangement:
            return []
        if isinstance(plan.arrangement, Adaptive):
            names = list(plan.arrangement.pool)
        else:
            names = [model.name for model in eligible(request, models)]
        told = [one for one in map(counted.get, names) if one is not None]
        cost, latency, least = knobs.max_cost_usd, knobs.max_latency_s, knobs.min_quality
        return [
            one.model
            for one in told
            if (cost is None or one.cost_usd <= cost)
            and (latency is None or one.latency_s <= latency)
            and (least is None or one.quality >= least)
        ]


def _counted(forecast: Forecast, plan: Plan) -> Forecast:
    """`forecast` with what it costs to begin with each model.

    An adaptive plan that begins elsewhere may yet do all that it would have done, and is counted as
    if it did: the extra cost is the whole of the explored call.
    """
    if isinstance(plan.arrangement, Single):
        return forecast
    start = plan.arrangement.models[0]
    estimates = tuple(
        replace(one, cost_usd=plan.cost_usd, latency_s=plan.latency_s)
        if one.model == start
        else replace(
            one,
            cost_usd=plan.cost_usd + one.cost_usd,
            latency_s=plan.latency_s + one.latency_s,
        )
        for one in forecast.estimates
    )
    return replace(forecast, estimates=estimates)


def _departed(plan: Plan, choice: Choice, counted: Forecast) -> Plan:
    """`plan` with the model of `choice` in place of the first one."""
    first, told = plan.arrangement.models[0], counted[choice.model]
    found = replace(
        plan,
        cost_usd=told.cost_usd,
        latency_s=told.latency_s,
        propensity=choice.propensity,
        explored=True,
        reason=f"explored {choice.model} in place of {first}, a chance of "
        f"{choice.propensity:.4f}; {plan.reason}",
    )
    if isinstance(plan.arrangement, Adaptive):
        return replace(found, arrangement=replace(plan.arrangement, start=choice.model))
    spare = [name for name in plan.fallbacks if name not in (first, choice.model)]
    return replace(
        found,
        arrangement=Single(model=choice.model),
        quality=told.quality,
        fallbacks=(first, *spare, choice.model),
    )
