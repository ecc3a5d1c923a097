"""A cache of answers as a gate: a request whose key is known gets the answer bought before.

Knows when to look, to wait for a request of the same key under way, and to keep. What makes two
requests one is the key's affair, where answers lie the shelf's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from msgspec.structs import replace

from emafusion.gateway.caches.kept import given_again, packed, tell, unpacked
from emafusion.gateway.caches.keys import Key
from emafusion.gateway.caches.rules import Mode, Rules, Wishes, wished
from emafusion.gateway.caches.shelves import Shelf
from emafusion.gateway.callers import Passage
from emafusion.protocols import Clock
from emafusion.types import Outcome

Record = Callable[[Outcome], Awaitable[None]]


Modes = Callable[[Passage], Mode]
"""How far a cache serves a request: by its policy, its key or anything else."""


class AnswerCache:
    """Answers requests of one key from `shelf`.

    While a request is under way, others of its key in this process wait for it, unless they are
    streamed: those would give up their first words' early coming. Where it comes to nothing that
    may be given again, all of them go on at once, each for itself.

    Parameters
    ----------
    shelf : Shelf
        Where answers lie.
    record : callable
        Puts an outcome on record; a cached answer is given once it is there.
    clock : Clock
        The time.
    key : Key
        Which requests have one answer.
    mode : callable
        How far each request is served.
    rules : Rules
        What is taken and kept.
    """

    def __init__(
        self,
        shelf: Shelf,
        record: Record,
        *,
        clock: Clock,
        key: Key,
        mode: Modes,
        rules: Rules | None = None,
    ) -> None:
        self._shelf = shelf
        self._record = record
        self._clock = clock
        self._key = key
        self._mode = mode
        self._rules = rules or Rules()
        self._flights: dict[str, asyncio.Future[bytes | None]] = {}

    @asynccontextmanager
    async def open(self, passage: Passage) -> AsyncIterator[None]:
        """Answer `passage` where that is possible, else keep what the engine makes of it."""
        wish = wished(passage, self._mode(passage), self._rules)
        key = self._key.of(passage) if wish is not None else None
        if wish is None or key is None:
            yield
            return
        if wish.reuse and await self._find(passage, key, wish):
            yield
            return
        tell(passage, "miss")
        with self._flying(key) as landed:
            yield
            data = self._worth(passage) if wish.store else None
            landed(data)
        if data is not None:
            await self._shelf.put(key, data, self._rules.ttl_s)

    async def _find(self, passage: Passage, key: str, wish: Wishes) -> bool:
        """Answer `passage` from the shelf, or from an equal request under way."""
        began = self._clock.tick()
        if await self._give(passage, await self._shelf.get(key), wish, began=began):
            return True
        flight = self._flights.get(key)
        if flight is None or passage.stream or not self._rules.waits:
            return False
        return await self._give(passage, await self._await(flight, passage), wish, began=began)

    async def _await(self, flight: asyncio.Future[bytes | None], passage: Passage) -> bytes | None:
        """What an equal request came to, if that is soon enough for this one's own deadline."""
        patience_s = self._rules.patience_s
        most_s = passage.request.knobs.max_latency_s
        if most_s is not None:
            patience_s = min(patience_s, most_s / 2)
        began = self._clock.tick()
        done, _ = await asyncio.wait([flight], timeout=patience_s)
        data = flight.result() if done else None
        if data is None and most_s is not None:
            left_s = max(most_s - (self._clock.tick() - began), 0.001)
            knobs = replace(passage.request.knobs, max_latency_s=left_s)
            passage.request = replace(passage.request, knobs=knobs)
        return data

    async def _give(
        self, passage: Passage, data: bytes | None, wish: Wishes, *, began: float
    ) -> bool:
        kept = None if data is None else unpacked(data, tenant=passage.caller.tenant)
        now = self._clock.now()
        if kept is None or not self._rules.fresh(kept.stored, wish, now=now):
            return False
        took_s = self._clock.tick() - began
        answer = given_again(kept, passage.request, now=now, took_s=took_s)
        await self._record(answer.outcome)
        passage.answer, passage.outcome = answer, answer.outcome
        tell(passage, self._key.found, kept=kept, now=now)
        return True

    def _worth(self, passage: Passage) -> bytes | None:
        """The engine's answer in bytes, where it may be given again."""
        answer = passage.answer
        if answer is None or not self._rules.keep(answer):
            return None
        data = packed(answer, tenant=passage.caller.tenant, now=self._clock.now())
        return data if data is not None and len(data) <= self._rules.max_bytes else None

    @contextmanager
    def _flying(self, key: str) -> Iterator[Callable[[bytes | None], None]]:
        """Be the one that equal requests wait for, if nobody is; however this ends, they go on."""
        if key in self._flights:
            yield lambda data: None
            return
        flight: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._flights[key] = flight
        try:
            yield flight.set_result
        finally:
            del self._flights[key]
            if not flight.done():
                flight.set_result(None)
