"""How long decisions are kept. Knows when to look; the store knows how to delete."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from emafusion.record.store import Store

log = logging.getLogger("emafusion.record")

DAY_S: Final = 86_400.0
BATCH: Final = 200
"""Decisions deleted at a time: whoever records waits for no more than that."""
REST_S: Final = 600.0
"""Seconds without looking, once nothing that is too old is left."""
JUMP_S: Final = 600.0
"""A clock that ran further ahead since the last look was set, or the machine slept meanwhile."""


class Retention:
    """Deletes what is older than `keep_days` from `store`, a little with each :meth:`sweep`.

    What a wrong clock deletes does not come back. So nothing is deleted for a day after the clock
    has jumped ahead, and none goes by a clock that is more than a day, and the time this has been
    up, ahead of the newest decision.

    Parameters
    ----------
    store : Store
        The record; several processes may sweep it.
    keep_days : float
        Days from a decision to its deletion, which may come :data:`REST_S` later.
    now : callable
        Seconds since 1970.
    ticks : callable
        Seconds on a clock that nobody sets.
    """

    def __init__(
        self,
        store: Store,
        keep_days: float,
        *,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.keep_days = keep_days
        self._now = now
        self._ticks = ticks
        self._next = -float("inf")
        self._began = ticks()
        self._seen = now() - self._began
        self._doubted_at: float | None = None
        self._settled = True

    def sweep(self) -> int:
        """Delete the oldest decisions that are too old; how many were.

        Raises
        ------
        StoreError
            The record cannot be written; the next sweep tries again.
        """
        now = self._now()
        if self._next - REST_S <= now < self._next or self._doubtful(now):
            return 0
        newest = self.store.newest_sync()
        if newest is None:
            return 0
        present = min(now, newest + DAY_S + self._ticks() - self._began)
        gone = self.store.forget_older_sync(present - self.keep_days * DAY_S, limit=BATCH)
        # A clock that was set back must not hold up deletion until it has caught up.
        self._next = now + REST_S if gone < BATCH else now
        self._settled = self._settled and not gone
        if not self._settled and gone < BATCH:
            # Where another holds the log, the next look tries again.
            self._settled = self.store.settle_sync()
        return gone

    def _doubtful(self, now: float) -> bool:
        """Whether the clock has jumped ahead less than a day ago; if it still says so, it is so."""
        ticks = self._ticks()
        ahead = now - ticks - self._seen
        told, self._doubted_at = self._doubted_at, None
        if ahead > JUMP_S and (told is None or ticks - told < DAY_S):
            self._doubted_at = ticks if told is None else told
            if told is None:
                log.warning(
                    "nothing is deleted for a day: the clock is %.0f s further than it should be",
                    ahead,
                )
            return True
        self._seen = now - ticks
        return False
