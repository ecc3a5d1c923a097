"""One thread that writes rows, many to a transaction.

While one transaction waits for the disk the next rows gather, so a busy server pays few waits and
an idle one never waits for company. Knows when rows are durable; not what they mean.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Condition, Thread

from emafusion.errors import EmafusionError, StoreError
from emafusion.record.remedies import store_error
from emafusion.record.rows import Row
from emafusion.record.schema import Synchronous, abandon, connect

MAX_BATCH = 256
Pending = tuple[Row, "Future[None]"]
UNFIT = (
    UnicodeError,
    OverflowError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""What a row raises whose values the table cannot hold; others would fit all the same."""


class Writer:
    """Writes rows to the store at `path`, from any number of threads and event loops.

    Parameters
    ----------
    path : Path
        The database file.
    synchronous : {"normal", "full"}
        As :class:`~emafusion.record.Store`.
    busy_timeout_s : float
        How long to wait for another process's lock, seconds.
    max_pending : int
        How many rows may wait for the disk.
    """

    def __init__(
        self, path: Path, *, synchronous: Synchronous, busy_timeout_s: float, max_pending: int
    ) -> None:
        self.path = path
        self.synchronous: Synchronous = synchronous
        self.busy_timeout_s = busy_timeout_s
        self.max_pending = max_pending
        self.commits = 0
        self._pending: deque[Pending] = deque()
        self._batch: list[Pending] = []
        self._waiting: list[Future[None]] = []
        self._changed = Condition()
        self._thread: Thread | None = None
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def submit(self, row: Row) -> Future[None] | None:
        """Queue `row`: a future, done once it is durable, or ``None`` while there is no room."""
        future: Future[None] = Future()
        with self._changed:
            if self._closed:
                raise StoreError(f"the record {str(self.path)!r} is closed")
            if len(self._pending) >= self.max_pending:
                return None
            if self._thread is None:
                thread = Thread(target=self._run, name="emafusion-record", daemon=True)
                thread.start()
                self._thread = thread
            self._pending.append((row, future))
            self._changed.notify()
        return future

    def room(self) -> Future[None]:
        """A future that is done when it is worth trying :meth:`submit` again."""
        future: Future[None] = Future()
        with self._changed:
            if len(self._pending) < self.max_pending:
                future.set_result(None)
            else:
                self._waiting.append(future)
        return future

    def close(self) -> None:
        """Write what is queued and end the thread; afterwards :meth:`submit` raises."""
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
        """Wait for rows and take a batch of them; ``False`` once closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closed)
            size = min(len(self._pending), MAX_BATCH)
            self._batch = [self._pending.popleft() for _ in range(size)]
            self._admit()
        return bool(self._batch)

    def _admit(self) -> None:
        """Wake those who wait for room."""
        for future in self._waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(None)
        self._waiting.clear()

    def _write(self, batch: Sequence[Pending]) -> None:
        # From here on a waiter that gives up no longer cancels: its row is written all the same.
        waited_for = [future.set_running_or_notify_cancel() for _, future in batch]
        try:
            results: Sequence[EmafusionError | None] = self._commit([row for row, _ in batch])
        except (sqlite3.Error, OSError, StoreError) as error:
            failure = error if isinstance(error, StoreError) else store_error(error, self.path)
            results = [failure] * len(batch)
            self._disconnect()
        for (_, future), waited, result in zip(batch, waited_for, results, strict=True):
            if waited and result is not None:
                future.set_exception(result)
            elif waited:
                future.set_result(None)

    def _commit(self, rows: Sequence[Row]) -> Sequence[EmafusionError | None]:
        connection = self._connected()
        connection.execute("BEGIN IMMEDIATE")
        results = [_inserted(row, connection) for row in rows]
        connection.execute("COMMIT")
        self.commits += 1
        return results

    def _connected(self) -> sqlite3.Connection:
        """The connection, made anew where the file was removed or replaced under it."""
        if self._connection is not None and self._file != _identity(self.path):
            self._disconnect()
        if self._connection is None:
            self._connection = connect(
                self.path, synchronous=self.synchronous, busy_timeout_s=self.busy_timeout_s
            )
            self._file = _identity(self.path)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            abandon(self._connection)
        self._connection = None

    def _end(self) -> None:
        """Close, and fail whatever a dying thread leaves behind: nobody waits for it forever."""
        self._disconnect()
        with self._changed:
            self._thread = None
            left = [*self._batch, *self._pending]
            self._batch = []
            self._pending.clear()
            self._admit()
        for _, future in left:
            if not future.done():
                future.set_exception(StoreError(f"the record {str(self.path)!r} stopped writing"))


def _inserted(row: Row, connection: sqlite3.Connection) -> EmafusionError | None:
    """Insert `row` whole or not at all; what speaks against it fails no other row of the batch."""
    connection.execute("SAVEPOINT one_row")
    try:
        problem = row.insert(connection)
    except UNFIT as error:
        connection.execute("ROLLBACK TO one_row")
        problem = StoreError(f"this cannot be recorded: {type(error).__name__}: {error}")
    connection.execute("RELEASE one_row")
    return problem


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
