"""The folder that the processes of one server share, gone with the last of them.

What callers said may lie in it, so it must not outlive a server that was killed: whoever makes the
next one sweeps it away. Knows folders; not what is in them.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emafusion.gateway.liveness import living, of_a_dead

PREFIX = "emafusion-"
OWNER = "owner.lock"


@contextmanager
def shared(place: Path | None = None) -> Iterator[tuple[Path, int]]:
    """A new folder, its user's alone, and the number of the file that says it is in use.

    Processes that shall have it, however long this one lives, inherit that file. The folder is made
    in `place`, by default where the system wants temporary files.
    """
    place = Path(tempfile.gettempdir()) if place is None else place
    sweep(place)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place) as name:
        folder = Path(name)
        file = living(folder / OWNER)
        try:
            yield folder, file
        finally:
            os.close(file)


def sweep(place: Path) -> None:
    """Remove what killed servers of this user have left in `place`."""
    for path in place.glob(f"{PREFIX}*/{OWNER}"):
        if not _own(path.parent):
            continue
        file = of_a_dead(path)
        if file is not None:
            shutil.rmtree(path.parent, ignore_errors=True)
            os.close(file)


def _own(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
