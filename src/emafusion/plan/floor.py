"""A request that demands a least quality: as much more is spent as its promise takes.

Knows the dial's ends, and asks another planner at each setting. The other planner knows the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from emafusion.errors import BudgetError
from emafusion.plan.planner import DEFAULT_PREFER
from emafusion.protocols import Planner
from emafusion.types import Forecast, Model, Plan, Request, replace

STEPS: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Settings that are tried, from the cheapest up; few, since each is a plan of its own."""


class FloorPlanner:
    """Plans as `planner` does, at the cheapest setting whose plan promises ``min_quality``.

    Where none does, the plan that promises most is taken, and its reason says so: the answer's
    confidence tells afterwards what became of it.
    """

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    def plan(self, request: Request, forecast: Forecast, models: Sequence[Model]) -> Plan:
        """The best plan for `request` among `models`; raises as the planner does."""
        found = self._planner.plan(request, forecast, models)
        floor = request.knobs.min_quality
        if floor is None or found.quality >= floor:
            return found
        most = found
        asked = DEFAULT_PREFER if request.knobs.prefer is None else request.knobs.prefer
        for prefer in STEPS:
            if prefer <= asked:
                continue
            bolder = replace(request, knobs=replace(request.knobs, prefer=prefer))
            try:
                found = self._planner.plan(bolder, forecast, models)
            except BudgetError:
                break
            if found.quality >= floor:
                return replace(found, reason=f"{found.reason}; for a quality of {floor:g}")
            most = max(most, found, key=lambda plan: plan.quality)
        return replace(most, reason=f"{most.reason}; a quality of {floor:g} cannot be promised")
