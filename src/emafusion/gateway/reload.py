"""Another configuration taken up while serving, with no request dropped.

Knows when to try and what became of it. How a client is built, and how requests are handed over to
it, is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from emafusion.client import Client
from emafusion.errors import EmafusionError
from emafusion.gateway import garbage

log = logging.getLogger("emafusion.gateway")

LOOK_S = 2.0
CLOSING_S = 5.0
Stamp = tuple[int, int, int] | None


class Serving(Protocol):
    """Who has requests answered: new ones by another client, once there is one."""

    async def replace(self, client: Client) -> None:
        """Have `client` answer from now on; close the one before once nobody waits for it."""
        ...


class Reload:
    """Builds another client and hands over to it; one that cannot be built changes nothing.

    Parameters
    ----------
    serving : Serving
        What is handed over.
    make : callable
        Reads the configuration and builds a client of it; raises
        :class:`~emafusion.errors.EmafusionError` where that cannot be done. Called in a thread.
    told : callable, optional
        Told of each attempt: ``"taken"`` or ``"refused"``.
    look_s : float
        How often a watched file is looked at, seconds.

    Attributes
    ----------
    renew : callable
        Makes what requests pass before the client ready for its settings too, and changes nothing
        yet; raises :class:`~emafusion.errors.EmafusionError` where that cannot be done. What it
        returns is called once the client answers, takes it up, and returns the names of the changed
        settings that only a restart takes up.
    refused : str
        Why the last attempt changed nothing; empty where it did, or there was none.
    late : tuple of str
        Settings that have changed since the start and take effect at a restart.
    loaded_s : float
        When what serves now was loaded, seconds since 1970.
    """

    def __init__(
        self,
        serving: Serving,
        make: Callable[[], Client],
        *,
        told: Callable[[str], None] = lambda _: None,
        look_s: float = LOOK_S,
    ) -> None:
        self.renew: Callable[[], Callable[[], Sequence[str]]] = lambda: tuple
        self.late: tuple[str, ...] = ()
        self.refused = ""
        self.loaded_s = time.time()
        self._serving = serving
        self._make = make
        self._told = told
        self._look_s = look_s
        self._turn = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    async def __call__(self) -> bool:
        """Take up the configuration as it is now; whether that could be done.

        Returns as soon as new requests are answered by it. Attempts follow one another.
        """
        async with self._turn:
            try:
                client, renewed = await self._made()
            except (EmafusionError, OSError, RecursionError) as error:
                deep = isinstance(error, RecursionError)
                self.refused = "the settings are nested too deeply" if deep else str(error)
                log.error("the configuration is not taken up: %s", self.refused)
                self._told("refused")
                return False
            task = asyncio.create_task(self._hand_over(client))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
            await asyncio.sleep(0)
            self.late = tuple(renewed())
            self.refused, self.loaded_s = "", time.time()
            log.info("another configuration was taken up%s", _but(self.late))
            self._told("taken")
            return True

    def fields(self) -> dict[str, object]:
        """What ``/readyz`` tells of it."""
        loaded = datetime.fromtimestamp(self.loaded_s, UTC).isoformat(timespec="seconds")
        found: dict[str, object] = {"loaded": loaded}
        if self.refused:
            found["refused"] = self.refused
        if self.late:
            found["takes_effect_at_restart"] = list(self.late)
        return {"configuration": found}

    @contextlib.asynccontextmanager
    async def running(self, watched: Path | None = None) -> AsyncIterator[None]:
        """A block beside which `watched`, a file, is taken up whenever it changes.

        In the end, clients that were replaced are waited for until they are closed, but not for
        longer than :data:`CLOSING_S`.
        """
        watch = asyncio.create_task(self._watch(watched)) if watched is not None else None
        try:
            yield
        finally:
            if watch is not None:
                watch.cancel()
                await asyncio.wait([watch])
            if self._retiring:
                await asyncio.wait(self._retiring, timeout=CLOSING_S)

    async def _hand_over(self, client: Client) -> None:
        await self._serving.replace(client)
        garbage.renew()

    async def _made(self) -> tuple[Client, Callable[[], Sequence[str]]]:
        """A client that can answer at once, and what has its gates taken up."""
        client = await asyncio.to_thread(self._make)
        try:
            await client.warm()
            return client, self.renew()
        except BaseException:
            await client.aclose()
            raise

    async def _watch(self, path: Path) -> None:
        taken = seen = await asyncio.to_thread(_stamp, path)
        while True:
            await asyncio.sleep(self._look_s)
            before, seen = seen, await asyncio.to_thread(_stamp, path)
            # Not while it is being written: two looks must see the same.
            if seen is not None and seen == before and seen != taken:
                taken = seen
                await self()


def _but(late: Sequence[str]) -> str:
    return f"; takes effect at restart: {', '.join(late)}" if late else ""


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
