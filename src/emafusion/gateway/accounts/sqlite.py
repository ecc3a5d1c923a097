"""The accounts in a file of their own, for the processes of one machine.

Apart from the record: its file may be erased, thinned out or lie on a slow disk without touching
who may come in, and a busy record does not hold up a budget.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from emafusion.databases import Connection
from emafusion.databases.sqlite import Transaction, create, identity, write_ahead
from emafusion.errors import StoreError
from emafusion.gateway.accounts.database import migrate

T = TypeVar("T")

BUSY_TIMEOUT_S = 4.0
"""How long to wait for another process's transaction, seconds; each takes milliseconds."""


class SQLiteDatabase:
    """Transactions on the file at `path`, made where it is missing, readable by its owner alone.

    Every commit is synced to the disk: after a power cut no budget has forgotten what was spent.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._open: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def transact(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction, committed; see :class:`Database`."""
        return self._within("BEGIN IMMEDIATE", work)

    def read(self, work: Callable[[Connection], T]) -> T:
        """As :meth:`transact`, beside whoever writes meanwhile; see :class:`Database`."""
        return self._within("BEGIN", work)

    def close(self) -> None:
        """Close the file; the next transaction opens it again."""
        if self._open is not None:
            with suppress(sqlite3.Error):
                self._open.close()
        self._open = None

    def _within(self, begin: str, work: Callable[[Connection], T]) -> T:
        try:
            connection = self._connected()
            connection.execute(begin)
            try:
                result = work(Transaction(connection))
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StoreError(f"cannot use the accounts in {str(self._path)!r}: {error}") from error
        return result

    def _connected(self) -> sqlite3.Connection:
        """The connection, made anew where the file was removed or replaced under it."""
        if self._open is not None and self._file != identity(self._path):
            self.close()
        if self._open is not None:
            return self._open
        create(self._path)
        # One thread at a time asks, but not always the same one.
        connection = sqlite3.connect(
            self._path,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            write_ahead(connection, self._busy_timeout_s)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")
            connection.execute("BEGIN IMMEDIATE")
            migrate(Transaction(connection), repr(str(self._path)))
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        self._open, self._file = connection, identity(self._path)
        return connection
