"""Where kept answers lie: in this process's memory, or in Valkey for all workers.

Knows keys, bytes and how long they are kept. Knows nothing of what the bytes are.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from emafusion.gateway.valkey import Down, Link

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

log = logging.getLogger("emafusion.gateway")

PREFIX = "emafusion:answer:"
OVERHEAD = 400
"""Bytes that an entry takes beyond its key and its data, rounded up."""


class Shelf(Protocol):
    """Keeps bytes for a while."""

    async def get(self, key: str) -> bytes | None:
        """The bytes under `key`, where they are still kept."""
        ...

    async def put(self, key: str, data: bytes, ttl_s: float) -> None:
        """Keep `data` for `ttl_s` seconds, or less where there is no room."""
        ...


class _Entry(Struct, frozen=True):
    data: bytes
    ends: float


class LocalShelf:
    """Bytes in this process, the ones not asked for longest going first.

    Parameters
    ----------
    max_bytes : int
        What all entries together may take, keys and overhead included.
    tick : callable
        Seconds of a clock that never goes back.
    """

    def __init__(self, max_bytes: int, *, tick: Callable[[], float]) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._tick = tick
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    async def get(self, key: str) -> bytes | None:
        """The bytes under `key`, where they are still kept."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.ends <= self._tick():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.data

    async def put(self, key: str, data: bytes, ttl_s: float) -> None:
        """Keep `data` for `ttl_s` seconds; not at all where it alone is too large."""
        if key in self._entries:
            self._drop(key)
        size = _size(key, data)
        if size > self.max_bytes:
            return
        while self.bytes + size > self.max_bytes:
            self._drop(next(iter(self._entries)))
        self._entries[key] = _Entry(data, self._tick() + ttl_s)
        self.bytes += size

    def __len__(self) -> int:
        return len(self._entries)

    def _drop(self, key: str) -> None:
        self.bytes -= _size(key, self._entries.pop(key).data)


class SharedShelf:
    """Bytes in Valkey; while that is down, nothing is found and nothing kept.

    Valkey's own ``maxmemory`` with ``allkeys-lru`` bounds what it takes. Whoever can read that
    Valkey can read the answers.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    async def get(self, key: str) -> bytes | None:
        """The bytes under `key`, where they are still kept."""

        async def command(client: Valkey) -> bytes | None:
            found: bytes | None = await client.get(f"{PREFIX}{key}")
            return found

        try:
            return await self._link.ask(command)
        except Down:
            return None

    async def put(self, key: str, data: bytes, ttl_s: float) -> None:
        """Keep `data` for `ttl_s` seconds, where Valkey has room."""

        async def command(client: Valkey) -> None:
            await client.set(f"{PREFIX}{key}", data, px=max(1, round(1000 * ttl_s)))

        try:
            await self._link.ask(command)
        except Down:
            log.debug("an answer was not kept: Valkey is down")


def _size(key: str, data: bytes) -> int:
    return len(key) + len(data) + OVERHEAD
