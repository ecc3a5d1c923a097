"""Stage 5: carries a plan out."""

from __future__ import annotations

from emafusion.execute.ledger import Ledger, Limits
from emafusion.execute.settle import Settled, settle
from emafusion.execute.strategies import carry_out
from emafusion.execute.trial import Ask, Trial

__all__ = ["Ask", "Ledger", "Limits", "Settled", "Trial", "carry_out", "settle"]
