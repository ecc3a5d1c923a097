"""The accounts in PostgreSQL, for the processes of many machines.

Knows when to connect again; the driver is :mod:`emafusion.databases.postgres`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from emafusion.databases import Connection, postgres
from emafusion.errors import StoreError
from emafusion.gateway.accounts.database import migrate

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

T = TypeVar("T")

MIGRATING = 0x656D66
"""The lock that lets one process at a time change tables."""
SETTLE = """
SELECT set_config('search_path', coalesce(
    (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = to_regclass('emf_schema')),
    quote_ident(current_schema())), false)
"""
"""Stay where the tables are: a schema of the role's own name, made since, would come first."""


class PostgresDatabase:
    """Transactions at `address`, a ``postgresql://`` URL.

    Raises :class:`MissingExtraError` where the driver is not installed, and
    :class:`~emafusion.errors.ConfigError` where `address` is no address.
    """

    def __init__(self, address: str) -> None:
        postgres.check(address, "the accounts")
        self._address = address
        self._open: psycopg.Connection[TupleRow] | None = None

    def transact(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction, committed; see :class:`Database`."""
        import psycopg

        try:
            connection = self._connected()
            with connection.transaction():
                return work(postgres.Transaction(connection))
        except psycopg.Error as error:
            self.close()
            told = f"cannot use the accounts in PostgreSQL: {postgres.reason(error)}"
            raise StoreError(told) from error

    def read(self, work: Callable[[Connection], T]) -> T:
        """As :meth:`transact`; here readers hold up nobody as it is."""
        return self.transact(work)

    def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        import psycopg

        if self._open is not None:
            with suppress(psycopg.Error):
                self._open.close()
        self._open = None

    def _connected(self) -> psycopg.Connection[TupleRow]:
        if self._open is not None and not self._open.closed:
            return self._open
        connection = postgres.connect(self._address)
        try:
            with connection.transaction():
                connection.execute(f"SELECT pg_advisory_xact_lock({MIGRATING})")
                connection.execute(SETTLE)
                migrate(postgres.Transaction(connection), "PostgreSQL")
        except BaseException:
            connection.close()
            raise
        self._open = connection
        return connection
