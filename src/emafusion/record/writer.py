"""One thread that writes rows, many to a transaction.

While one transaction waits for the disk the next rows gather, so a busy server pays few waits and
an idle one never waits for company. Rows outlast a database that is away: they are written when it
is back. Knows when rows are durable; not what they mean.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import islice
from threading import Condition, Thread

from emafusion.errors import EmafusionError, StoreError
from emafusion.record.backends import AwayError, Backend, UnfitError
from emafusion.record.rows import Row, write

MAX_BATCH = 256
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
"""Between attempts at a database that is away; doubled each time."""
PATIENCE_S = 5.0
"""How long a database may be away before nothing more is promised to be recorded."""
Results = Sequence[EmafusionError | None]
"""What speaks against each of several rows."""
Pending = tuple[Sequence[Row], "Future[Results]"]


class Writer:
    """Writes rows to `backend`, from any number of threads and event loops.

    Parameters
    ----------
    backend : Backend
        The database.
    max_pending : int
        How many rows may wait for it.
    patience_s : float
        How long it may be away, seconds, before it is `failing`.
    """

    def __init__(
        self, backend: Backend, *, max_pending: int, patience_s: float = PATIENCE_S
    ) -> None:
        self.max_pending = max_pending
        self.commits = 0
        self.trouble: str | None = None
        """Why the database is away, while it is."""
        self.failing: str | None = None
        """Why the last transaction failed, or has been failing for longer than `patience_s`, or
        would as :meth:`doubted` was told, until one succeeds or :meth:`recovered` is told."""
        self._patience_s = patience_s
        self._doubted: float | None = None
        self._began: float | None = None
        self._backend = backend
        self._pending: deque[Pending] = deque()
        self._queued = 0
        self._batch: list[Pending] = []
        self._waiting: list[Future[None]] = []
        self._changed = Condition()
        self._thread: Thread | None = None
        self._closed = False

    def submit(self, rows: Sequence[Row]) -> Future[Results] | None:
        """Queue `rows`: a future, done once they are durable, or ``None`` while there is no room.

        Where there is room for one there is room for all.
        """
        future: Future[Results] = Future()
        with self._changed:
            if self._closed:
                raise StoreError(f"the record {self._backend.place} is closed")
            if self._queued >= self.max_pending:
                return None
            if self._thread is None:
                thread = Thread(target=self._run, name="emafusion-record", daemon=True)
                thread.start()
                self._thread = thread
            self._pending.append((rows, future))
            self._queued += len(rows)
            self._changed.notify()
        return future

    def room(self) -> Future[None]:
        """A future that is done when it is worth trying :meth:`submit` again."""
        future: Future[None] = Future()
        with self._changed:
            if self._queued < self.max_pending:
                future.set_result(None)
            else:
                self._waiting.append(future)
        return future

    @property
    def overdue(self) -> str | None:
        """Why nothing more can be promised though no attempt failed: one has no end."""
        began = self._began
        if began is None or time.monotonic() - began <= self._patience_s:
            return None
        return f"the record {self._backend.place} hangs: nothing was written for a while"

    def doubted(self, why: str) -> None:
        """Take note that a transaction would fail now: one may be long in coming."""
        now = time.monotonic()
        if self._doubted is None:
            self._doubted = now
        elif now - self._doubted >= self._patience_s:
            self.failing = why

    def recovered(self) -> None:
        """Take note that a transaction would succeed again."""
        self.failing = self._doubted = None

    def close(self) -> None:
        """Write what is queued and end the thread; afterwards :meth:`submit` raises.

        A database that is away is not waited for: what is queued then fails.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            while self._take():
                self._write(self._batch)
                self._batch = []
        finally:
            self._end()

    def _take(self) -> bool:
        """Wait for rows and take a batch of them; ``False`` once closed and empty, or in vain."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closed)
            if self._closed and self.trouble is not None:
                return False
            size = 0
            while self._pending and size < MAX_BATCH:
                self._batch.append(self._pending.popleft())
                size += len(self._batch[-1][0])
            self._queued -= size
            self._admit()
        return bool(self._batch)

    def _admit(self) -> None:
        """Wake those who wait for room."""
        for future in self._waiting:
            future.set_result(None)
        self._waiting.clear()

    def _write(self, batch: Sequence[Pending]) -> None:
        self._began = time.monotonic()
        try:
            results = iter(self._results([row for rows, _ in batch for row in rows]))
        finally:
            self._began = None
        for rows, future in batch:
            future.set_result(list(islice(results, len(rows))))

    def _results(self, rows: Sequence[Row]) -> Results:
        """What came of each of `rows`, tried until the database is there or the record closed.

        A commit whose answer got lost may be tried twice; rows that are there already stay as they
        are.
        """
        pause_s, began = FIRST_PAUSE_S, time.monotonic()
        while True:
            try:
                results = self._commit(rows)
            except AwayError as error:
                self.trouble = str(error)
                if time.monotonic() - began >= self._patience_s:
                    self.failing = self.trouble
                if self._closes_within(pause_s):
                    return [error] * len(rows)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            except StoreError as error:
                self.failing = str(error)
                return [error] * len(rows)
            else:
                self.trouble = None
                self.recovered()
                return results

    def _commit(self, rows: Sequence[Row]) -> Results:
        try:
            results = self._backend.transact(lambda connection: write(connection, rows))
        except UnfitError as error:
            if len(rows) == 1:
                return [error]
            # One that does not fit fails no other: it is found by halving.
            half = len(rows) // 2
            return [*self._commit(rows[:half]), *self._commit(rows[half:])]
        self.commits += 1
        return results

    def _closes_within(self, pause_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, pause_s)

    def _end(self) -> None:
        """Close, and fail whatever a dying thread leaves behind: nobody waits for it forever."""
        self._backend.release()
        with self._changed:
            self._thread = None
            left = [*self._batch, *self._pending]
            self._batch = []
            self._pending.clear()
            self._queued = 0
            self._admit()
        for _, future in left:
            if not future.done():
                future.set_exception(
                    StoreError(f"the record {self._backend.place} stopped writing")
                )
