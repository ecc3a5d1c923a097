"""Who serves, and how that came about: the files ``current`` and ``history.jsonl`` of a folder.

``current`` is one small file that is replaced by renaming. It holds the event that led to it, so a
crash at any byte leaves the old state or the new one, and an event that a crash kept out of the
history is written down with the next change. It knows ids, not policies; who calls holds the lock.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct, field

from emafusion.errors import ArtefactError

CURRENT = "current"
HISTORY = "history.jsonl"

What = Literal["promote", "canary", "withdraw", "rollback"]


class Serving(Struct, frozen=True, kw_only=True):
    """Who serves: the policy `id`, and beside it `candidate` for `share` of the requests."""

    id: str
    candidate: str | None = None
    share: float = 0.0

    def choose(self, key: str) -> str:
        """The id of the policy that answers the request or session `key`.

        A pure function of the key: whoever asks again is served by the same policy, in every
        process; another candidate draws other keys.
        """
        if self.candidate is None:
            return self.id
        told = hashlib.blake2b(f"{self.candidate}\0{key}".encode(), digest_size=8).digest()
        return self.candidate if int.from_bytes(told) < self.share * 2.0**64 else self.id


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of who serves: the `number`-th, of policy `id`, when (UTC), why, on what figures.

    ``before`` is the policy that served until then; a canary leaves it in its place.
    """

    number: int
    what: What
    id: str
    at: str
    before: str | None = None
    share: float = 0.0
    why: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


class State(Struct, frozen=True, kw_only=True):
    """What ``current`` holds; `past` are those that served before, the last one last."""

    serving: Serving
    event: Event
    past: tuple[str, ...] = ()


def state(folder: Path) -> State | None:
    """Who serves in `folder`; ``None`` before any policy was promoted.

    Raises
    ------
    ArtefactError
        The file is damaged.
    """
    path = folder / CURRENT
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as wrong:
        raise ArtefactError(f"cannot read {str(path)!r}: {wrong}") from wrong


def history(folder: Path) -> tuple[Event, ...]:
    """Every change in `folder`, oldest first; a last line that a crash tore is passed over.

    Raises
    ------
    ArtefactError
        A line other than the last is damaged.
    """
    events = _written(folder)
    missing = _missing(folder, events)
    return events if missing is None else (*events, missing)


def change(folder: Path, to: State) -> None:
    """Make `to` the state of `folder` at once, then write its event down."""
    draft = folder / f".{CURRENT}.draft"
    with draft.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(to), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / CURRENT)
    sync(folder)
    _note(folder, to.event)


def mend(folder: Path) -> None:
    """Write down the last event, where a crash kept it out of the history."""
    missing = _missing(folder, _written(folder))
    if missing is not None:
        _note(folder, missing)


def sync(folder: Path) -> None:
    """Make the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _missing(folder: Path, events: tuple[Event, ...]) -> Event | None:
    """The event that led to the current state, where it is not among `events`."""
    found = state(folder)
    if found is None or (events and events[-1].number >= found.event.number):
        return None
    return found.event


def _written(folder: Path) -> tuple[Event, ...]:
    path = folder / HISTORY
    *lines, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    try:
        return tuple(msgspec.json.decode(line, type=Event) for line in lines)
    except msgspec.DecodeError as wrong:
        raise ArtefactError(f"{str(path)!r} is damaged: {wrong}") from wrong


def _note(folder: Path, event: Event) -> None:
    """Append `event`, over a last line that a crash tore."""
    with (folder / HISTORY).open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(msgspec.json.encode(event) + b"\n")
        file.flush()
        os.fsync(file.fileno())
