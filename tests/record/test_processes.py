"""Several processes write at once; who reads on meanwhile sees every row, once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from emafusion.record import Store

TESTS = Path(__file__).parent.parent


def started(place: str, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "record.writing", place, name], cwd=TESTS)


async def test_who_reads_on_while_others_write_misses_nothing(store: Store, place: str) -> None:
    children = [started(place, name) for name in "ab"]
    seen: list[str] = []
    heard: list[str] = []
    last = said = 0
    ended = False
    while not ended:
        ended = all(child.poll() is not None for child in children)
        page = await store.recorded(last, 17)
        opinions = await store.noted(said, 17)
        ended = ended and not page and not opinions
        seen += [one.decision_id for _, one in page]
        heard += [one.decision_id for _, one in opinions]
        last = page[-1][0] if page else last
        said = opinions[-1][0] if opinions else said
        await asyncio.sleep(0.01)
    assert [child.returncode for child in children] == [0, 0]
    assert sorted(seen) == sorted(f"{name}{i}" for name in "ab" for i in range(100))
    assert sorted(heard) == sorted(f"{name}{i}" for name in "ab" for i in range(0, 100, 10))
