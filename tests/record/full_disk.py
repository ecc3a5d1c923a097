"""A process whose disk fills while it records, and is freed again; says what it saw as JSON.

Run as ``python -m record.full_disk FOLDER limit|ballast`` in the folder of the tests. ``limit``
bounds every file's size by ``RLIMIT_FSIZE``; ``ballast`` expects FOLDER to be a small file system
and fills it with one large file.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path

from emafusion.errors import StoreError
from emafusion.record import Store

from .outcomes import outcome

UNLIMITED = resource.RLIM_INFINITY


def fill(folder: Path, how: str) -> None:
    """Leave room for a few hundred kilobytes."""
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, UNLIMITED))
    else:
        (folder / "ballast").write_bytes(bytes(1_500_000))


def free(folder: Path, how: str) -> None:
    """Make room again."""
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
    else:
        (folder / "ballast").unlink()


async def main(folder: Path, how: str) -> dict[str, object]:
    store = Store(folder / "record.db")
    acknowledged: list[str] = []
    errors: list[str] = []

    async def record(number: int) -> None:
        try:
            await store.record(outcome(f"d{number}"))
        except StoreError as error:
            errors.append(str(error))
        else:
            acknowledged.append(f"d{number}")

    fill(folder, how)
    for batch in range(100):
        await asyncio.gather(*(record(batch * 50 + i) for i in range(50)))
        if errors:
            break
    free(folder, how)
    await store.ready()
    await record(10_000)
    found = {o.decision_id for o in await store.recent(10**6)}
    await store.aclose()
    return {
        "acknowledged": len(acknowledged),
        "lost": sorted(set(acknowledged) - found),
        "errors": sorted(set(errors)),
        "recovered": "d10000" in found,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))))  # noqa: T201
