"""PostgreSQL's side: the driver, its deadlines, its errors, and values its text cannot hold.

No error's text holds the address, in which a password may stand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from emafusion.databases.connection import Cell
from emafusion.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

    from emafusion.databases.punctual import Punctual

T = TypeVar("T")

CONNECT_TIMEOUT_S = 3
STATEMENT_TIMEOUT_S = 4
"""A database that accepts and never answers must not hold up what waits behind it for longer."""

_ESCAPE = "\x10"
"""PostgreSQL's text holds every character but NUL: that is kept as this one and a zero."""


def check(address: str, what: str) -> None:
    """Raise where `address` cannot be one; `what` says in the error whose it is.

    Raises
    ------
    MissingExtraError
        The driver is not installed.
    ConfigError
        `address` cannot be read.
    """
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtraError("psycopg", "postgres") from error
    try:
        psycopg.conninfo.conninfo_to_dict(address)
    except psycopg.ProgrammingError as error:
        raise ConfigError(
            f"{what}'s PostgreSQL address cannot be read; it has the form "
            "postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from error


def connect(
    address: str,
    *,
    timeout_s: int = STATEMENT_TIMEOUT_S,
    settings: Mapping[str, str | int] | None = None,
) -> Punctual:
    """A connection that commits by itself, except within ``connection.transaction()``.

    A statement may take `timeout_s`, and a second later a server that says nothing is given up;
    `settings` are its own, for this connection. Raises ``psycopg.Error``.
    """
    import psycopg

    from emafusion.databases.punctual import Punctual

    told = {"statement_timeout": timeout_s * 1000, **(settings or {})}
    connection = Punctual.connect(
        address,
        autocommit=True,
        cursor_factory=psycopg.RawCursor,
        application_name="emafusion",
        connect_timeout=CONNECT_TIMEOUT_S,
        options=" ".join(f"-c {name}={value}" for name, value in told.items()),
        keepalives_idle=timeout_s,
        keepalives_interval=1,
        keepalives_count=3,
        tcp_user_timeout=(timeout_s + 1) * 1000,
    )
    connection.within_s = timeout_s + 1
    return connection


def reason(error: psycopg.Error) -> str:
    """The server's own first line where it spoke, else the kind of failure."""
    told = error.diag.message_primary
    return told or f"it does not answer ({type(error).__name__})"


class Transaction:
    """The transaction that is open on `connection`."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def rows(self, kind: type[T], sql: str, *values: Cell) -> list[T]:
        """What `sql` returns, each row as a `kind`."""
        found = self._connection.execute(sql.encode(), _stored(values)).fetchall()
        return [msgspec.convert(tuple(map(_read, row)), kind) for row in found]

    def run(self, sql: str, *values: Cell) -> int:
        """How many rows `sql` changed."""
        return self._connection.execute(sql.encode(), _stored(values) or None).rowcount

    def run_each(self, sql: str, each: Sequence[Sequence[Cell]]) -> list[int]:
        """How many rows `sql` changed with each of these values; all are sent at once."""
        if not each:
            return []
        with self._connection.cursor() as cursor:
            cursor.executemany(sql.encode(), [_stored(values) for values in each], returning=True)
            changed = [cursor.rowcount]
            while cursor.nextset():
                changed.append(cursor.rowcount)
            return changed

    def clock(self) -> float:
        """The server's time, seconds since 1970."""
        [(now,)] = self.rows(
            tuple[float], "SELECT CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"
        )
        return now

    def run_all(self, sql: str, each: Sequence[Sequence[Cell]]) -> None:
        """Run `sql` with each of these values; all are sent at once."""
        if each:
            with self._connection.cursor() as cursor:
                cursor.executemany(sql.encode(), [_stored(values) for values in each])


def _stored(values: Sequence[Cell]) -> list[Cell]:
    return [_escaped(value) if isinstance(value, str) else value for value in values]


def _escaped(text: str) -> str:
    if "\0" not in text and _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE, 2 * _ESCAPE).replace("\0", f"{_ESCAPE}0")


def _read(cell: Cell) -> Cell:
    if not isinstance(cell, str) or _ESCAPE not in cell:
        return cell
    return re.sub(f"{_ESCAPE}(.)", lambda pair: pair[1].replace("0", "\0"), cell, flags=re.DOTALL)
