"""Stage 7: what happened to every request, why, and what it cost.

:class:`Store` keeps outcomes in SQLite or PostgreSQL and acknowledges one only once it is durable;
:class:`Memory` keeps the last few for as long as the process lives. :class:`Retention` deletes
what is too old.
"""

from __future__ import annotations

from emafusion.record.memory import Memory
from emafusion.record.retention import Retention
from emafusion.record.store import Store
from emafusion.record.totals import ModelTotals, Totals

__all__ = ["Memory", "ModelTotals", "Retention", "Store", "Totals"]
