"""``kill -9`` at any moment: whatever was acknowledged is in the record."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from emafusion.record import Store

TESTS = Path(__file__).parent.parent


@pytest.mark.parametrize("synchronous", ["full", "normal"])
def test_what_was_acknowledged_survives_kill_9(place: str, synchronous: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "record.child", place, synchronous],
        stdout=subprocess.PIPE,
        cwd=TESTS,
    )
    assert child.stdout is not None
    # Killed in the midst of it, at another place each time.
    acknowledged = [child.stdout.readline() for _ in range(random.randint(200, 900))]
    child.kill()
    acknowledged += child.stdout.readlines()
    child.stdout.close()
    assert child.wait() == -9
    ids = {line.decode().strip() for line in acknowledged}
    assert len(ids) >= 200
    store = Store(place)
    found = {outcome.decision_id for outcome in asyncio.run(store.recent(10**9))}
    assert ids <= found
    totals = asyncio.run(store.totals())
    asyncio.run(store.aclose())
    assert totals.models["s"].calls == totals.models["l"].calls == len(found)
