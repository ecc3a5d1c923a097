"""The record in a database: what it acknowledges is durable.

Knows how to wait, for room and for the database; :mod:`~emafusion.record.writer` knows how to
write, :mod:`~emafusion.record.queries` how to ask.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar
from weakref import WeakKeyDictionary

from emafusion.databases import Connection, is_address
from emafusion.errors import StoreError, StoreUnreachableError
from emafusion.record import forgetting, queries
from emafusion.record.backends import Synchronous, backend
from emafusion.record.desk import Desk
from emafusion.record.rows import FeedbackRow, Row, pack
from emafusion.record.totals import Totals
from emafusion.record.writer import Writer
from emafusion.types import Feedback, Outcome

V = TypeVar("V", str, int)
PIECE = 100
"""Rows that are deleted in one transaction."""


class Store:
    """Outcomes in an SQLite file (WAL), or in PostgreSQL.

    Opens nothing until it is used; :meth:`ready` tells at start what :meth:`record` would later.
    After a failure every call tries afresh, so recording goes on when the database does. While
    PostgreSQL is away, what is to be recorded waits and is written once it is back.

    Parameters
    ----------
    place : str or PathLike
        The database file, made with mode 0600, its missing folders with 0700; or a
        ``postgresql://`` address. A malformed one raises :class:`~emafusion.errors.ConfigError`, a
        missing driver :class:`~emafusion.errors.MissingExtraError`.
    store_content : bool
        Whether to keep prompts and texts. Without it their place stays empty, and the prompt's
        SHA-256 alone tells equal prompts apart; everything else is kept.
    synchronous : {"full", "normal"}
        What an acknowledged outcome survives. It was committed in either case, so a killed process
        loses nothing. With ``"full"`` the disk has it too, so neither does a power cut;
        ``"normal"`` saves that wait, and a power cut (of PostgreSQL's server: also its crash) may
        take the last outcomes, never the database's integrity.
    busy_timeout_s : float
        How long to wait for another process's lock on the file, seconds.
    max_wait_s : float
        How long :meth:`record` waits, for room and for the database together, seconds.
    max_pending : int
        How many outcomes may wait for the database; further ones wait for room.
    """

    def __init__(
        self,
        place: str | os.PathLike[str],
        *,
        store_content: bool = True,
        synchronous: Synchronous = "full",
        busy_timeout_s: float = 5.0,
        max_wait_s: float = 30.0,
        max_pending: int = 1024,
    ) -> None:
        server = isinstance(place, str) and is_address(place)
        self.path = None if server else Path(place).expanduser().absolute()
        """The file, where it is one."""
        self.address = str(place) if server else ""
        """The server's address, where it is one; it may hold a password."""
        self.store_content = store_content
        self.max_wait_s = max_wait_s
        self._another = partial(
            backend, place, synchronous=synchronous, busy_timeout_s=busy_timeout_s
        )
        self._backend = self._another()
        self._writer = Writer(self._backend, max_pending=max_pending)
        self._desks: WeakKeyDictionary[asyncio.AbstractEventLoop, Desk] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"Store({self._backend.place})"

    @property
    def commits(self) -> int:
        """Transactions so far; concurrent outcomes share them."""
        return self._writer.commits

    @property
    def failing(self) -> str | None:
        """Why nothing can be recorded, as the last attempt found; :meth:`ready` looks again.

        A database that is away for a few seconds only is waited for, and not told of here.
        """
        return self._writer.failing or self._writer.overdue

    async def ready(self) -> None:
        """Raise :class:`StoreError` where an outcome could not be recorded now.

        Of a database that is away for longer :attr:`failing` tells then, too: else the first to
        notice would be who pays for an answer that is withheld.
        """
        try:
            await asyncio.to_thread(self._backend.probe)
        except StoreError as error:
            self._writer.doubted(str(error))
            raise
        except asyncio.CancelledError:  # whoever asked waited long enough
            self._writer.doubted(f"the record {self._backend.place} does not answer")
            raise
        self._writer.recovered()

    async def record(self, outcome: Outcome) -> None:
        """Make `outcome` durable; returns only when it is.

        Cancelling the wait does not undo the writing, but where there was no room yet. Raises
        :class:`StoreError`; after one that says "in time" the outcome may yet be written, and
        recording the same again is no error and writes nothing twice. What an outcome tells of was
        paid for, so it is never the :class:`StoreUnreachableError` that invites to ask again.
        """
        try:
            await self._write(pack(outcome, content=self.store_content), outcome.decision_id)
        except StoreUnreachableError as away:
            raise StoreError(str(away)) from away

    async def note(self, feedback: Feedback) -> None:
        """Make `feedback` durable; returns only when it is.

        Raises :class:`UnknownDecisionError` where there is no such decision, and as :meth:`record`.
        """
        row = FeedbackRow(feedback=feedback, content=self.store_content)
        await self._write(row, feedback.decision_id)

    async def noted(self, after: int = 0, limit: int = 1000) -> tuple[tuple[int, Feedback], ...]:
        """Feedback in the order it came, numbered; only what came after the number `after`."""
        return await asyncio.to_thread(self.noted_sync, after, limit)

    def noted_sync(self, after: int = 0, limit: int = 1000) -> tuple[tuple[int, Feedback], ...]:
        """:meth:`noted` for a thread of its own."""
        return self._backend.visit(lambda one: queries.noted(one, after, limit)) or ()

    async def _write(self, row: Row, decision_id: str) -> None:
        future = self._desk().leave(row)
        timer = future.get_loop().call_later(self.max_wait_s, _late, future)
        try:
            await future
        except TimeoutError:
            trouble = self._writer.trouble
            kind = StoreError if trouble is None else StoreUnreachableError
            raise kind(
                f"the record {self._backend.place} did not confirm {decision_id!r} in time "
                f"({self.max_wait_s:g} s): "
                f"{trouble or 'check whether its disk is overloaded or hangs'}"
            ) from None
        finally:
            timer.cancel()

    def _desk(self) -> Desk:
        """The running loop's."""
        loop = asyncio.get_running_loop()
        desk = self._desks.get(loop)
        if desk is None:
            desk = self._desks[loop] = Desk(self._writer)
        return desk

    async def find(self, decision_id: str) -> Outcome | None:
        """The outcome of `decision_id`, or ``None``; raises :class:`StoreError`."""
        return await asyncio.to_thread(self.find_sync, decision_id)

    def find_sync(self, decision_id: str) -> Outcome | None:
        """:meth:`find` for a thread of its own."""
        return self._backend.visit(lambda one: queries.find(one, decision_id))

    async def recent(self, n: int) -> tuple[Outcome, ...]:
        """The `n` outcomes created last, newest first; raises :class:`StoreError`."""
        return await asyncio.to_thread(self._recent, n)

    async def recorded(self, after: int = 0, limit: int = 1000) -> tuple[tuple[int, Outcome], ...]:
        """Outcomes in the order they came, numbered; only those after the number `after`."""
        return await asyncio.to_thread(self.recorded_sync, after, limit)

    def recorded_sync(self, after: int = 0, limit: int = 1000) -> tuple[tuple[int, Outcome], ...]:
        """:meth:`recorded` for a thread of its own."""
        return self._backend.visit(lambda one: queries.recorded(one, after, limit)) or ()

    async def forget(self, decisions: Sequence[str]) -> int:
        """Delete these decisions, with calls, verdicts and feedback; how many there were.

        Done once it returns, but for what :meth:`scrub` takes away. Raises :class:`StoreError`.
        """
        return await asyncio.to_thread(self._forget, decisions)

    async def silence(self, opinions: Sequence[int]) -> int:
        """Delete feedback by the numbers that :meth:`noted` gives; how much there was."""
        return await asyncio.to_thread(self._silence, opinions)

    async def older(self, before: float) -> int:
        """How many decisions were made before that time, seconds since 1970."""
        return await asyncio.to_thread(
            lambda: self._backend.visit(lambda one: forgetting.count(one, before)) or 0
        )

    def newest_sync(self) -> float | None:
        """When the newest decision was made, seconds since 1970; for a thread of its own."""
        return self._backend.visit(forgetting.newest)

    def forget_older_sync(self, before: float, *, limit: int) -> int:
        """Delete the oldest of those, at most `limit`; how many; for a thread of its own."""
        found = self._backend.visit(lambda one: forgetting.older(one, before, limit)) or ()
        return self._forget(found)

    def settle_sync(self) -> bool:
        """Have SQLite's file and log let go of deleted rows, but for copies in split pages.

        Whether it could be done without waiting for others; for a thread of its own.
        """
        return self._backend.settle()

    async def scrub(self) -> None:
        """Let go of what deleted rows left: of every byte in SQLite's files.

        A server that uses the file goes on meanwhile. Of PostgreSQL's pages, log and backups see
        ``docs/protect.md``. Raises :class:`StoreError`.
        """
        await asyncio.to_thread(self._backend.scrub)

    def _forget(self, decisions: Sequence[str]) -> int:
        return self._erased(forgetting.forget, decisions)

    def _silence(self, opinions: Sequence[int]) -> int:
        return self._erased(forgetting.silence, opinions)

    def _erased(self, delete: Callable[[Connection, Sequence[V]], int], what: Sequence[V]) -> int:
        """Delete in pieces: whoever records meanwhile waits for one piece at most."""
        if not what:
            return 0
        # The other backend's connection is the writer's thread's alone.
        own = self._another()
        try:
            pieces = [what[at : at + PIECE] for at in range(0, len(what), PIECE)]
            return sum(own.transact(partial(_deleting, delete, piece)) for piece in pieces)
        finally:
            own.release()
            own.close()

    async def totals(self, since: float = 0.0) -> Totals:
        """Sums over what was created at `since` (seconds since 1970) or later."""
        return await asyncio.to_thread(self._totals, since)

    async def aclose(self) -> None:
        """Write what is pending and close; recording afterwards raises :class:`StoreError`."""
        self._desk().hand_over()
        await asyncio.to_thread(self._writer.close)
        self._backend.close()

    def _recent(self, n: int) -> tuple[Outcome, ...]:
        return self._backend.visit(lambda one: queries.recent(one, n)) or ()

    def _totals(self, since: float) -> Totals:
        return self._backend.visit(lambda one: queries.totals(one, since)) or Totals()


def _late(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())


def _deleting(
    delete: Callable[[Connection, Sequence[V]], int], piece: Sequence[V], connection: Connection
) -> int:
    return delete(connection, piece)
