"""The files behind counts that several workers share, with their space taken beforehand.

``prometheus_client`` counts in memory that files back, and makes these longer without asking for
space; where a disk is full, touching such memory kills the process. Knows the files' names and
their first four bytes, which say how much of one is used.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
from collections.abc import Mapping
from pathlib import Path

from emafusion.errors import StoreError

log = logging.getLogger("emafusion.gateway")

FIRST_BYTES: Mapping[str, int] = {
    "counter": 1 << 19,
    "histogram": 1 << 19,
    "gauge_livesum": 1 << 16,
    "gauge_livemin": 1 << 16,
    "gauge_livemax": 1 << 16,
}
"""What each kind of count begins with, bytes: room for some thousands."""


class Backing:
    """A process's files in `folder`; raises ``StoreError`` where there is no space for them.

    To be made before the first count: the library takes files as it finds them.
    """

    def __init__(self, folder: Path) -> None:
        self._sizes = {folder / f"{kind}_{os.getpid()}.db": n for kind, n in FIRST_BYTES.items()}
        self._told = False
        try:
            for path, size in self._sizes.items():
                _fill(path, size)
        except OSError as error:
            raise StoreError(
                f"cannot keep counts in {str(folder)!r}: {error}; free space there"
            ) from error

    def grow(self) -> None:
        """Double a file that is half used: the library doubles one that is full."""
        for path, size in self._sizes.items():
            try:
                if _used(path) > size // 2:
                    _fill(path, 2 * size)
                    self._sizes[path] = 2 * size
            except OSError as error:
                if not self._told:
                    log.warning("no space for more counts: %s: %s", path, error)
                self._told = True


def settle(folder: Path, process: int) -> None:
    """Keep what an ended process has counted: not its gauges, and no space that is not used."""
    for path in folder.glob(f"*_{process}.db"):
        with contextlib.suppress(OSError):
            if path.name.startswith("gauge_live"):
                path.unlink()
            else:
                os.truncate(path, _used(path))


def _fill(path: Path, size: int) -> None:
    """Have the file at `path` take `size` bytes on its disk."""
    with path.open("ab") as file:
        # Written, not only made longer: that is what takes the space.
        file.write(bytes(max(0, size - file.tell())))


def _used(path: Path) -> int:
    with path.open("rb") as file:
        found: int = struct.unpack("i", file.read(4))[0]
    return found
