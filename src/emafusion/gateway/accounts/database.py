"""What the accounts need of a database, and a thread to ask it from.

Knows transactions and migrations; no table. SQL is written once, with ``$1`` for the first value,
and runs on SQLite and PostgreSQL alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Protocol, TypeVar

from emafusion.errors import StoreError

T = TypeVar("T")
Cell = str | int | float | None

POSTGRES = ("postgres://", "postgresql://")


class Connection(Protocol):
    """A transaction that is open."""

    def rows(self, kind: type[T], sql: str, *values: Cell) -> list[T]:
        """What `sql` returns, each row as a `kind`."""
        ...

    def run(self, sql: str, *values: Cell) -> int:
        """How many rows `sql` changed."""
        ...


class Database(Protocol):
    """Runs transactions, one at a time; connects again by itself after a failure."""

    def transact(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction, committed; tables are made where missing.

        Raises :class:`StoreError` where the database does not answer; whether a transaction that
        failed in its last moment was committed is not known.
        """
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
    if place.startswith(POSTGRES):
        from emafusion.gateway.accounts.postgres import PostgresDatabase

        return PostgresDatabase(place)
    from emafusion.gateway.accounts.sqlite import SQLiteDatabase

    return SQLiteDatabase(Path(place).expanduser())


@cache
def migrations() -> tuple[str, ...]:
    """The migrations' SQL in order; number ``n`` is at ``n - 1``."""
    folder = files("emafusion.gateway.accounts") / "migrations"
    scripts = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return tuple(script.read_text(encoding="utf-8") for script in scripts)


def migrate(connection: Connection, scripts: tuple[str, ...], where: str) -> None:
    """Run those of `scripts` that the database has not had, in the transaction that is open.

    Raises :class:`StoreError` where a newer emafusion made the tables.
    """
    connection.run(
        "CREATE TABLE IF NOT EXISTS emf_schema (version INTEGER PRIMARY KEY, applied TEXT NOT NULL)"
    )
    [(had,)] = connection.rows(tuple[int], "SELECT coalesce(max(version), 0) FROM emf_schema")
    if had > len(scripts):
        raise StoreError(
            f"cannot use the accounts in {where}: a newer emafusion made them (schema {had}, this "
            f"one knows {len(scripts)}); upgrade emafusion"
        )
    for number, script in enumerate(scripts[had:], start=had + 1):
        for statement in filter(str.strip, script.split(";\n")):
            connection.run(statement)
        connection.run(
            "INSERT INTO emf_schema (version, applied)"
            " VALUES ($1, CAST(CURRENT_TIMESTAMP AS TEXT))",
            number,
        )
