"""Kills writers of policies and looks at what they leave: ``killing FOLDER KILLS``.

A process of its own, so that each writer is a fork of one that has its libraries loaded: some are
killed at each file operation they make, one operation after another, the others at random times.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emafusion import artefacts
from emafusion.artefacts import Versions

SIZE = 20_000


@dataclass(frozen=True)
class Kind:
    """A way to write policies, and what must be there whenever it is killed."""

    write: Callable[[Path, int], None]
    read: Callable[[Path], int]


def made(number: int) -> artefacts.Artefact:
    """A policy that says throughout which one it is."""
    manifest = artefacts.Manifest(
        version=artefacts.VERSION,
        created="2026-01-01",
        encoder="e",
        pool=("a",),
        data_digest=str(number),
    )
    return artefacts.Artefact(manifest=manifest, arrays={"a/b": np.full(SIZE, float(number))})


def number(artefact: artefacts.Artefact) -> int:
    """Which policy it is; every byte of it must agree."""
    found = {int(artefact.manifest.data_digest), *np.unique(artefact.arrays["a/b"]).tolist()}
    assert len(found) == 1, found
    return int(found.pop())


def write_folder(place: Path, after: int) -> None:
    """Replace a policy that stands alone."""
    artefacts.write(place / "policy", made(after))


def write_versions(place: Path, after: int) -> None:
    """Add and promote a policy, prune, and every third time go back."""
    versions = Versions(place / "policies")
    versions.promote(versions.add(made(after)), why="a test")
    versions.prune(2)
    if after % 3 == 0:
        versions.rollback(why="a test")


def read_folder(place: Path) -> int:
    """The policy that stands alone."""
    return number(artefacts.read(place / "policy"))


def read_versions(place: Path) -> int:
    """The policy that serves; all that is kept, and its history, must be whole."""
    versions = Versions(place / "policies")
    serving = versions.current()
    assert serving is not None
    events = versions.history()
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert events[-1].id == serving.id
    for name in versions.ids():
        number(versions.read(name))
    previous = versions.previous()
    assert previous is None or previous in versions.ids()
    return number(versions.read(serving.id))


def forked(work: Callable[[], None]) -> int:
    """The process id of a fork that does `work` and ends."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return child


def killed(child: int) -> bool:
    """Wait for `child`; whether it was killed. It must not end in another way but well."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def die_at(operation: int, place: Path) -> None:
    """Have this process kill itself at its `operation`-th file operation under `place`."""
    seen = 0

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if not event.startswith(("open", "os.", "shutil.")):
            return
        if any(isinstance(one, (str, Path)) and str(place) in str(one) for one in arguments):
            seen += 1
            if seen == operation:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hear)


def strike(kind: Kind, place: Path, turn: int, *, operation: int, wait_s: float) -> bool:
    """Kill a writer at its `operation`-th step, or after `wait_s` where that is 0; did it die?"""

    def work() -> None:
        if operation:
            die_at(operation, place)
        kind.write(place, turn)

    child = forked(work)
    if not operation:
        time.sleep(wait_s)
        os.kill(child, signal.SIGKILL)
    return killed(child)


def main(place: Path, kills: int) -> None:
    """Kill each kind of writer at every operation it makes, and `kills` times at random."""
    rng = random.Random(0)
    for kind in (Kind(write_folder, read_folder), Kind(write_versions, read_versions)):
        kind.write(place, 1)
        began = time.perf_counter()
        kind.write(place, 2)
        usual = time.perf_counter() - began
        turn, operation, dead, random_dead = 2, 1, 0, 0
        while operation or random_dead < kills:
            turn += 1
            before = kind.read(place)
            died = strike(kind, place, turn, operation=operation, wait_s=rng.random() * usual)
            now = kind.read(place)
            # Going back restores one that served before; nothing but that may be in its place.
            assert now in (before, turn) or (now < turn and turn % 3 == 0), (before, now, turn)
            assert died or turn % 3 == 0 or now == turn
            dead += died
            random_dead += died and not operation
            operation = operation + 1 if operation and died else 0
        kind.write(place, turn + 1)
        sys.stdout.write(f"{dead}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
