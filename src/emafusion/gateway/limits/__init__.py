"""How much is let in: rates by caller, and how many requests are under way at once.

Knows callers and what requests spend. Knows no key, no budget and no model; what is spent in all is
bounded by budgets, how fast it is spent is bounded here.
"""

from __future__ import annotations

from emafusion.gateway.limits.gate import RateGate
from emafusion.gateway.limits.rates import Allowance, Rate
from emafusion.gateway.limits.shared import SharedBuckets
from emafusion.gateway.limits.shedder import Shedder
from emafusion.gateway.limits.standby import Standby
from emafusion.gateway.limits.storage import Buckets, LocalBuckets

__all__ = [
    "Allowance",
    "Buckets",
    "LocalBuckets",
    "Rate",
    "RateGate",
    "SharedBuckets",
    "Shedder",
    "Standby",
]
