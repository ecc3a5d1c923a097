"""A folder of fitted policies, of which one serves: added whole, promoted at once, rolled back.

::

    versions/0007-3f9c01d2a4b6/   a complete artefact, never changed once it is there
    current                       who serves, who is tried beside it, who served before
    history.jsonl                 what was promoted, tried and rolled back, and why
    lock                          held by whoever changes any of these

Readers need no lock. Every change first mends what is damaged (see
:mod:`emafusion.artefacts.serving`). Whether a policy deserves to serve, others say.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
import math
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from emafusion.artefacts import serving
from emafusion.artefacts.folder import MANIFEST, MANY, Artefact, Manifest, read, sync, write
from emafusion.artefacts.lock import held
from emafusion.artefacts.serving import Event, Serving, State, What
from emafusion.errors import ArtefactError, StoreError

log = logging.getLogger("emafusion.policies")

LOCK = "lock"
VERSIONS = MANY
DRAFTS = "drafts"
WAIT_S = 30.0
ANYONE = "anyone"
"""Not the id of any policy."""

_ID = re.compile(r"(\d{4,})-[0-9a-f]{12}")


class Versions:
    """The policies in `folder`.

    Every method that changes the folder raises :class:`StoreError` where another process is still
    changing it after `wait_s` seconds, or where it cannot be written.

    Parameters
    ----------
    folder : Path
        Made by the first change.
    wait_s : float, default 30
        Seconds to wait for another process that is changing the folder.
    """

    def __init__(self, folder: Path, *, wait_s: float = WAIT_S) -> None:
        self.folder = folder
        self.wait_s = wait_s

    def add(self, artefact: Artefact) -> str:
        """Keep `artefact` and return its id: that of the same one, dates apart, if it is kept.

        Where what is kept of it is damaged, `artefact` takes its place.
        """
        with self._changing():
            drafts = self.folder / DRAFTS
            # Whoever made them is gone: we hold the lock.
            shutil.rmtree(drafts, ignore_errors=True)
            fresh = drafts / "policy"
            digest = _digest(write(fresh, artefact).manifest)
            known = self.ids()
            name = next((one for one in known if one.endswith(f"-{digest}")), None)
            if name is None:
                name = f"{self._last_number(known) + 1:04d}-{digest}"
                fresh.rename(self._place(name))
                sync(self.folder / VERSIONS)
            elif not self._readable(name):
                self._place(name).rename(drafts / name)
                fresh.rename(self._place(name))
                sync(self.folder / VERSIONS)
            shutil.rmtree(drafts)
            return name

    def promote(
        self,
        name: str,
        *,
        why: str,
        figures: Mapping[str, float] | None = None,
        over: str | None = ANYONE,
    ) -> Serving:
        """Let the policy `name` serve all requests from now on.

        `over` is the policy it was compared with, ``None`` where none served: where that is no
        longer so, nothing changes. Of `figures`, those that are not finite are left out of the
        history.

        Raises
        ------
        ArtefactError
            There is no such policy, it is damaged, or another one than `over` serves.
        """
        with self._changing():
            # Read under the lock: nobody removes it between the look and the change.
            self.read(name)
            state = serving.state(self.folder)
            served = None if state is None else state.serving.id
            _check_over(name, over, served)
            past = serving.promoted(() if state is None else state.past, served, name)
            event = self._event("promote", name, state, why=why, figures=figures)
            return self._change(Serving(id=name), event, past)

    def canary(
        self,
        name: str,
        share: float,
        *,
        why: str = "",
        figures: Mapping[str, float] | None = None,
        over: str | None = ANYONE,
    ) -> Serving:
        """Let the policy `name` serve `share`, in (0, 1), of the requests beside the current one.

        `over` and `figures` are as in :meth:`promote`.

        Raises
        ------
        ArtefactError
            There is no such policy, it is damaged, none serves yet, it serves already, another one
            than `over` serves, or the share makes no sense.
        """
        if not 0.0 < share < 1.0:
            raise ArtefactError(f"a canary's share must lie between 0 and 1, not at {share!r}")
        with self._changing():
            self.read(name)
            state = self._served()
            _check_over(name, over, state.serving.id)
            if name == state.serving.id:
                raise ArtefactError(f"policy {name!r} serves all requests already")
            event = self._event("canary", name, state, why=why, figures=figures)
            event = msgspec.structs.replace(event, share=share)
            to = Serving(id=state.serving.id, candidate=name, share=share)
            return self._change(to, event, state.past)

    def withdraw(self, *, why: str = "") -> Serving:
        """End the canary: the current policy serves all requests again.

        Raises
        ------
        ArtefactError
            No policy is being tried.
        """
        with self._changing():
            state = self._served()
            if state.serving.candidate is None:
                raise ArtefactError("no policy is being tried: there is no canary to end")
            event = self._event("withdraw", state.serving.candidate, state, why=why)
            return self._change(Serving(id=state.serving.id), event, state.past)

    def rollback(self, *, why: str = "") -> Serving:
        """Let the policy serve that served before the current one; again, the one before that.

        Those that cannot be read are passed over, and told of in the log.

        Raises
        ------
        ArtefactError
            None served before, or none of them is kept and whole.
        """
        with self._changing():
            state = self._served()
            past = self._kept(state)
            if not past:
                raise ArtefactError(
                    f"no policy that can be read served before {state.serving.id!r}: there is "
                    "none to go back to"
                )
            event = self._event("rollback", past[-1], state, why=why)
            return self._change(Serving(id=past[-1]), event, past[:-1])

    def prune(self, keep: int, *, besides: str | None = None) -> tuple[str, ...]:
        """Remove all but the last `keep` policies; returns the ids that are gone.

        Those that serve, are tried, or served last are always kept, and so is `besides`.
        """
        with self._changing():
            state = serving.state(self.folder)
            known = self.ids()
            needed = {*known[max(len(known) - keep, 0) :], besides}
            if state is not None:
                now = state.serving
                needed |= {now.id, now.candidate or now.id, *self._kept(state)[-1:]}
            gone = tuple(one for one in known if one not in needed)
            drafts = self.folder / DRAFTS
            drafts.mkdir(exist_ok=True)
            for name in gone:
                # Renamed first: a crash leaves a policy whole or out of the way.
                self._place(name).rename(drafts / name)
            sync(self.folder / VERSIONS)
            shutil.rmtree(drafts)
            return gone

    def current(self) -> Serving | None:
        """Who serves; ``None`` before any policy was promoted.

        Raises
        ------
        ArtefactError
            The file that says so is damaged.
        """
        state = serving.state(self.folder)
        return None if state is None else state.serving

    def previous(self) -> str | None:
        """The policy that :meth:`rollback` would restore, if there is one."""
        state = serving.state(self.folder)
        past = () if state is None else self._kept(state)
        return past[-1] if past else None

    def stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever who serves changes: time (ns), inode and size of ``current``.

        One call of ``stat``, for a serving process to make every second; ``None`` before any
        policy was promoted.

        Raises
        ------
        ArtefactError
            The folder cannot be looked at.
        """
        try:
            found = (self.folder / serving.CURRENT).stat()
        except FileNotFoundError:
            return None
        except OSError as wrong:
            raise ArtefactError(f"cannot look at {str(self.folder)!r}: {wrong}") from wrong
        return found.st_mtime_ns, found.st_ino, found.st_size

    def ids(self) -> tuple[str, ...]:
        """Every policy that is kept, oldest first."""
        place = self.folder / VERSIONS
        names = [one.name for one in place.iterdir()] if place.is_dir() else []
        return tuple(sorted((one for one in names if _ID.fullmatch(one)), key=_number))

    def read(self, name: str) -> Artefact:
        """The policy `name`, checked against its hash.

        Raises
        ------
        ArtefactError
            There is none of that id, or it is damaged.
        """
        self._check(name)
        return read(self._place(name))

    def manifest(self, name: str) -> Manifest:
        """What the policy `name` says of itself, without reading its arrays; raises as above."""
        self._check(name)
        path = self._place(name) / MANIFEST
        try:
            return msgspec.json.decode(path.read_bytes(), type=Manifest)
        except (OSError, ValueError, RecursionError) as wrong:
            raise ArtefactError(f"cannot read {str(path)!r}: {wrong}") from wrong

    def history(self) -> tuple[Event, ...]:
        """Every change of who serves, oldest first; damaged lines are told of in the log.

        Raises
        ------
        ArtefactError
            It cannot be read.
        """
        return serving.history(self.folder)

    def _check(self, name: str) -> None:
        if not _ID.fullmatch(name) or not self._place(name).is_dir():
            known = ", ".join(self.ids()[-5:]) or "none"
            raise ArtefactError(
                f"there is no policy {name!r} in {str(self.folder)!r}; the last are: {known}"
            )

    def _place(self, name: str) -> Path:
        return self.folder / VERSIONS / name

    def _kept(self, state: State) -> tuple[str, ...]:
        """Those that served before and are still there, up to the last one that can be read."""
        known = set(self.ids())
        past = [one for one in state.past if one in known]
        while past and not self._readable(past[-1]):
            past.pop()
        return tuple(past)

    def _readable(self, name: str) -> bool:
        """Whether the policy `name` is whole; where it is not, the log says so."""
        try:
            self.read(name)
        except ArtefactError as wrong:
            log.warning("%s", wrong)
            return False
        return True

    def _last_number(self, known: tuple[str, ...]) -> int:
        """The highest number that is known to have been given, to what was pruned too."""
        told = [event.id for event in self.history() if _ID.fullmatch(event.id)]
        return max((_number(one) for one in (*known, *told)), default=0)

    def _served(self) -> State:
        state = serving.state(self.folder)
        if state is None:
            raise ArtefactError(f"no policy of {str(self.folder)!r} serves yet; promote one first")
        return state

    def _event(
        self,
        what: What,
        name: str,
        state: State | None,
        *,
        why: str,
        figures: Mapping[str, float] | None = None,
    ) -> Event:
        return Event(
            number=serving.last_number(self.folder) + 1,
            what=what,
            id=name,
            at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            before=None if state is None else state.serving.id,
            # JSON holds neither half characters nor numbers that are none.
            why=why.encode(errors="replace").decode(),
            figures={n: float(x) for n, x in (figures or {}).items() if math.isfinite(x)},
        )

    def _change(self, to: Serving, event: Event, past: tuple[str, ...]) -> Serving:
        serving.change(self.folder, State(serving=to, event=event, past=past))
        return to

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """The folder, locked, and its history made to hold what a crash kept out of it."""
        try:
            (self.folder / VERSIONS).mkdir(parents=True, exist_ok=True)
            with held(self.folder / LOCK, wait_s=self.wait_s):
                serving.mend(self.folder)
                yield
        except OSError as error:
            raise StoreError(
                f"cannot write {str(self.folder)!r}: {error.strerror or error}; "
                "check the folder, its space and rights"
            ) from error


def is_one(folder: Path) -> bool:
    """Whether `folder` holds versions of policies rather than one policy."""
    return (folder / VERSIONS).is_dir()


def _check_over(name: str, over: str | None, served: str | None) -> None:
    if over not in (ANYONE, served):
        raise ArtefactError(
            f"policy {name!r} was compared with {over!r}, but {served!r} serves by now; "
            "compare it with that one"
        )


def _digest(manifest: Manifest) -> str:
    """What the policy is, whenever it was made."""
    told = msgspec.json.encode(msgspec.structs.replace(manifest, created=""), order="sorted")
    return hashlib.sha256(told).hexdigest()[:12]


def _number(name: str) -> int:
    return int(name.partition("-")[0])
