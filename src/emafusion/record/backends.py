"""What the record needs of a database: one who writes, and many who read.

Knows how to tell a file from a server's address; the rest is
:mod:`~emafusion.record.sqlite`'s and :mod:`~emafusion.record.postgres`'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from emafusion.databases import Connection, is_address
from emafusion.errors import StoreError, StoreUnreachableError

T = TypeVar("T")
Synchronous = Literal["normal", "full"]


class AwayError(StoreUnreachableError):
    """The database does not answer now and may do so later; whether it committed is not known."""


class UnfitError(StoreError):
    """A value fits no column; the transaction changed nothing."""


class Backend(Protocol):
    """A database with the record's tables, which are made where they are missing.

    Everything raises :class:`StoreError` where the database refuses, :class:`AwayError` where
    waiting may help.
    """

    place: str
    """How errors name it: without a password."""

    def transact(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction, durable; for the writer's thread alone.

        Transactions of all processes come one after the other, so rows are numbered in the order
        they are seen. Raises :class:`UnfitError` as well.
        """
        ...

    def visit(self, work: Callable[[Connection], T]) -> T | None:
        """The result of reading, from any thread; ``None`` where nothing was ever recorded."""
        ...

    def probe(self) -> None:
        """Raise where a transaction would."""
        ...

    def scrub(self) -> None:
        """Let go of what deleted rows have left, as far as the database can; see its class."""
        ...

    def settle(self) -> bool:
        """Have deleted rows leave the file and its log, if nobody has to wait; whether it did."""
        ...

    def release(self) -> None:
        """Give back the writer's connection; the next transaction opens another."""
        ...

    def close(self) -> None:
        """Keep no connection open from here on."""
        ...


def backend(
    place: str | os.PathLike[str], *, synchronous: Synchronous, busy_timeout_s: float
) -> Backend:
    """The database at `place`: a ``postgresql://`` address, else SQLite's file.

    Raises
    ------
    MissingExtraError
        `place` is PostgreSQL's and its driver is not installed.
    ConfigError
        `place` begins as an address and is none.
    """
    if isinstance(place, str) and is_address(place):
        from emafusion.record.postgres import PostgresBackend

        return PostgresBackend(place, synchronous=synchronous)
    from emafusion.record.sqlite import SQLiteBackend

    path = Path(place).expanduser().absolute()
    return SQLiteBackend(path, synchronous=synchronous, busy_timeout_s=busy_timeout_s)
