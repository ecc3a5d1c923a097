"""What counts while Valkey does not: this worker's own buckets, or nobody.

Knows two storages and which of them counted a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from msgspec.structs import replace

from emafusion.errors import OverloadedError
from emafusion.gateway.limits.rates import Demand
from emafusion.gateway.limits.storage import Buckets, Taken
from emafusion.gateway.valkey import Down

WhenDown = Literal["open", "share", "closed"]


class Standby:
    """`shared` buckets while they can be had, else what `when_down` says.

    ``"open"``: each worker counts alone, against whole rates: callers notice nothing, and with n
    workers at most n times a rate passes. ``"share"``: each worker counts alone, against its share:
    never more than the rate in all, but callers whose requests fall unevenly on the workers are
    refused early. ``"closed"``: everyone is refused (503). When Valkey answers again it counts
    again, from what it knew; what passed meanwhile is not added to it.

    Parameters
    ----------
    shared : Buckets
        All workers' buckets; raises :class:`~.valkey.Down`.
    local : Buckets
        This worker's own.
    when_down : {"open", "share", "closed"}
        What to do without `shared`.
    workers : int
        How many workers share the rates.
    """

    def __init__(
        self, shared: Buckets, local: Buckets, *, when_down: WhenDown = "open", workers: int = 1
    ) -> None:
        self._shared = shared
        self._local = local
        self._when_down = when_down
        self._share = 1.0 / workers if when_down == "share" else 1.0

    async def take(self, demands: Sequence[Demand]) -> Taken:
        """Take all of `demands`, or none of them where one must wait."""
        try:
            return await self._shared.take(demands)
        except Down:
            if self._when_down == "closed":
                raise OverloadedError(
                    "rates cannot be counted now, and nobody is let in uncounted; ask again soon",
                    retry_after_s=1.0,
                ) from None
        return await self._local.take([self._own(demand) for demand in demands])

    async def settle(self, corrections: Sequence[Demand], taken: Taken) -> None:
        """Add what `taken` cost beyond its demands, where those were counted.

        Where Valkey went away in between, its buckets keep what was estimated.
        """
        if taken.keeper == "local":
            await self._local.settle([self._own(each) for each in corrections], taken)
            return
        with suppress(Down):
            await self._shared.settle(corrections, taken)

    def _own(self, demand: Demand) -> Demand:
        if self._share == 1.0:
            return demand
        return replace(demand, price_s=demand.price_s / self._share)
