"""The record in SQLite's file: for the processes of one machine.

Knows when the file has to be opened again, and which of SQLite's errors are a row's own.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from emafusion.databases import Connection
from emafusion.databases.sqlite import Transaction, identity
from emafusion.errors import StoreError
from emafusion.record.backends import Synchronous, UnfitError
from emafusion.record.remedies import store_error
from emafusion.record.schema import abandon, connect

T = TypeVar("T")

ROOM = 1 << 20
"""Bytes that a disk must have left: a page may still fit where a decision does not."""

UNFIT = (
    UnicodeError,
    OverflowError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""What a row raises whose values the table cannot hold; others would fit all the same."""


class SQLiteBackend:
    """Transactions on the file at `path`; see :class:`~emafusion.record.backends.Backend`."""

    def __init__(self, path: Path, *, synchronous: Synchronous, busy_timeout_s: float) -> None:
        self.path = path
        self.place = repr(str(path))
        self._synchronous = synchronous
        self._busy_timeout_s = busy_timeout_s
        self._open: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def transact(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction, durable."""
        try:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            result = _fitting(connection, work)
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self.release()
            raise store_error(error, self.path) from error
        return result

    def visit(self, work: Callable[[Connection], T]) -> T | None:
        """The result of `work` on a connection of its own; ``None`` where there is no file."""
        try:
            if not self.path.exists():
                return None
            with closing(self._connect()) as connection:
                return work(Transaction(connection))
        except (sqlite3.Error, OSError) as error:
            raise store_error(error, self.path) from error

    def probe(self) -> None:
        """Write a page, unchanged: what a full disk, a lock or a read-only file would refuse."""
        try:
            with closing(self._connect()) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("UPDATE schema_version SET applied = applied")
                connection.execute("COMMIT")
            if shutil.disk_usage(self.path.parent).free < ROOM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except (sqlite3.Error, OSError) as error:
            raise store_error(error, self.path) from error

    def scrub(self) -> None:
        """Leave no byte of deleted rows in any of the database's files.

        Another process may read and write meanwhile, but not for ever: a reader holds the log.
        """
        try:
            if not self.path.exists():
                return
            with closing(self._connect()) as connection:
                connection.execute("VACUUM")
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise store_error(error, self.path) from error
        if busy:
            raise StoreError(
                f"another process holds the record {self.place}: rows are deleted, and what they "
                "left is still in its -wal file; run this again"
            )

    def settle(self) -> bool:
        """Empty the log into the file: until then both still have what was deleted."""
        try:
            with closing(self._connect()) as connection:
                connection.execute("PRAGMA busy_timeout = 0")
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise store_error(error, self.path) from error
        return not busy

    def release(self) -> None:
        """Close the writer's connection; what is open is rolled back."""
        if self._open is not None:
            abandon(self._open)
        self._open = None

    def close(self) -> None:
        """Nothing: readers have connections of their own."""

    def _connected(self) -> sqlite3.Connection:
        """The connection, made anew where the file was removed or replaced under it."""
        if self._open is not None and self._file != identity(self.path):
            self.release()
        if self._open is None:
            self._open, self._file = self._connect(), identity(self.path)
        return self._open

    def _connect(self) -> sqlite3.Connection:
        return connect(
            self.path, synchronous=self._synchronous, busy_timeout_s=self._busy_timeout_s
        )


def _fitting(connection: sqlite3.Connection, work: Callable[[Connection], T]) -> T:
    """The result of `work`, undone where a value does not fit."""
    try:
        return work(Transaction(connection))
    except UNFIT as error:
        connection.execute("ROLLBACK")
        kind = type(error).__name__
        raise UnfitError(f"this cannot be recorded: {kind}: {error}") from error
