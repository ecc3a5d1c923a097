from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from emafusion.gateway.caches import LocalShelf, SharedShelf, Shelf
from emafusion.gateway.limits import Link

from ..limits.server import Server
from .parts import Hand


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
def shelf(request: pytest.FixtureRequest) -> Shelf:
    """Each shelf; only the local one's time is a test's to turn."""
    if request.param == "local":
        return LocalShelf(2**20, tick=Hand().tick)
    return SharedShelf(request.getfixturevalue("link"))
