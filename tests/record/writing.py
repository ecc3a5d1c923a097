"""A process that records a hundred outcomes, one after the other or many at once, and ends.

Run as ``python -m record.writing PLACE NAME`` in the folder of the tests.
"""

from __future__ import annotations

import asyncio
import sys

from emafusion.record import Store
from emafusion.types import Feedback

from .outcomes import outcome


async def main(place: str, name: str) -> None:
    store = Store(place)
    for first in range(0, 100, 10):
        names = [f"{name}{first + i}" for i in range(10)]
        await asyncio.gather(*(store.record(outcome(one)) for one in names))
        said = Feedback(decision_id=names[0], caller=name, score=1.0, created=1.0)
        await store.note(said)
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
