"""SQLite and PostgreSQL behind one face: transactions, values and the tables' versions.

Knows drivers, not tables. SQL is written once, with ``$1`` for the first value, and runs on both.
"""

from __future__ import annotations

from emafusion.databases.connection import Cell, Connection, is_address
from emafusion.databases.migrations import migrate, scripts

__all__ = ["Cell", "Connection", "is_address", "migrate", "scripts"]
