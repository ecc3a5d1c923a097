"""A process that serves requests against a budget and tells of each, until it is killed.

Run as ``python -m gateway.accounts.child PLACE TOKEN`` in the folder of the tests.
"""

from __future__ import annotations

import asyncio
import os
import sys

from emafusion.gateway.accounts import Accounts

from .parts import outcome, passage

COST = 0.01


async def main(place: str, token: str) -> None:
    accounts = Accounts(place, estimate=lambda request, caller: COST, models=lambda: ("a",))
    await accounts.begin()
    caller = await accounts.identify(token)
    assert caller is not None

    async def serve_for_ever() -> None:
        while True:
            one = passage(caller)
            async with accounts.budgets.open(one):
                # Told before it is settled: the money is spent whatever comes after.
                os.write(1, b"spent\n")
                await asyncio.sleep(0.001)
                one.outcome = outcome(COST)

    await asyncio.gather(*(serve_for_ever() for _ in range(20)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
