"""The accounts in PostgreSQL, for the processes of many machines.

Knows the driver, its deadlines and its errors; an error's text never holds the address, in which
a password may stand.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import msgspec

from emafusion.errors import ConfigError, MissingExtraError, StoreError
from emafusion.gateway.accounts.database import Cell, Connection, migrate, migrations

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

T = TypeVar("T")

CONNECT_TIMEOUT_S = 3
STATEMENT_TIMEOUT_S = 4
"""A database that accepts and never answers must not hold up what waits behind it for longer."""
MIGRATING = 0x656D66
"""The lock that lets one process at a time change tables."""


class PostgresDatabase:
    """Transactions at `address`, a ``postgresql://`` URL.

    Raises :class:`MissingExtraError` where the driver is not installed, and
    :class:`~emafusion.errors.ConfigError` where `address` is no address.
    """

    def __init__(self, address: str) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise MissingExtraError("psycopg", "postgres") from error
        try:
            psycopg.conninfo.conninfo_to_dict(address)
        except psycopg.ProgrammingError as error:
            raise ConfigError(
                "the accounts' PostgreSQL address cannot be read; it has the form "
                "postgresql://USER:PASSWORD@HOST/DATABASE"
            ) from error
        self._address = address
        self._open: psycopg.Connection[TupleRow] | None = None

    def transact(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction, committed; see :class:`Database`."""
        import psycopg

        try:
            connection = self._connected()
            with connection.transaction():
                return work(_Connection(connection))
        except psycopg.Error as error:
            self.close()
            raise StoreError(f"cannot use the accounts in PostgreSQL: {_reason(error)}") from error

    def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        import psycopg

        if self._open is not None:
            with suppress(psycopg.Error):
                self._open.close()
        self._open = None

    def _connected(self) -> psycopg.Connection[TupleRow]:
        import psycopg

        if self._open is not None and not self._open.closed:
            return self._open
        connection = psycopg.connect(
            self._address,
            autocommit=True,
            cursor_factory=psycopg.RawCursor,
            application_name="emafusion",
            connect_timeout=CONNECT_TIMEOUT_S,
            options=f"-c statement_timeout={STATEMENT_TIMEOUT_S * 1000}",
            keepalives_idle=STATEMENT_TIMEOUT_S,
            tcp_user_timeout=(STATEMENT_TIMEOUT_S + 1) * 1000,
        )
        try:
            with connection.transaction():
                connection.execute(f"SELECT pg_advisory_xact_lock({MIGRATING})")
                migrate(_Connection(connection), migrations(), "PostgreSQL")
        except BaseException:
            connection.close()
            raise
        self._open = connection
        return connection


class _Connection:
    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def rows(self, kind: type[T], sql: str, *values: Cell) -> list[T]:
        found = self._connection.execute(sql.encode(), values).fetchall()
        return [msgspec.convert(row, kind) for row in found]

    def run(self, sql: str, *values: Cell) -> int:
        return self._connection.execute(sql.encode(), values or None).rowcount


def _reason(error: psycopg.Error) -> str:
    """The server's own first line where it spoke, else the kind of failure."""
    told = error.diag.message_primary
    return told or f"it does not answer ({type(error).__name__})"
