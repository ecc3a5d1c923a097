"""A file that one process at a time may hold. Knows nothing of what it guards."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emafusion.errors import StoreError

POLL_S = 0.02


@contextmanager
def held(path: Path, *, wait_s: float) -> Iterator[None]:
    """Hold the lock `path`; it ends with the process, however that ends.

    Where the system has no such locks (Windows), nothing is held.

    Raises
    ------
    StoreError
        Another process still holds it after `wait_s` seconds.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(file, path, time.monotonic() + wait_s)
        yield
    finally:
        os.close(file)


def _take(file: int, path: Path, until: float) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise StoreError(
                    f"another process is changing the files in {str(path.parent)!r}; "
                    "wait for it, then run this again"
                ) from error
        time.sleep(POLL_S)
