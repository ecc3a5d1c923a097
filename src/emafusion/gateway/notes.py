"""What the workers of a gateway leave for one another: bytes under a key, for a while.

In Valkey, where every machine's workers find them, or in a file of SQLite, which those of one
machine share. Knows nothing of what the bytes are.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import shutil
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from emafusion.databases.sqlite import write_ahead
from emafusion.errors import StoreError, StoreUnreachableError
from emafusion.gateway.replies import encode
from emafusion.gateway.valkey import Down, Link

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

T = TypeVar("T")

PREFIX = "emafusion:note:"
AWAY_S = 2.0
"""After which callers may ask again while Valkey is away, seconds."""
BUSY_S = 5.0
"""How long one worker waits for another's transaction."""
SWEEP_EVERY_S = 60.0
"""How often a file is rid of what is over."""
KEPT_FREE = 16 << 20
"""Bytes of a disk that a file of notes leaves to others: workers' counts lie beside it."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    key TEXT PRIMARY KEY,
    ends REAL NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS notes_ends ON notes (ends);
"""
_PUT = "INSERT OR REPLACE INTO notes VALUES (?, ?, ?)"
_GET = "SELECT data FROM notes WHERE key = ? AND ends > ?"
_DELETE = "DELETE FROM notes WHERE key = ? AND ends > ?"
_EXPIRE = "DELETE FROM notes WHERE ends <= ?"
_HELD = "SELECT COALESCE(SUM(LENGTH(data)), 0) FROM notes"
_VACANT = "SELECT freelist_count * page_size FROM pragma_freelist_count(), pragma_page_size()"
# Who has the most gives up the most: a tenant's note counts with all newer ones of its own.
_SHRINK = """
DELETE FROM notes WHERE key IN (
    SELECT key FROM (
        SELECT key, SUM(size) OVER (ORDER BY own, ends DESC, key) AS bytes FROM (
            SELECT key, ends, LENGTH(data) AS size, SUM(LENGTH(data)) OVER (
                PARTITION BY substr(key, 1, instr(key, ':')) ORDER BY ends DESC, key
            ) AS own FROM notes
        )
    ) WHERE bytes > ?
)
"""


class Notes(Protocol):
    """Keeps bytes for whoever of the workers asks; every method raises ``StoreError``."""

    async def get(self, key: str) -> bytes | None:
        """The bytes under `key`, where they are still kept."""
        ...

    async def put(self, key: str, data: bytes, ttl_s: float) -> None:
        """Keep `data` for `ttl_s` seconds."""
        ...

    async def delete(self, key: str) -> bool:
        """Forget it; whether it was there."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and files."""
        ...


def key(kind: str, tenant: str, *parts: str) -> str:
    """The key of one of `tenant`'s notes, as no other tenant's and no other `kind`'s is called.

    What stands before its first colon is `tenant`'s alone.
    """
    owner = hashlib.blake2b(encode(tenant), digest_size=8)
    told = hashlib.blake2b(encode((tenant, *parts)), digest_size=16)
    return f"{owner.hexdigest()}:{kind}:{told.hexdigest()}"


class ValkeyNotes:
    """Notes in Valkey, whose own ``maxmemory`` bounds what they take.

    Whoever can read that Valkey can read them. While it is down every method raises.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    async def get(self, key: str) -> bytes | None:
        """The bytes under `key`, where they are still kept."""

        async def command(client: Valkey) -> bytes | None:
            found: bytes | None = await client.get(f"{PREFIX}{key}")
            return found

        return await self._asked(command)

    async def put(self, key: str, data: bytes, ttl_s: float) -> None:
        """Keep `data` for `ttl_s` seconds."""

        async def command(client: Valkey) -> None:
            await client.set(f"{PREFIX}{key}", data, px=max(1, round(1000 * ttl_s)))

        await self._asked(command)

    async def delete(self, key: str) -> bool:
        """Forget it; whether it was there."""

        async def command(client: Valkey) -> bool:
            return bool(await client.delete(f"{PREFIX}{key}"))

        return await self._asked(command)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._link.aclose()

    async def _asked(self, command: Callable[[Valkey], Awaitable[T]]) -> T:
        try:
            return await self._link.ask(command)
        except Down as down:
            told = "kept conversations and responses cannot be had now: Valkey does not answer"
            raise StoreUnreachableError(told, retry_after_s=AWAY_S) from down


class FileNotes:
    """Notes in a file, by a thread and never in the loop; several processes may use it.

    Parameters
    ----------
    path : Path
        The file; made where there is none, readable by its owner alone.
    max_bytes : int
        About how much all notes may take. Beyond it those go first that would be over soonest, of
        the tenants that have most.
    free : callable, optional
        How many bytes a folder's disk has free. Where they become few, old notes make way for new
        ones, or a new one is refused.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int = 128 << 20,
        *,
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._free = free
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._swept = 0.0
        self._written = 0

    async def get(self, key: str) -> bytes | None:
        """The bytes under `key`, where they are still kept."""
        row = await self._done(lambda found: found.execute(_GET, (key, time.time())).fetchone())
        return None if row is None else bytes(row[0])

    async def put(self, key: str, data: bytes, ttl_s: float) -> None:
        """Keep `data` for `ttl_s` seconds."""
        row = (key, time.time() + ttl_s, data)
        await self._done(lambda database: self._put(database, row))

    async def delete(self, key: str) -> bool:
        """Forget it; whether it was there."""
        now = time.time()
        return await self._done(lambda found: found.execute(_DELETE, (key, now)).rowcount > 0)

    async def aclose(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._close)

    def _put(self, database: sqlite3.Connection, row: tuple[str, float, bytes]) -> None:
        now = time.time()
        self._make_room(database, len(row[2]))
        database.execute(_PUT, row)
        self._written += len(row[2])
        # Each process sees to its own share: a flood does not wait for the minute.
        if now - self._swept > SWEEP_EVERY_S or self._written > self.max_bytes // 8:
            self._swept, self._written = now, 0
            database.execute(_EXPIRE, (now,))
            (held,) = database.execute(_HELD).fetchone()
            if held > self.max_bytes:
                database.execute(_SHRINK, (self.max_bytes,))

    def _make_room(self, database: sqlite3.Connection, size: int) -> None:
        """Have `size` bytes fit; raises ``OSError`` where they cannot."""
        free = self._free(self.path.parent)
        # A note is written twice: to the log of what is written, later to its place.
        if free - 2 * size >= KEPT_FREE:
            return
        if free - size >= KEPT_FREE // 2:
            (held,) = database.execute(_HELD).fetchone()
            database.execute(_EXPIRE, (time.time(),))
            database.execute(_SHRINK, (max(0, held - 2 * size),))
            (vacant,) = database.execute(_VACANT).fetchone()
            if vacant >= size:
                return
        raise OSError(errno.ENOSPC, "the disk has too little space left")

    async def _done(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._working, work)

    def _working(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                return work(self._opened())
            except (sqlite3.Error, OSError) as error:
                raise StoreError(
                    f"cannot use the kept conversations {str(self.path)!r}: {error}; "
                    "check the file, its folder and the disk's space"
                ) from error

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            database = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=BUSY_S
            )
            write_ahead(database, BUSY_S)
            database.execute("PRAGMA synchronous = OFF")
            database.executescript(_SCHEMA)
            self._database = database
        return self._database

    def _close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None
