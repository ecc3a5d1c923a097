"""Who serves, and how that came about: the files ``current`` and ``history.jsonl`` of a folder.

``current`` is one small file that is replaced by renaming. It holds the event that led to it, so a
crash at any byte leaves the old state or the new one, and an event that a crash kept out of the
history is written down with the next change. What is damaged is set aside by the next change, and
``current`` made anew from the history. It knows ids, not policies; who calls holds the lock.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from emafusion.artefacts.folder import sync
from emafusion.errors import ArtefactError

log = logging.getLogger("emafusion.policies")

CURRENT = "current"
HISTORY = "history.jsonl"
DAMAGED_HISTORY = "history.damaged"
DAMAGED_CURRENT = "current.damaged"
REMEMBERED: Final = 50
"""Policies that served before and can be gone back to, at most."""

What = Literal["promote", "canary", "withdraw", "rollback"]


class Serving(Struct, frozen=True, kw_only=True):
    """Who serves: the policy `id`, and beside it `candidate` for `share` of the requests."""

    id: str
    candidate: str | None = None
    share: float = 0.0

    def choose(self, key: str) -> str:
        """The id of the policy that answers `key`, such as a request's id.

        A pure function of the key: one key is answered by the same policy in every process;
        another candidate draws other keys.
        """
        if self.candidate is None:
            return self.id
        drawn = f"{self.candidate}\0{key}".encode(errors="surrogatepass")
        told = hashlib.blake2b(drawn, digest_size=8).digest()
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
    try:
        return _state(folder)
    except (OSError, ValueError, RecursionError) as wrong:
        raise ArtefactError(
            f"cannot read {str(folder / CURRENT)!r}: {wrong}; where it is damaged, the next "
            "promote or rollback makes it anew from the history"
        ) from wrong


def history(folder: Path) -> tuple[Event, ...]:
    """Every change in `folder`, oldest first; lines that are damaged are passed over and told of.

    Raises
    ------
    ArtefactError
        The file cannot be read.
    """
    try:
        events, damaged = _written(folder)
    except OSError as wrong:
        raise ArtefactError(f"cannot read {str(folder / HISTORY)!r}: {wrong}") from wrong
    if damaged:
        log.warning("%d damaged lines of %s are passed over", len(damaged), str(folder / HISTORY))
    missing = _missing(state(folder), events)
    return events if missing is None else (*events, missing)


def promoted(past: tuple[str, ...], served: str | None, name: str) -> tuple[str, ...]:
    """Those that served before `name` once it serves in the place of `served`."""
    if served is None or served == name:
        return past
    return (*(one for one in past if one != name), served)[-REMEMBERED:]


def change(folder: Path, to: State) -> None:
    """Make `to` the state of `folder` at once, then write its event down."""
    _replace(folder / CURRENT, _encoded(to))
    _note(folder, to.event)


def mend(folder: Path) -> None:
    """Set aside what is damaged, and write down an event that a crash kept out of the history.

    A damaged ``current`` is made anew from the history; without one, nothing serves.

    Raises
    ------
    OSError
        The folder cannot be read or written.
    """
    events, damaged = _written(folder)
    if damaged:
        _set_aside(folder, events, damaged)
    try:
        found = _state(folder)
    except (IsADirectoryError, ValueError, RecursionError) as wrong:
        found = _replayed(events)
        place = _free(folder / DAMAGED_CURRENT)
        log.warning(
            "%s is damaged (%s): it is now %s, and %s",
            *(str(folder / CURRENT), wrong, place.name),
            "no policy serves" if found is None else f"by the history {found.serving.id} serves",
        )
        (folder / CURRENT).rename(place)
        if found is not None:
            _replace(folder / CURRENT, _encoded(found))
    missing = _missing(found, events)
    if missing is not None:
        _note(folder, missing)


def last_number(folder: Path) -> int:
    """The number of the last event in `folder`, also where ``current`` is lost; 0 before any."""
    return max((event.number for event in history(folder)), default=0)


def _state(folder: Path) -> State | None:
    try:
        return msgspec.json.decode((folder / CURRENT).read_bytes(), type=State)
    except FileNotFoundError:
        return None


def _missing(found: State | None, events: tuple[Event, ...]) -> Event | None:
    """The event that led to the state `found`, where it is not among `events`."""
    if found is None or (events and events[-1].number >= found.event.number):
        return None
    return found.event


def _written(folder: Path) -> tuple[tuple[Event, ...], tuple[bytes, ...]]:
    """The events written down, and the lines that are none; a last line without end is neither."""
    path = folder / HISTORY
    *lines, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    events, damaged = [], []
    for line in lines:
        try:
            events.append(msgspec.json.decode(line, type=Event))
        except (ValueError, RecursionError):
            damaged.append(line)
    return tuple(events), tuple(damaged)


def _replayed(events: Iterable[Event]) -> State | None:
    """What `events` led to, one after another."""
    found: State | None = None
    for event in events:
        served = None if found is None else found.serving.id
        past = () if found is None else found.past
        to = Serving(id=event.id)
        if event.what == "promote":
            past = promoted(past, served, event.id)
        elif event.what == "rollback":
            past = past[: past.index(event.id)] if event.id in past else ()
        elif served is not None:
            tried = event.what == "canary"
            to = Serving(id=served, candidate=event.id if tried else None, share=event.share)
        found = State(serving=to, event=event, past=past)
    return found


def _set_aside(folder: Path, events: Iterable[Event], damaged: tuple[bytes, ...]) -> None:
    """Keep the `events` alone in the history; the other lines go to another file first."""
    log.warning(
        "%d damaged lines of %s are now in %s",
        *(len(damaged), str(folder / HISTORY), DAMAGED_HISTORY),
    )
    with (folder / DAMAGED_HISTORY).open("ab") as file:
        file.writelines(line + b"\n" for line in damaged)
        file.flush()
        os.fsync(file.fileno())
    _replace(folder / HISTORY, b"".join(msgspec.json.encode(one) + b"\n" for one in events))


def _free(path: Path) -> Path:
    """`path`, or the first of ``path.2``, ``path.3`` … that is not taken."""
    others = (path.with_name(f"{path.name}.{number}") for number in itertools.count(2))
    return next(one for one in itertools.chain([path], others) if not one.exists())


def _encoded(to: State) -> bytes:
    return msgspec.json.format(msgspec.json.encode(to), indent=1) + b"\n"


def _replace(path: Path, content: bytes) -> None:
    """Put `content` into `path`: the old content or the new, whenever a crash comes."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync(path.parent)


def _note(folder: Path, event: Event) -> None:
    """Append `event`, over a last line that a crash tore."""
    with (folder / HISTORY).open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(msgspec.json.encode(event) + b"\n")
        file.flush()
        os.fsync(file.fileno())
