"""When Python looks for garbage while it serves: seldom, and not among what serves all requests.

Nearly all that a request makes is freed as soon as it ends, without being looked for. Looking
through everything that is loaded stops all requests for tens of milliseconds, and finds nothing.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator
from typing import Final

OBJECTS: Final = 2_000
"""New objects, beyond those that were freed, after which the youngest are looked through."""


@contextlib.contextmanager
def seldom() -> Iterator[None]:
    """Look seldom for as long as the block runs, where it has the process to itself.

    That is so in the main thread; a server in another thread leaves everything as it is.
    """
    if not _alone():
        yield
        return
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def set_aside() -> None:
    """Look once more through all that is loaded, and then no more; in the main thread alone."""
    if _alone():
        gc.collect()
        gc.freeze()


def renew() -> None:
    """Have what is loaded now set aside in the place of what was, if anything: that may go."""
    if gc.get_freeze_count():
        gc.unfreeze()
        set_aside()


def _alone() -> bool:
    return threading.current_thread() is threading.main_thread()
