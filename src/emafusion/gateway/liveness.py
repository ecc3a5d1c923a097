"""A file that says its process lives: locked, and the system drops the lock however that ends.

Knows files and locks; not what is in the file.
"""

from __future__ import annotations

import os
from pathlib import Path


def living(path: Path) -> int:
    """Make the file at `path`, to be written to; its number. It counts as alive until it is closed.

    A process that inherits the number keeps it alive as well. Raises ``OSError``.
    """
    unborn = path.with_suffix(".unborn")
    file = os.open(unborn, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
    # Nobody finds it before it is locked.
    _lock(file)
    unborn.rename(path)
    return file


def of_a_dead(path: Path) -> int | None:
    """The number of the file at `path`, locked now, if nobody who made it lives."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        _lock(file)
    except OSError:
        os.close(file)
        return None
    return file


def _lock(file: int) -> None:
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
