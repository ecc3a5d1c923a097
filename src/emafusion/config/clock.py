"""The system's clocks, for those who may not look at them themselves."""

from __future__ import annotations

import time


class SystemClock:
    """Wall-clock time and a steady clock."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def tick(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic()
