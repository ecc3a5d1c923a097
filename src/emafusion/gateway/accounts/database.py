"""What the accounts need of a database, and a thread to ask it from.

Knows transactions and which migrations are the accounts'; no table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from emafusion.databases import Connection, is_address, scripts
from emafusion.databases import migrate as bring_up

T = TypeVar("T")


class Database(Protocol):
    """Runs transactions, one at a time; connects again by itself after a failure."""

    def transact(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction, committed; tables are made where missing.

        Raises :class:`StoreError` where the database does not answer; whether a transaction that
        failed in its last moment was committed is not known.
        """
        ...

    def read(self, work: Callable[[Connection], T]) -> T:
        """As :meth:`transact`, where `work` changes nothing: however long, nobody waits for it."""
        ...

    def close(self) -> None:
        """Give back what is open."""
        ...


class Line:
    """A thread of its own to ask `database` from, so that no event loop waits for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="emafusion-accounts")

    async def ask(self, work: Callable[[Connection], T]) -> T:
        """:meth:`Database.transact`; cancelling the wait does not stop the work."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._database.transact, work)

    async def aclose(self) -> None:
        """Finish what is being asked, then close the database."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._database.close)
        self._thread.shutdown(wait=False)


def database(place: str) -> Database:
    """The database at `place`: a ``postgresql://`` address, else SQLite's file.

    Raises
    ------
    MissingExtraError
        `place` is PostgreSQL's and its driver is not installed.
    """
    if is_address(place):
        from emafusion.gateway.accounts.postgres import PostgresDatabase

        return PostgresDatabase(place)
    from emafusion.gateway.accounts.sqlite import SQLiteDatabase

    return SQLiteDatabase(Path(place).expanduser())


def migrations() -> tuple[str, ...]:
    """The migrations' SQL in order; number ``n`` is at ``n - 1``."""
    return scripts("emafusion.gateway.accounts")


def migrate(connection: Connection, where: str) -> None:
    """Bring the accounts' tables up to date, in the transaction that is open.

    Raises :class:`StoreError` where a newer emafusion made them.
    """
    bring_up(connection, migrations(), table="emf_schema", what=f"the accounts in {where}")
