"""How long decisions are kept. Knows when to look; the store knows how to delete."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from emafusion.record.store import Store

DAY_S: Final = 86_400.0
BATCH: Final = 200
"""Decisions deleted at a time: whoever records waits for no more than that."""
REST_S: Final = 600.0
"""Seconds without looking, once nothing that is too old is left."""


class Retention:
    """Deletes what is older than `keep_days` from `store`, a little with each :meth:`sweep`.

    Parameters
    ----------
    store : Store
        The record; several processes may sweep it.
    keep_days : float
        Days from a decision to its deletion, which may come :data:`REST_S` later.
    now : callable
        Seconds since 1970.
    """

    def __init__(
        self, store: Store, keep_days: float, *, now: Callable[[], float] = time.time
    ) -> None:
        self.store = store
        self.keep_days = keep_days
        self._now = now
        self._next = -float("inf")

    def sweep(self) -> int:
        """Delete the oldest decisions that are too old; how many were.

        Raises
        ------
        StoreError
            The record cannot be written; the next sweep tries again.
        """
        now = self._now()
        if self._next - REST_S <= now < self._next:
            return 0
        gone = self.store.forget_older_sync(now - self.keep_days * DAY_S, limit=BATCH)
        # A clock that was set back must not hold up deletion until it has caught up.
        self._next = now + REST_S if gone < BATCH else now
        return gone
