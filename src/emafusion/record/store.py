"""The record in an SQLite file: what it acknowledges is durable.

Knows how to wait, for room and for the disk; :mod:`~emafusion.record.writer` knows how to write.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from emafusion.errors import StoreError
from emafusion.record.remedies import store_error
from emafusion.record.rows import FeedbackRow, Row, decode, pack
from emafusion.record.schema import Synchronous, connect
from emafusion.record.totals import ModelTotals, Totals
from emafusion.record.writer import Writer
from emafusion.types import Feedback, Outcome

T = TypeVar("T")


class Store:
    """Outcomes in an SQLite database (WAL).

    Opens nothing until it is used; :meth:`ready` tells at start what :meth:`record` would later.
    After a failure every call tries the file afresh, so recording goes on when the disk does.

    Parameters
    ----------
    path : str or PathLike
        The database file; made with mode 0600, its missing folders with 0700.
    store_content : bool
        Whether to keep prompts and texts. Without it their place stays empty, and the prompt's
        SHA-256 alone tells equal prompts apart; everything else is kept.
    synchronous : {"full", "normal"}
        What an acknowledged outcome survives. A commit has reached the operating system in either
        case, so a killed process loses nothing. ``"full"`` also waits until the disk has it, so
        neither does a power cut; ``"normal"`` saves that wait, and a power cut may take the last
        outcomes (never the file's integrity).
    busy_timeout_s : float
        How long to wait for another process's lock, seconds.
    max_wait_s : float
        How long :meth:`record` waits, for room and for the disk together, seconds.
    max_pending : int
        How many outcomes may wait for the disk; further ones wait for room.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        store_content: bool = True,
        synchronous: Synchronous = "full",
        busy_timeout_s: float = 5.0,
        max_wait_s: float = 30.0,
        max_pending: int = 1024,
    ) -> None:
        self.path = Path(path).expanduser().absolute()
        self.store_content = store_content
        self.synchronous: Synchronous = synchronous
        self.busy_timeout_s = busy_timeout_s
        self.max_wait_s = max_wait_s
        self._writer = Writer(
            self.path,
            synchronous=synchronous,
            busy_timeout_s=busy_timeout_s,
            max_pending=max_pending,
        )

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    @property
    def commits(self) -> int:
        """Transactions so far; concurrent outcomes share them."""
        return self._writer.commits

    async def ready(self) -> None:
        """Raise :class:`StoreError` where an outcome could not be recorded now."""
        await asyncio.to_thread(self._probe)

    async def record(self, outcome: Outcome) -> None:
        """Make `outcome` durable; returns only when it is.

        Cancelling the wait does not undo the writing. Raises :class:`StoreError`; after one that
        says "in time" the outcome may yet be written, and recording the same again is no error.
        """
        await self._write(pack(outcome, content=self.store_content), outcome.decision_id)

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
        return self._query(lambda connection: _noted(connection, after, limit)) or ()

    async def _write(self, row: Row, decision_id: str) -> None:
        try:
            async with asyncio.timeout(self.max_wait_s):
                future = await self._submit(row)
                await asyncio.wrap_future(future)
        except TimeoutError:
            raise StoreError(
                f"the record {str(self.path)!r} did not confirm {decision_id!r} in time "
                f"({self.max_wait_s:g} s): check whether its disk is overloaded or hangs"
            ) from None

    async def _submit(self, row: Row) -> Future[None]:
        while (future := self._writer.submit(row)) is None:
            await asyncio.wrap_future(self._writer.room())
        return future

    async def find(self, decision_id: str) -> Outcome | None:
        """The outcome of `decision_id`, or ``None``; raises :class:`StoreError`."""
        return await asyncio.to_thread(self.find_sync, decision_id)

    def find_sync(self, decision_id: str) -> Outcome | None:
        """:meth:`find` for a thread of its own."""
        return self._query(lambda connection: _find(connection, decision_id))

    async def recent(self, n: int) -> tuple[Outcome, ...]:
        """The `n` outcomes created last, newest first; raises :class:`StoreError`."""
        return await self._read(lambda connection: _recent(connection, n)) or ()

    async def recorded(self, after: int = 0, limit: int = 1000) -> tuple[tuple[int, Outcome], ...]:
        """Outcomes in the order they came, numbered; only those after the number `after`."""
        return await asyncio.to_thread(self.recorded_sync, after, limit)

    def recorded_sync(self, after: int = 0, limit: int = 1000) -> tuple[tuple[int, Outcome], ...]:
        """:meth:`recorded` for a thread of its own."""
        return self._query(lambda connection: _recorded(connection, after, limit)) or ()

    async def totals(self, since: float = 0.0) -> Totals:
        """Sums over what was created at `since` (seconds since 1970) or later."""
        return await self._read(lambda connection: _totals(connection, since)) or Totals()

    async def aclose(self) -> None:
        """Write what is pending and close; recording afterwards raises :class:`StoreError`."""
        await asyncio.to_thread(self._writer.close)

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T | None:
        return await asyncio.to_thread(self._query, query)

    def _query(self, query: Callable[[sqlite3.Connection], T]) -> T | None:
        """The answer to `query` on a connection of its own; ``None`` where nothing was recorded."""
        try:
            if not self.path.exists():
                return None
            with closing(self._connect()) as connection:
                return query(connection)
        except (sqlite3.Error, OSError) as error:
            raise store_error(error, self.path) from error

    def _probe(self) -> None:
        """Write a page, unchanged: what a full disk, a lock or a read-only file would refuse."""
        try:
            with closing(self._connect()) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("UPDATE schema_version SET applied = applied")
                connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise store_error(error, self.path) from error

    def _connect(self) -> sqlite3.Connection:
        return connect(self.path, synchronous=self.synchronous, busy_timeout_s=self.busy_timeout_s)


