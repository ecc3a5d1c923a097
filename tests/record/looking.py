"""Looks into the record past the store, on either database: its rows, its bytes, its lock."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from emafusion.databases import is_address

TABLES = ("decisions", "calls", "verdicts", "feedback")
LOCK = 0x656D66, 1


def rows(place: str, sql: str) -> list[tuple[object, ...]]:
    """What `sql` returns; what it changes is committed."""
    if not is_address(place):
        with closing(sqlite3.connect(place, isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()
    import psycopg

    with psycopg.connect(place, options="-c search_path=emafusion", autocommit=True) as server:
        found = server.execute(sql.encode())
        return found.fetchall() if found.description else []


def contents(place: str) -> bytes:
    """All that is kept: the files' bytes, or every row of every table."""
    if not is_address(place):
        files = Path(place).parent.iterdir()
        return b"".join(file.read_bytes() for file in files if file.is_file())
    kept = [rows(place, f"SELECT {table}::text FROM {table}") for table in TABLES]
    return str(kept).encode()


@contextmanager
def held(place: str) -> Iterator[None]:
    """Keep every writer waiting: a slow disk, as the writer sees it."""
    if not is_address(place):
        with closing(sqlite3.connect(place, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
        return
    import psycopg

    with psycopg.connect(place) as server:
        server.execute("SELECT pg_advisory_xact_lock(%s, %s)", LOCK)
        yield
