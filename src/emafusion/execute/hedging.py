"""A second call for an answer that is late: the first good answer counts, the other call is ended.

It knows how long answers take beside their forecasts. It does not know which model is asked, nor
what a call costs: both calls are entered like any other (Dean & Barroso, The Tail at Scale, 2013).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from statistics import quantiles
from typing import TypeAlias

from emafusion.errors import EmafusionError
from emafusion.providers.retry import Allowance
from emafusion.types import Draft, Estimate

FEWEST = 20
REMEMBERED = 256
UNKNOWN_RATIO = 3.0
"""How many times its forecast an answer may take before it is late, while too few were seen."""

End: TypeAlias = Draft | EmafusionError
Asking: TypeAlias = Coroutine[object, object, End]


class Hedging:
    """When an answer is late, and how often a second call may be made.

    Late is what takes longer than 95 of 100 answers did, each measured by its forecast.

    Parameters
    ----------
    after_s : float, optional
        Seconds after which any answer is late, in place of that.
    share : float
        Second calls, at most, as a share of the calls: when everything is slow, asking twice would
        make it slower.
    """

    def __init__(self, *, after_s: float | None = None, share: float = 0.05) -> None:
        self._after_s = after_s
        self._allowance = Allowance(share=share, reserve=5.0, per_s=0.0)
        self._ratios: deque[float] = deque(maxlen=REMEMBERED)

    def after(self, estimate: Estimate | None) -> float | None:
        """Seconds after which the answer forecast by `estimate` is late; ``None`` if none is."""
        if self._after_s is not None or estimate is None or estimate.latency_s <= 0.0:
            return self._after_s
        ratio = UNKNOWN_RATIO
        if len(self._ratios) >= FEWEST:
            ratio = quantiles(self._ratios, n=20)[-1]
        return ratio * estimate.latency_s

    async def first(
        self,
        estimate: Estimate | None,
        ask: Callable[[], Asking],
        *,
        again: Callable[[], Asking],
        may: Callable[[], bool],
    ) -> list[End]:
        """How `ask` ended, or `again` where that was late: one draft, or every failure there was.

        `may` says, once it is late, whether whom `again` asks lets itself be asked now. When this
        returns or raises, both calls have ended.
        """
        self._allowance.earn()
        now = asyncio.get_running_loop().time
        began = now()
        calls = [asyncio.create_task(ask())]
        try:
            done, _ = await asyncio.wait(calls, timeout=self.after(estimate))
            if not done and may() and self._allowance.spend():
                calls.append(asyncio.create_task(again()))
            return await _settled(calls)
        finally:
            if estimate is not None and estimate.latency_s > 0.0:
                # Of a call that is ended here, how long it took at least.
                self._ratios.append((now() - began) / estimate.latency_s)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)


async def _settled(calls: list[asyncio.Task[End]]) -> list[End]:
    """The first draft; where none comes, every failure."""
    failures: list[End] = []
    waiting = set(calls)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for call in (one for one in calls if one in done):
            end = call.result()
            if isinstance(end, Draft):
                return [end]
            failures.append(end)
    return failures
