from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from emafusion.gateway.limits import Buckets, LocalBuckets, SharedBuckets

from .parts import Hand


@pytest.fixture(params=["local", "shared"])
def storage(request: pytest.FixtureRequest) -> tuple[Buckets, Callable[[float], object]]:
    """Each storage, and how to let time pass for it."""
    if request.param == "local":
        clock = Hand()

        async def turn(seconds: float) -> None:
            clock.time += seconds

        return LocalBuckets(clock.tick), turn
    return SharedBuckets(request.getfixturevalue("link")), asyncio.sleep
