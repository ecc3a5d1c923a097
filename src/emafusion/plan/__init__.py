"""Stage 4: which models, in which arrangement, under which limits."""

from __future__ import annotations

from emafusion.plan import composing
from emafusion.plan.adaptive import FittedRule
from emafusion.plan.dial import Dial
from emafusion.plan.lookahead import Lookahead
from emafusion.plan.outlook import Signals
from emafusion.plan.planner import UtilityPlanner

__all__ = ["Dial", "FittedRule", "Lookahead", "Signals", "UtilityPlanner", "composing"]
