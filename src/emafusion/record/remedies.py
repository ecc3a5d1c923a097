"""Turns what SQLite and the file system report into a :class:`StoreError` that says what to do.

Knows error codes and their remedies, not what was being written.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from emafusion.errors import StoreError

REMEDIES = {
    "SQLITE_FULL": "the disk is full: free some space; recording goes on by itself then",
    "SQLITE_READONLY": "it is read-only: make the file and its folder writable for this user",
    "SQLITE_CANTOPEN": "it cannot be opened: check that its folder exists and is writable",
    "SQLITE_PERM": "access is denied: make the file and its folder writable for this user",
    "SQLITE_AUTH": "access is denied: make the file and its folder writable for this user",
    "SQLITE_BUSY": "another program holds it locked: close that program, or set another path",
    "SQLITE_LOCKED": "another program holds it locked: close that program, or set another path",
    "SQLITE_CORRUPT": "it is damaged: move it away (a new one is made) or restore a copy",
    "SQLITE_NOTADB": "it is no SQLite database: move that file away, or set another path",
    "SQLITE_IOERR": "the disk failed to read or write: check its space, quota and health",
}


def store_error(error: sqlite3.Error | OSError, path: Path) -> StoreError:
    """The :class:`StoreError` for `error`: it names `path`, what is wrong and the remedy."""
    if isinstance(error, OSError):
        reason = f"{error.strerror or type(error).__name__}: check the folder, its space and rights"
        return StoreError(f"cannot use the record {str(path)!r}: {reason}")
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    primary = "_".join(name.split("_")[:2])
    remedy = REMEDIES.get(primary, f"{error}: if it persists, move that file away")
    return StoreError(f"cannot use the record {str(path)!r}: {remedy} ({name})")
