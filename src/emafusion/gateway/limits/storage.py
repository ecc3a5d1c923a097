"""Where buckets are kept: what a storage must do, and the one in this process's memory.

Knows buckets by name. Knows no caller and no request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from emafusion.gateway.limits.rates import Demand, Level, wait

_SWEPT = 10_000


class Taken(Struct, frozen=True, kw_only=True):
    """What came of demands, one level each; ``keeper`` says who counted them.

    Where any had to wait, nothing was taken from any bucket.
    """

    levels: tuple[Level, ...]
    keeper: str = "local"

    @property
    def wait_s(self) -> float:
        """Seconds until all of the demands would pass; 0 where they did."""
        return max((level.wait_s for level in self.levels), default=0.0)


class Buckets(Protocol):
    """Keeps the levels of buckets."""

    async def take(self, demands: Sequence[Demand]) -> Taken:
        """Take all of `demands`, or none of them where one must wait."""
        ...

    async def settle(self, corrections: Sequence[Demand], taken: Taken) -> None:
        """Add what `taken` cost beyond its demands, though the caller hangs up meanwhile."""
        ...


class LocalBuckets:
    """Buckets in this process alone.

    A full bucket is forgotten, so memory grows with the holders active within a period.

    Parameters
    ----------
    tick : callable
        Seconds of a clock that never goes back.
    """

    def __init__(self, tick: Callable[[], float]) -> None:
        self._tick = tick
        self._full_at: dict[str, float] = {}
        self._sweep_at = _SWEPT

    async def take(self, demands: Sequence[Demand]) -> Taken:
        """Take all of `demands`, or none of them where one must wait."""
        now = self._tick()
        known = self._full_at
        full = [max(known.get(wanted.bucket, now) - now, 0.0) for wanted in demands]
        waits = list(map(wait, full, demands))
        if not any(waits):
            full = [left + wanted.price_s for left, wanted in zip(full, demands, strict=True)]
            for left, wanted in zip(full, demands, strict=True):
                known[wanted.bucket] = now + left
            self._sweep(now)
        return Taken(levels=tuple(map(Level, full, waits)))

    async def settle(self, corrections: Sequence[Demand], taken: Taken) -> None:
        """Add what `taken` cost beyond its demands."""
        now = self._tick()
        for correction in corrections:
            full_at = max(self._full_at.get(correction.bucket, now), now)
            self._full_at[correction.bucket] = full_at + correction.price_s

    def __len__(self) -> int:
        return len(self._full_at)

    def _sweep(self, now: float) -> None:
        if len(self._full_at) < self._sweep_at:
            return
        self._full_at = {name: at for name, at in self._full_at.items() if at > now}
        self._sweep_at = max(_SWEPT, 2 * len(self._full_at))
