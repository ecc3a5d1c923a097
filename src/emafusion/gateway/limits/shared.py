"""Buckets in Valkey, shared by all workers: every request is checked and counted in one command.

Knows the script. The time is Valkey's own, so workers' clocks need not agree; where it goes back,
buckets wait for it no longer than if it had stood still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emafusion.gateway.limits.rates import Demand, Level
from emafusion.gateway.limits.storage import Taken
from emafusion.gateway.valkey import Link

if TYPE_CHECKING:
    from valkey.asyncio import Valkey
    from valkey.commands.core import AsyncScript

PREFIX = "emafusion:rate:"

# A bucket is "when it is full" and "when we last looked", in seconds since 1970. ARGV: whether to
# refuse (1) or only to add (0), then price and period of each bucket. The answer: each bucket's
# seconds until full, and its wait.
_SCRIPT = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local refuses = ARGV[1] == '1'
local full, answer, passes = {}, {}, true
for i, key in ipairs(KEYS) do
  local price, period = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local left = 0
  local kept = redis.call('GET', key)
  if kept then
    local at, seen = string.match(kept, '^(%S+) (%S+)$')
    left = math.max(0, tonumber(at) - math.max(now, tonumber(seen)))
  end
  local wait = left + math.min(price, period) - period
  if not refuses or wait <= 1e-9 * period then wait = 0 else passes = false end
  full[i] = left
  answer[2 * i - 1], answer[2 * i] = left, wait
end
for i, key in ipairs(KEYS) do
  if passes then
    full[i] = math.max(0, full[i] + tonumber(ARGV[2 * i]))
    answer[2 * i - 1] = full[i]
    local lasts = math.max(1, math.ceil(full[i] * 1000))
    redis.call('SET', key, string.format('%.6f %.6f', now + full[i], now), 'PX', lasts)
  end
  answer[2 * i - 1] = string.format('%.6f', answer[2 * i - 1])
  answer[2 * i] = string.format('%.6f', answer[2 * i])
end
return answer
"""


class SharedBuckets:
    """Buckets that all workers on one Valkey share; raises :class:`~.valkey.Down`.

    A bucket's key expires when it is full, so Valkey holds those of the holders now active.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._script: AsyncScript | None = None

    async def take(self, demands: Sequence[Demand]) -> Taken:
        """Take all of `demands`, or none of them where one must wait."""
        told = await self._run(demands, refuses=True)
        pairs = zip(told[::2], told[1::2], strict=True)
        levels = tuple(Level(float(full_s), float(wait_s)) for full_s, wait_s in pairs)
        return Taken(levels=levels, keeper="shared")

    async def settle(self, corrections: Sequence[Demand], taken: Taken) -> None:
        """Add what `taken` cost beyond its demands."""
        # A caller that hangs up now has spent what it spent.
        await asyncio.shield(self._run(corrections, refuses=False))

    async def _run(self, demands: Sequence[Demand], *, refuses: bool) -> Sequence[bytes]:
        keys = [f"{PREFIX}{wanted.bucket}" for wanted in demands]
        numbers: list[str | float] = ["1" if refuses else "0"]
        for wanted in demands:
            numbers += (wanted.price_s, wanted.period_s)

        async def command(client: Valkey) -> Sequence[bytes]:
            if self._script is None:
                # This sends nothing; a Valkey that does not know the script is given it.
                self._script = client.register_script(_SCRIPT)
            found: Sequence[bytes] = await self._script(keys=keys, args=numbers)
            return found

        return await self._link.ask(command)
