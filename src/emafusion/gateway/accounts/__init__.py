"""Keys, teams and budgets: who may come in, and what they may spend.

:class:`Accounts` is all of it for one process, :class:`Registry` is for whoever changes it.
"""

from __future__ import annotations

from emafusion.gateway.accounts.accounts import Accounts
from emafusion.gateway.accounts.database import database
from emafusion.gateway.accounts.directory import Rates
from emafusion.gateway.accounts.registry import Registry
from emafusion.gateway.accounts.terms import Budget, Key, Spending, Team, Terms

__all__ = [
    "Accounts",
    "Budget",
    "Key",
    "Rates",
    "Registry",
    "Spending",
    "Team",
    "Terms",
    "database",
]
