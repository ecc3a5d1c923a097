"""Kept responses in a file of SQLite: they outlast the process, and processes share them.

Knows SQL; what it is told to keep it keeps as JSON. Calls wait in a thread, never in the loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from emafusion.errors import StoreError
from emafusion.gateway.replies import encode
from emafusion.gateway.responses.shelf import Kept

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    created REAL NOT NULL,
    size INTEGER NOT NULL,
    turns BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX IF NOT EXISTS responses_created ON responses (created);
"""
_PUT = "INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?, ?)"
_GET = "SELECT size, turns, body FROM responses WHERE tenant = ? AND id = ? AND created > ?"
_DELETE = "DELETE FROM responses WHERE tenant = ? AND id = ?"
_EXPIRE = "DELETE FROM responses WHERE created <= ?"
EXPIRE_EVERY_S = 60.0


class File:
    """Keeps responses in a file.

    Parameters
    ----------
    path : path
        The file; made where there is none, readable by its owner alone.
    max_age_s : float
        How long one is kept, seconds.
    """

    def __init__(self, path: Path, max_age_s: float = 30 * 24 * 3600.0) -> None:
        self.path = path
        self.max_age_s = max_age_s
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._expired_s = 0.0

    async def put(self, kept: Kept) -> None:
        """Keep `kept`; raises :class:`~emafusion.errors.StoreError` where that cannot be."""
        await self._done(lambda database: self._put(database, kept))

    async def get(self, tenant: str, name: str) -> Kept | None:
        """The response `name` of `tenant`, if it is there; raises ``StoreError``."""
        oldest = time.time() - self.max_age_s
        row = await self._done(lambda found: found.execute(_GET, (tenant, name, oldest)).fetchone())
        if row is None:
            return None
        size, turns, body = row
        return Kept(
            tenant=tenant,
            id=name,
            turns=tuple(msgspec.json.decode(turns, type=list[dict[str, object]])),
            body=msgspec.json.decode(body, type=dict[str, object]),
            size=size,
        )

    async def delete(self, tenant: str, name: str) -> bool:
        """Forget it; whether it was there; raises ``StoreError``."""
        key = (tenant, name)
        return await self._done(lambda database: database.execute(_DELETE, key).rowcount > 0)

    async def aclose(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._close)

    def _put(self, database: sqlite3.Connection, kept: Kept) -> None:
        now = time.time()
        turns, body = encode(kept.turns), encode(kept.body)
        database.execute(_PUT, (kept.tenant, kept.id, now, kept.size, turns, body))
        if now - self._expired_s > EXPIRE_EVERY_S:
            self._expired_s = now
            database.execute(_EXPIRE, (now - self.max_age_s,))

    async def _done(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._working, work)

    def _working(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                return work(self._opened())
            except (sqlite3.Error, OSError) as error:
                raise StoreError(
                    f"cannot use the kept responses {str(self.path)!r}: {error}; "
                    "check the file, its folder and the disk's space"
                ) from error

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            database = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=5.0
            )
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(_SCHEMA)
            self._database = database
        return self._database

    def _close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None
