"""One process at a time: a lock on a file, which the system lifts when its owner dies."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

TICK_S = 0.1


@contextmanager
def locked(path: Path, *, check: Callable[[], None]) -> Iterator[None]:
    """Hold the lock on `path`; `check` is called while waiting, to raise when that is pointless."""
    with path.open("a+b") as file:
        while not _try(file):
            check()
            time.sleep(TICK_S)
        yield


def held(path: Path) -> bool:
    """Whether a process holds the lock on `path` now."""
    try:
        with path.open("r+b") as file:
            return not _try(file)
    except OSError:
        # No such file, or one that only its owner may open.
        return False


if sys.platform == "win32":
    import msvcrt

    def _try(file: IO[bytes]) -> bool:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
