"""SQLite's side: values, and files that are their owner's alone."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from emafusion.databases.connection import Cell

T = TypeVar("T")


class Transaction:
    """The transaction that is open on `connection`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, kind: type[T], sql: str, *values: Cell) -> list[T]:
        """What `sql` returns, each row as a `kind`."""
        found = self._connection.execute(_numbered(sql), values).fetchall()
        return [msgspec.convert(row, kind) for row in found]

    def run(self, sql: str, *values: Cell) -> int:
        """How many rows `sql` changed."""
        return self._connection.execute(_numbered(sql), values).rowcount

    def run_each(self, sql: str, each: Sequence[Sequence[Cell]]) -> list[int]:
        """How many rows `sql` changed with each of these values."""
        sql = _numbered(sql)
        return [self._connection.execute(sql, values).rowcount for values in each]

    def clock(self) -> float:
        """The machine's time, seconds since 1970: a file is used on one machine."""
        return time.time()

    def run_all(self, sql: str, each: Sequence[Sequence[Cell]]) -> None:
        """Run `sql` with each of these values."""
        self._connection.executemany(_numbered(sql), each)


@cache
def _numbered(sql: str) -> str:
    """`sql` with SQLite's own numbered parameters."""
    return re.sub(r"\$(\d)", r"?\1", sql)


def write_ahead(connection: sqlite3.Connection, within_s: float) -> None:
    """Have the file of `connection` written ahead, however many open it for the first time at once.

    SQLite does not wait for one another there as it does elsewhere, but refuses at once.
    """
    until = time.monotonic() + within_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)


def create(path: Path) -> None:
    """Make the file at `path`, readable by its owner alone, and the folders it lacks.

    The folder is synced: a file whose name is lost with the power would take its rows along.
    """
    if path.exists():
        return
    for folder in reversed([p for p in path.parents if not p.exists()]):
        folder.mkdir(mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if os.name == "posix":
        folder_fd = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder_fd)
        finally:
            os.close(folder_fd)


def identity(path: Path) -> tuple[int, int] | None:
    """What tells the file at `path` from one put in its place; ``None`` where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
