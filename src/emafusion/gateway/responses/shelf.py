"""Responses that are kept, so that a later request can go on from them or read them again.

It knows whose a response is, and never gives it to another tenant. It does not know how one reads.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from emafusion.errors import StoreError
from emafusion.gateway.notes import Notes, key
from emafusion.gateway.replies import encode
from emafusion.types import DataClass, Message

DAY_S = 24 * 3600.0


class Kept(Struct, frozen=True, kw_only=True):
    """One response: the conversation up to its end, its items as they came in, and itself.

    ``stated`` is the class of what it says, where that is known; a ``private`` one is for private
    models alone. ``size`` is about how many bytes it takes.
    """

    tenant: str
    id: str
    turns: tuple[Message, ...]
    body: Mapping[str, object]
    size: int
    stated: tuple[DataClass, ...] = ()
    private: bool = False


class Shelf(Protocol):
    """Where responses are kept; every method may raise ``StoreError``."""

    async def put(self, kept: Kept) -> None:
        """Keep `kept`."""
        ...

    async def get(self, tenant: str, name: str) -> Kept | None:
        """The response `name` of `tenant`, if it is there."""
        ...

    async def delete(self, tenant: str, name: str) -> bool:
        """Forget it; whether it was there."""
        ...


class Memory:
    """Keeps responses in this process; beyond its bounds the oldest of who has most go first.

    Parameters
    ----------
    max_bytes : int
        About how much all of them may take.
    max_age_s : float
        How long one is kept, seconds.
    """

    def __init__(self, max_bytes: int = 64 << 20, max_age_s: float = DAY_S) -> None:
        self.max_bytes = max_bytes
        self.max_age_s = max_age_s
        self._held: dict[str, dict[str, tuple[float, Kept]]] = {}
        self._sizes: dict[str, int] = {}
        self._size = 0

    async def put(self, kept: Kept) -> None:
        """Keep `kept`; one that is larger than all may be is not kept."""
        self._drop(kept.tenant, kept.id)
        if kept.size > self.max_bytes:
            return
        self._held.setdefault(kept.tenant, {})[kept.id] = (time.monotonic(), kept)
        self._sizes[kept.tenant] = self._sizes.get(kept.tenant, 0) + kept.size
        self._size += kept.size
        while self._size > self.max_bytes:
            fullest = max(self._sizes, key=self._sizes.__getitem__)
            self._drop(fullest, next(iter(self._held[fullest])))

    async def get(self, tenant: str, name: str) -> Kept | None:
        """The response `name` of `tenant`, if it is there."""
        since, kept = self._held.get(tenant, {}).get(name, (0.0, None))
        if kept is not None and time.monotonic() - since > self.max_age_s:
            self._drop(tenant, name)
            return None
        return kept

    async def delete(self, tenant: str, name: str) -> bool:
        """Forget it; whether it was there."""
        return self._drop(tenant, name)

    def _drop(self, tenant: str, name: str) -> bool:
        held = self._held.get(tenant, {})
        if name not in held:
            return False
        _, kept = held.pop(name)
        self._sizes[tenant] -= kept.size
        self._size -= kept.size
        if not held:
            del self._held[tenant], self._sizes[tenant]
        return True


class Noted:
    """Keeps responses where all workers find them; raises ``StoreError`` while they cannot.

    Nothing is held here as well: what one worker was told to forget, no other shall show.

    Parameters
    ----------
    notes : Notes
        Where that is.
    max_age_s : float
        How long one is kept, seconds.
    """

    def __init__(self, notes: Notes, max_age_s: float = DAY_S) -> None:
        self.max_age_s = max_age_s
        self._notes = notes

    async def put(self, kept: Kept) -> None:
        """Keep `kept`."""
        await self._notes.put(_name(kept.tenant, kept.id), encode(asdict(kept)), self.max_age_s)

    async def get(self, tenant: str, name: str) -> Kept | None:
        """The response `name` of `tenant`, if it is there."""
        found = await self._notes.get(_name(tenant, name))
        try:
            return None if found is None else msgspec.json.decode(found, type=Kept)
        except msgspec.DecodeError as wrong:
            raise StoreError(f"the kept response {name[:200]!r} cannot be read: {wrong}") from wrong

    async def delete(self, tenant: str, name: str) -> bool:
        """Forget it; whether it was there."""
        return await self._notes.delete(_name(tenant, name))


def _name(tenant: str, name: str) -> str:
    return key("response", tenant, name)
