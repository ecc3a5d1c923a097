"""Better with every answer (DESIGN §2.6): estimates, exploration, drift, and whose word counts.

State that a serving process keeps and a store may keep for it; none of it knows either.
"""

from __future__ import annotations

from emafusion.learn.online.ballots import Ballot, Ballots, Bounds
from emafusion.learn.online.drift import Alarm, Habits, Recovery, Signal, Watch
from emafusion.learn.online.estimates import Estimates
from emafusion.learn.online.exploration import Choice, Exploration, Spent, Terms
from emafusion.learn.online.heads import Doubt, Heads
from emafusion.learn.online.queries import Reference, Stray
from emafusion.learn.online.witnesses import Daily, Told, Witnesses, began

__all__ = [
    "Alarm",
    "Ballot",
    "Ballots",
    "Bounds",
    "Choice",
    "Daily",
    "Doubt",
    "Estimates",
    "Exploration",
    "Habits",
    "Heads",
    "Recovery",
    "Reference",
    "Signal",
    "Spent",
    "Stray",
    "Terms",
    "Told",
    "Watch",
    "Witnesses",
    "began",
]
