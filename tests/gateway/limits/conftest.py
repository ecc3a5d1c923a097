from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from emafusion.gateway.limits import Buckets, Link, LocalBuckets, SharedBuckets

from .parts import Hand
from .server import Server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """One Valkey for all tests; its socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="ema-") as folder:
        server = Server(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
async def link(valkey: Server) -> AsyncIterator[Link]:
    valkey.clear()
    found = Link(valkey.url, timeout_s=1.0, retry_s=0.1)
    yield found
    await found.aclose()


@pytest.fixture(params=["local", "shared"])
def storage(request: pytest.FixtureRequest) -> tuple[Buckets, Callable[[float], object]]:
    """Each storage, and how to let time pass for it."""
    if request.param == "local":
        clock = Hand()

        async def turn(seconds: float) -> None:
            clock.time += seconds

        return LocalBuckets(clock.tick), turn
    return SharedBuckets(request.getfixturevalue("link")), asyncio.sleep
