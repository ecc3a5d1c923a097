from __future__ import annotations

import pytest

from emafusion.gateway.caches import LocalShelf, SharedShelf, Shelf

from .parts import Hand


@pytest.fixture(params=["local", "shared"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    """Each shelf; only the local one's time is a test's to turn."""
    if request.param == "local":
        return LocalShelf(2**20, tick=Hand().tick)
    return SharedShelf(request.getfixturevalue("link"))