def _find(connection: sqlite3.Connection, decision_id: str) -> Outcome | None:
    row = connection.execute("SELECT outcome FROM decisions WHERE id = ?", (decision_id,))
    found = row.fetchone()
    return None if found is None else decode(found[0])


def _recent(connection: sqlite3.Connection, n: int) -> tuple[Outcome, ...]:
    rows = connection.execute(
        "SELECT outcome FROM decisions ORDER BY created DESC, rowid DESC LIMIT ?", (max(n, 0),)
    )
    return tuple(decode(json) for (json,) in rows)


def _recorded(
    connection: sqlite3.Connection, after: int, limit: int
) -> tuple[tuple[int, Outcome], ...]:
    rows = connection.execute(
        "SELECT rowid, outcome FROM decisions WHERE rowid > ? ORDER BY rowid LIMIT ?",
        (after, limit),
    )
    return tuple((number, decode(json)) for number, json in rows)


def _noted(
    connection: sqlite3.Connection, after: int, limit: int
) -> tuple[tuple[int, Feedback], ...]:
    rows = connection.execute(
        "SELECT seq, decision_id, caller, score, created, comment FROM feedback"
        " WHERE seq > ? ORDER BY seq LIMIT ?",
        (after, limit),
    )
    return tuple(
        (seq, Feedback(decision_id=id, caller=who, score=score, created=when, comment=said))
        for seq, id, who, score, when, said in rows
    )


def _totals(connection: sqlite3.Connection, since: float) -> Totals:
    decisions, failed, cost_usd = connection.execute(
        "SELECT count(*), count(error), total(cost_usd) FROM decisions WHERE created >= ?", (since,)
    ).fetchone()
    models = connection.execute(
        "SELECT c.model, count(*), count(c.error), total(c.cost_usd), total(c.prompt_tokens),"
        " total(c.completion_tokens) FROM calls c JOIN decisions d ON d.id = c.decision_id"
        " WHERE d.created >= ? GROUP BY c.model ORDER BY c.model",
        (since,),
    )
    return Totals(
        decisions=decisions,
        failed=failed,
        cost_usd=cost_usd,
        models={
            model: ModelTotals(
                calls=calls,
                failed=failures,
                cost_usd=cost,
                prompt_tokens=int(prompt_tokens),
                completion_tokens=int(completion_tokens),
            )
            for model, calls, failures, cost, prompt_tokens, completion_tokens in models
        },
    )
