"""The record in PostgreSQL: for the processes of many machines.

Its tables are in a schema of their own, ``emafusion``, named as in SQLite's file. Knows the locks
that keep processes apart, and which of the server's errors pass.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from emafusion.databases import Connection, migrate, postgres, scripts
from emafusion.errors import StoreError
from emafusion.record.backends import AwayError, Synchronous, UnfitError

if TYPE_CHECKING:
    from emafusion.databases.punctual import Punctual as Opened

T = TypeVar("T")

SCHEMA = "emafusion"
LOCKS = 0x656D66
"""The first half of our advisory locks' numbers; the second is one of these:"""
WRITING, MIGRATING = 1, 2
READ_TIMEOUT_S = 30
"""Totals over a large record take longer than a write may."""
TABLES = ("decisions", "calls", "verdicts", "feedback")
KEPT = 2
"""How many readers' connections stay open."""

PASSING = ("08", "57", "25006", "25P03", "40", "53300", "55P03")
"""Beginnings of SQLSTATEs: of a server that is down, starts, steps down, is full or too slow."""
UNFIT = ("22", "23", "54")
"""Beginnings of SQLSTATEs: of values that no column or index takes."""


class PostgresBackend:
    """Transactions at `address`; see :class:`~emafusion.record.backends.Backend`.

    One process at a time writes: it takes an advisory lock before it draws numbers, and the server
    gives the lock back after the commit is seen. Whoever stops amid a transaction loses its session
    and with it the lock.
    """

    def __init__(self, address: str, *, synchronous: Synchronous) -> None:
        postgres.check(address, "the record")
        self.place = "PostgreSQL"
        self._address = address
        self._settings = {
            "search_path": SCHEMA,
            "synchronous_commit": "on" if synchronous == "full" else "off",
            "idle_in_transaction_session_timeout": postgres.STATEMENT_TIMEOUT_S * 1000,
        }
        self._open: Opened | None = None
        self._idle: list[Opened] = []
        self._keep = KEPT

    def transact(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction, durable."""

        def alone(connection: Connection) -> T:
            connection.rows(tuple[str], f"SELECT pg_advisory_xact_lock({LOCKS}, {WRITING})::text")
            return work(connection)

        if self._open is None:
            self._open = self._connect(postgres.STATEMENT_TIMEOUT_S)
        try:
            return _run(self._open, alone)
        except UnfitError:
            raise
        except StoreError:
            self.release()
            raise

    def visit(self, work: Callable[[Connection], T], *, timeout_s: int = READ_TIMEOUT_S) -> T:
        """The result of `work` on a connection that nobody else uses meanwhile.

        A second after `timeout_s` a server that says nothing is given up.
        """
        idle = self._kept()
        if idle is not None:
            idle.within_s = timeout_s + 1
            with suppress(AwayError):  # it broke while nobody used it
                return self._visit(idle, work)
        return self._visit(self._connect(READ_TIMEOUT_S), work)

    def _kept(self) -> Opened | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _visit(self, connection: Opened, work: Callable[[Connection], T]) -> T:
        try:
            result = _run(connection, work)
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < self._keep:
            self._idle.append(connection)
        else:
            connection.close()
        return result

    def probe(self) -> None:
        """Write a row, unchanged: what a standby or a full disk would refuse."""
        self.visit(
            lambda connection: connection.run("UPDATE schema_version SET applied = applied"),
            timeout_s=postgres.STATEMENT_TIMEOUT_S,
        )

    def scrub(self) -> None:
        """Free the room of deleted rows, which the server may write over from then on.

        Nobody waits for it. What the rows left in pages, in the write-ahead log and in backups is
        the server's to keep; ``VACUUM FULL`` writes the pages anew, and lets nobody record.
        """
        connection = self._connect(READ_TIMEOUT_S)
        try:
            _alone(connection, "SET statement_timeout = 0")
            connection.within_s = None
            for table in TABLES:
                _alone(connection, f"VACUUM {table}")
        finally:
            connection.close()

    def settle(self) -> bool:
        """Nothing: the server's autovacuum does it in its time."""
        return True

    def release(self) -> None:
        """Close the writer's connection; the server rolls back what is open."""
        if self._open is not None:
            self._open.close()
        self._open = None

    def close(self) -> None:
        """Close the readers' connections, and those to come after each use."""
        self._keep = 0
        while self._idle:
            self._idle.pop().close()

    def _connect(self, timeout_s: int) -> Opened:
        import psycopg

        try:
            connection = postgres.connect(
                self._address, timeout_s=timeout_s, settings=self._settings
            )
        except psycopg.Error as error:
            raise _failure(error) from error
        try:
            if not _run(connection, _current):
                _run(connection, _migrate)
        except BaseException:
            connection.close()
            raise
        return connection


def _run(connection: Opened, work: Callable[[Connection], T]) -> T:
    import psycopg

    try:
        with connection.transaction():
            return work(postgres.Transaction(connection))
    except (psycopg.Error, UnicodeError, OverflowError) as error:
        raise _failure(error) from error


def _alone(connection: Opened, sql: str) -> None:
    """Run `sql`, which the server takes in no transaction."""
    import psycopg

    try:
        connection.execute(sql.encode())
    except psycopg.Error as error:
        raise _failure(error) from error


def _failure(error: Exception) -> StoreError:
    """What `error` means to whoever records."""
    import psycopg

    if not isinstance(error, psycopg.Error):
        return UnfitError(f"this cannot be recorded: {type(error).__name__}: {error}")
    state = error.sqlstate or ""
    # Without a state the driver itself spoke: of a value, or of a connection that is none.
    if state.startswith(UNFIT) or (not state and isinstance(error, psycopg.ProgrammingError)):
        told = f"{type(error).__name__}: {postgres.reason(error)}"
        return UnfitError(f"this cannot be recorded: {told}")
    told = f"cannot use the record in PostgreSQL: {postgres.reason(error)}"
    return AwayError(told) if not state or state.startswith(PASSING) else StoreError(told)


def _migrations() -> tuple[str, ...]:
    return scripts("emafusion.record", "migrations/postgres")


def _current(connection: Connection) -> bool:
    """Whether the tables are as this version knows them; who may only read can ask that too."""
    [(table,)] = connection.rows(tuple[str | None], "SELECT to_regclass('schema_version')::text")
    if table is None:
        return False
    newest = connection.rows(tuple[int | None], "SELECT max(version) FROM schema_version")
    return newest == [(len(_migrations()),)]


def _migrate(connection: Connection) -> None:
    """Make the schema and bring its tables up to date, one process at a time."""
    connection.rows(tuple[str], f"SELECT pg_advisory_xact_lock({LOCKS}, {MIGRATING})::text")
    [(schema,)] = connection.rows(tuple[str | None], f"SELECT to_regnamespace('{SCHEMA}')::text")
    if schema is None:
        connection.run(f"CREATE SCHEMA {SCHEMA}")
    migrate(connection, _migrations(), table="schema_version", what="the record in PostgreSQL")
