"""Stage 5: carries a plan out."""

from __future__ import annotations

from emafusion.execute.ledger import Ledger, Limits
from emafusion.execute.parts import Answered, Done, advancing, answered, joined
from emafusion.execute.settle import Settled, origins, settle
from emafusion.execute.speech import speech, write
from emafusion.execute.strategies import carry_out
from emafusion.execute.trial import Ask, SecondTier, Trial

__all__ = [
    "Answered",
    "Ask",
    "Done",
    "Ledger",
    "Limits",
    "SecondTier",
    "Settled",
    "Trial",
    "advancing",
    "answered",
    "carry_out",
    "joined",
    "origins",
    "settle",
    "speech",
    "write",
]
