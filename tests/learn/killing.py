"""Kills collections as they go: ``killing FOLDER BASE_URL KILLS``, then lets one come to its end.

A process of its own, so that each collection is a fork of one that has its libraries loaded. The
upstream at the address, which is not killed, keeps the account.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

import pyarrow.parquet

from emafusion.learn.collect import Bounds, collect
from emafusion.providers.openai import OpenAIProvider
from learn.collecting import CHEAP, DEAR, sums

QUESTIONS = 150
PER_MODEL = 3
BOUNDS = Bounds(per_model=PER_MODEL, models_at_once=2, max_tokens=20)
SLOWEST_S = 0.12
"""Until a collection is killed at the latest: long enough for some of its calls."""


async def gather(folder: Path, base_url: str) -> None:
    """Collect what is missing, over HTTP."""
    provider = OpenAIProvider(base_url)
    try:
        await collect(
            sums(QUESTIONS), [CHEAP, DEAR], providers={"p": provider}, folder=folder, bounds=BOUNDS
        )
    finally:
        await provider.aclose()


def started(folder: Path, base_url: str) -> int:
    """The process id of a fork that collects."""
    child = os.fork()
    if child == 0:
        asyncio.run(gather(folder, base_url))
        os._exit(0)
    return child


def main(folder: Path, base_url: str, kills: int) -> None:
    """Kill `kills` collections, at random times, and tell how many had more to do."""
    rng = random.Random(0)
    struck = 0
    for _ in range(kills):
        child = started(folder, base_url)
        time.sleep(rng.random() * SLOWEST_S)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        struck += os.WIFSIGNALED(status)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    _, status = os.waitpid(started(folder, base_url), 0)
    assert status == 0
    sys.stdout.write(f"{struck}\n")


if __name__ == "__main__":
    assert pyarrow.parquet
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
