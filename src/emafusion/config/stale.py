"""When each model was not what it is now, so that its answers of then say nothing: kept in a file.

Knows models and times. Who finds that a model has changed, and who passes over its answers, is not
its business.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import msgspec

from emafusion.artefacts import lock
from emafusion.errors import DataError, StoreError
from emafusion.learn.traffic import Span

log = logging.getLogger("emafusion.stale")

NAME: Final = ".stale.json"
"""Appended to the record's name."""
WAIT_S: Final = 5.0
"""Seconds that another process may take to change the file, which is a matter of milliseconds."""
AGAIN_S: Final = 60.0
"""Seconds after which what could not be noted is tried again."""
PLACE: Final = ("host", "hostaddr", "port", "dbname", "service")
"""What of an address's parameters says where the record is."""
REMEDY: Final = "free some space; a model that has changed is told of in the log all the same"


Change: TypeAlias = tuple[float, float | None]
"""When a model changed, and when it was again what it had been; ``None`` while it is not."""


def begun(changes: Sequence[Change], since: float) -> list[Change]:
    """`changes` and one `since` this time; one that is known to be over does not begin again."""
    if any(first <= since <= (first if last is None else last) for first, last in changes):
        return list(changes)
    return sorted([*changes, (since, None)], key=_begin)


def ended(changes: Sequence[Change], since: float, until: float) -> list[Change]:
    """`changes`, of which those that began between the two times were over at the second."""
    kept = [one for one in changes if not since <= one[0] <= until]
    return sorted([*kept, (since, until)], key=_begin)


def moved(changes: Sequence[Change], before: float, since: float) -> list[Change]:
    """`changes`, of which the lasting one that was dated to `before` began at `since`."""
    return begun([one for one in changes if one != (before, None)], since)


def void(changes: Sequence[Change]) -> tuple[Span, ...]:
    """When answers say nothing: before the last change that lasts, and while one did that is over.

    What a model answers since a change that lasts is what it does now.
    """
    lasting = [first for first, last in changes if last is None]
    over = [(first, last) for first, last in changes if last is not None]
    return (*([(-math.inf, max(lasting))] if lasting else []), *over)


def _begin(change: Change) -> float:
    return change[0]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A model changed at ``since``, until it was what it had been where that is known.

    ``instead`` is when the change had been thought to begin.
    """

    since: float
    until: float | None = None
    instead: float | None = None


def taken(changes: Sequence[Change], turn: Turn) -> list[Change]:
    """`changes` once `turn` is known."""
    if turn.until is not None:
        return ended(changes, turn.since, turn.until)
    if turn.instead is not None:
        return moved(changes, turn.instead, turn.since)
    return begun(changes, turn.since)


class Stale:
    """The models that have changed since the policy was fitted, and from when until when.

    Parameters
    ----------
    record : Path or None
        The record that the answers are in; ``None`` where it is on a server, beside which nothing
        can be written: then the user's state folder has the file, and each machine its own.
    address : str
        Where the server is; each database has a file of its own.
    """

    def __init__(self, record: Path | None, address: str = "") -> None:
        if record is None:
            import platformdirs

            folder = Path(platformdirs.user_state_dir("emafusion"))
            record = folder / f"postgresql{_digest(address)}"
        self.path = record.with_name(record.name + NAME)
        self._owed: deque[tuple[str, Turn]] = deque()
        self._again, self._told = -math.inf, ""

    def owe(self, model: str, turn: Turn) -> None:
        """To be noted by the next :meth:`settle`."""
        self._owed.append((model, turn))

    def settle(self) -> None:
        """Note what is owed; what cannot be is told of in the log once, and tried again later."""
        while self._owed and time.monotonic() >= self._again:
            model, turn = self._owed[0]
            try:
                self.note(model, turn.since, until=turn.until, instead=turn.instead)
            except (DataError, StoreError) as error:
                self._again = time.monotonic() + AGAIN_S
                if str(error) != self._told:
                    self._told = str(error)
                    log.warning("%s", error)
                return
            self._owed.popleft()

    def read(self) -> dict[str, tuple[Span, ...]]:
        """By model, when its answers said nothing of what it does now.

        Raises
        ------
        DataError
            The file is not what :meth:`note` wrote.
        """
        return {model: void(changes) for model, changes in self._known().items()}

    def note(
        self,
        model: str,
        since: float,
        *,
        until: float | None = None,
        instead: float | None = None,
    ) -> None:
        """`model` changed at the first time and was at the second again what it had been before.

        `instead` is when a change that lasts had been thought to begin. To note the same again
        changes nothing. Raises ``StoreError`` where the file cannot be written or another process
        keeps it for longer than :data:`WAIT_S`, ``DataError`` as :meth:`read`.
        """
        with self._alone():
            known = self._known()
            before = known.get(model, [])
            now = taken(before, Turn(since=since, until=until, instead=instead))
            if now != before:
                self._write({**known, model: now})

    def _known(self) -> dict[str, list[Change]]:
        if not self.path.exists():
            return {}
        try:
            told = msgspec.json.decode(self.path.read_bytes(), type=dict[str, list[Change] | float])
        except (OSError, msgspec.MsgspecError) as error:
            raise DataError(
                f"{str(self.path)!r} cannot be read: {error}; delete it, and answers from before "
                "a model changed are learnt from again"
            ) from error
        # Until ends were noted too, a file held the time of each model's last change alone.
        return {
            model: one if isinstance(one, list) else [(one, None)] for model, one in told.items()
        }

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from the file: what one adds, another must not take away."""
        place = self.path.with_name(f".{self.path.name}.lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with lock.held(place, wait_s=WAIT_S):
                yield
        except OSError as error:
            raise self._refused(error) from error

    def _write(self, known: dict[str, list[Change]]) -> None:
        # A draft of this process's own: where the system has no locks, two may write at once.
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.draft")
        try:
            with draft.open("wb") as file:
                file.write(msgspec.json.encode(known, order="sorted"))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(f"cannot write {str(self.path)!r}: {error.strerror or error}; {REMEDY}")


def _digest(address: str) -> str:
    """What tells databases apart, of an address: never its user, password or other settings."""
    if not address:
        return ""
    parts = urlsplit(address)
    place = [one for one in sorted(parse_qsl(parts.query)) if one[0] in PLACE]
    told = msgspec.json.encode([parts.netloc.rpartition("@")[2], parts.path, place])
    return f"-{hashlib.sha256(told).hexdigest()[:16]}"
