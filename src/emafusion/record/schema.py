"""Opens SQLite's file and brings its tables up to date, forward only.

Each ``migrations/sqlite/NNNN_name.sql`` runs once, in a transaction of its own, and leaves its
number in ``schema_version``. Knows files, pragmas and versions; not what the tables hold.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from emafusion.databases import scripts
from emafusion.databases.sqlite import create, write_ahead
from emafusion.errors import StoreError
from emafusion.record.backends import Synchronous
from emafusion.record.remedies import store_error

APPLICATION_ID = int.from_bytes(b"EMAF")
_PRAGMAS = {
    "normal": ("PRAGMA synchronous = NORMAL",),
    # macOS's fsync stops at the drive's cache unless it is asked for more.
    "full": ("PRAGMA synchronous = FULL", "PRAGMA fullfsync = ON"),
}


def connect(path: Path, *, synchronous: Synchronous, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection to the store at `path`, made if missing, its tables up to date.

    The connection commits only where it is told to. Raises :class:`StoreError`.
    """
    try:
        create(path)
        connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None)
    except (sqlite3.Error, OSError) as error:
        raise store_error(error, path) from error
    try:
        write_ahead(connection, busy_timeout_s)
        for pragma in _PRAGMAS[synchronous]:
            connection.execute(pragma)
        # What is deleted is overwritten, not only let go of.
        connection.execute("PRAGMA secure_delete = ON")
        migrate(connection, path, migrations())
        # Only now: a table that a migration puts another in place of keeps what refers to it.
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error as error:
        abandon(connection)
        raise store_error(error, path) from error
    except StoreError:
        abandon(connection)
        raise
    return connection


def abandon(connection: sqlite3.Connection) -> None:
    """Close `connection` and roll back what is open; a failure to close has nothing to save."""
    with suppress(sqlite3.Error):
        connection.close()


def migrate(connection: sqlite3.Connection, path: Path, wanted: Sequence[str]) -> None:
    """Run those of `wanted` that the store has not had; script ``n`` is at ``n - 1``.

    Raises :class:`StoreError` where the file is another program's or a newer emafusion's.
    """
    if version(connection, path, newest=len(wanted)) == len(wanted):
        return
    for number, script in enumerate(wanted, start=1):
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have migrated while this one waited for the lock.
        if version(connection, path, newest=len(wanted)) < number:
            for statement in statements(script):
                connection.execute(statement)
            connection.execute("INSERT INTO schema_version (version) VALUES (?)", (number,))
        connection.execute("COMMIT")


def version(connection: sqlite3.Connection, path: Path, *, newest: int) -> int:
    """The number of the last migration the store has had; 0 for an empty file."""
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        return 0
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StoreError(
            f"cannot use the record {str(path)!r}: the database belongs to another program; "
            "set another path"
        )
    found = int(connection.execute("SELECT max(version) FROM schema_version").fetchone()[0])
    if found > newest:
        raise StoreError(
            f"cannot use the record {str(path)!r}: a newer emafusion wrote it (schema {found}, "
            f"this one knows {newest}); upgrade emafusion, or set another path"
        )
    return found


def migrations() -> tuple[str, ...]:
    """The migrations' SQL in order; number ``n`` is at ``n - 1``."""
    return scripts("emafusion.record", "migrations/sqlite")


def statements(script: str) -> Iterator[str]:
    """The statements of `script`, one by one, so that a transaction can hold them all."""
    statement = ""
    for piece in script.split(";"):
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
