"""How soon one provider may be asked again: evenly spaced calls, and the waits it asked for.

It knows times, not calls.
"""

from __future__ import annotations

import asyncio
import time


class Pace:
    """Keeps calls that are made together at a provider's pace.

    Parameters
    ----------
    per_minute : int, optional
        Calls begun in any minute, evenly spaced; ``None`` for no bound.
    """

    def __init__(self, per_minute: int | None = None) -> None:
        self._gap_s = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._held = 0.0

    async def turn(self) -> None:
        """Return when the next call may begin; who comes first goes first."""
        mine = max(time.monotonic(), self._next)
        self._next = mine + self._gap_s
        await self._until(mine)

    def hold(self, seconds: float) -> None:
        """Begin no call for so many seconds: the provider asked for it."""
        self._held = max(self._held, time.monotonic() + seconds)

    async def _until(self, moment: float) -> None:
        left = max(moment, self._held) - time.monotonic()
        if left > 0.0:
            await asyncio.sleep(left)
            # A further wait may have been asked for meanwhile.
            await self._until(moment)
