"""The collector's diary: a file of JSON lines that a killed process leaves whole.

It knows lines, locks and disks. What is in a line, it knows only by the types below; it neither
asks models nor marks answers. A line is durable when :meth:`Journal.append` returns; a last line
that a crash tore is cut off when the file is opened again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from emafusion.errors import DataError, StoreError

FILE = "journal.jsonl"

Split = Literal["train", "val", "test"]

Cell: TypeAlias = tuple[str, str, int]
"""What is paid for once: query id, model, sample."""


class _Row(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="row"):
    """The base of every line."""


class Posed(_Row, frozen=True, kw_only=True, tag="question"):
    """A question as it was put, and its split; the last one of an id counts."""

    query_id: str
    split: Split
    question: msgspec.Raw


class Priced(_Row, frozen=True, kw_only=True, tag="model"):
    """A model's prices, US dollars per million tokens; the last ones count."""

    model: str
    usd_per_mtok_in: float
    usd_per_mtok_out: float


class _OfCell(_Row, frozen=True, kw_only=True):
    """A line about one cell."""

    query_id: str
    model: str
    sample: int = 0

    @property
    def cell(self) -> Cell:
        """The cell it is about."""
        return (self.query_id, self.model, self.sample)


class Asked(_OfCell, frozen=True, kw_only=True, tag="asked"):
    """A call is about to be made; it may cost up to `reserved_usd`, should we die in it."""

    reserved_usd: float


class Answered(_OfCell, frozen=True, kw_only=True, tag="answered"):
    """A reply and what it cost; log-probabilities are natural, over the reply's tokens."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    latency_s: float
    mean_logprob: float | None = None
    min_logprob: float | None = None


class Failed(_OfCell, frozen=True, kw_only=True, tag="failed"):
    """A call that gave no reply; `permanent` ones are not tried again unasked.

    ``cost_usd`` is what it may have cost: the reservation, where the failure does not rule out
    that the upstream billed it.
    """

    error: str
    permanent: bool
    cost_usd: float


Row: TypeAlias = Posed | Priced | Asked | Answered | Failed
_DECODER = msgspec.json.Decoder(Row)


class Journal:
    """The journal of the folder `folder`, open for reading and appending by this process alone.

    Attributes
    ----------
    repaired : bool
        Whether a torn last line was cut off.

    Raises
    ------
    StoreError
        The folder cannot be written, or another process has the journal open.
    DataError
        A line other than the last is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.repaired = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise _store_error(error, self.path) from error
        try:
            _lock(self._file, self.path)
            if os.fstat(self._file).st_ino != self.path.stat().st_ino:
                raise StoreError(f"{str(self.path)!r} was replaced just now; run this again")
            self._rows = self._read()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def rows(self) -> Iterator[Row]:
        """Every line, oldest first, those appended since included."""
        return iter(self._rows)

    def append(self, *rows: Row, durable: bool = True) -> None:
        """Write `rows` as one piece; with `durable`, return once they are on the disk.

        Raises :class:`StoreError`, and leaves the file as it was, where that cannot be done.
        """
        data = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        size = os.fstat(self._file).st_size
        try:
            _write(self._file, data)
            if durable:
                os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)
            raise _store_error(error, self.path) from error
        self._rows.extend(rows)

    def close(self) -> None:
        """Give the file and its lock back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read(self) -> list[Row]:
        data = self.path.read_bytes()
        *lines, rest = data.split(b"\n")
        rows: list[Row] = []
        good = 0
        for number, line in enumerate(lines, start=1):
            try:
                rows.append(_DECODER.decode(line))
            except msgspec.DecodeError as error:
                if number == len(lines) and not rest:
                    break
                raise DataError(
                    f"{str(self.path)!r} line {number} is damaged ({error}); restore the file, or "
                    "remove that line to have its cell asked again"
                ) from error
            good += len(line) + 1
        if good < len(data):
            os.ftruncate(self._file, good)
            self.repaired = True
        return rows


def _write(file: int, data: bytes) -> None:
    """All of `data`: a disk that fills up may take a part."""
    while data:
        data = data[os.write(file, data) :]


def _lock(file: int, path: Path) -> None:
    """Keep other processes out; the lock ends with the process, however it ends."""
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StoreError(
            f"{str(path)!r} is being written by another collection; wait for it or use "
            "another folder"
        ) from error


def _store_error(error: OSError, path: Path) -> StoreError:
    reason = error.strerror or type(error).__name__
    return StoreError(
        f"cannot write {str(path)!r}: {reason}; check the folder, its space and rights"
    )
