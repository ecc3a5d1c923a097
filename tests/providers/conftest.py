from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from emafusion.providers.openai import OpenAIProvider
from emafusion.testing.upstream import Upstream


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture
async def provider(upstream: Upstream) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider(upstream.base_url)
    yield provider
    await provider.aclose()
