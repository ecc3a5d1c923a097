"""A process that records concurrently and says on stdout what was acknowledged, until it is killed.

Run as ``python -m record.child PLACE SYNCHRONOUS`` in the folder of the tests.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count

from emafusion.record import Store

from .outcomes import outcome


async def main(place: str, synchronous: str) -> None:
    store = Store(place, synchronous="full" if synchronous == "full" else "normal")
    numbers = count()

    async def record_for_ever() -> None:
        while True:
            decision_id = f"d{next(numbers)}"
            await store.record(outcome(decision_id))
            # One unbuffered write: what is in the pipe was acknowledged, whole lines only.
            os.write(1, f"{decision_id}\n".encode())

    await asyncio.gather(*(record_for_ever() for _ in range(200)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
