"""What the tests of serving share: nothing they open outlives them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from .school import OPENED


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while OPENED:
        asyncio.run(OPENED.pop().aclose())
