from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from openai import AsyncOpenAI, OpenAI

from emafusion import gateway
from emafusion.errors import (
    AuthenticationError,
    BadResponseError,
    DeadlineError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from emafusion.gateway.valkey import Link
from emafusion.types import replace

from . import upstreams
from .parts import Script, Served, broken, catalog, client_of, served
from .valkeys import Server, running


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """One Valkey for all tests."""
    with running() as server:
        yield server


@pytest.fixture
async def link(valkey: Server) -> AsyncIterator[Link]:
    valkey.clear()
    found = Link(valkey.url, timeout_s=1.0, retry_s=0.1)
    yield found
    await found.aclose()


@pytest.fixture(scope="module")
def house() -> Iterator[Served]:
    """One server whose models each behave in their own way."""
    scripts = {
        "small": Script(),
        "large": Script(text="Paris, of course."),
        "verbatim": Script(raw=upstreams.BODY, chunks=upstreams.CHUNKS),
        "toolbox": Script(
            text="",
            raw=upstreams.TOOL_BODY,
            chunks=upstreams.TOOL_CHUNKS,
            tool_calls=tuple(upstreams.CALLS),
        ),
        "thinker": Script(raw=upstreams.THINKING_BODY, chunks=upstreams.THINKING_CHUNKS),
        "voluble": Script(text="A", chunks=upstreams.EVERYTHING_CHUNKS),
        "weaving": Script(text="", chunks=upstreams.WEAVING_CHUNKS),
        "caller": Script(text="", tool_calls=tuple(upstreams.CALLS)),
        "musing": Script(text="So Paris.", wait_s=0.5),
        "halting": Script(text="So Paris.", pace_s=0.25),
        "breaking": Script(failure=broken(UnavailableError), fails_after=1),
        "limited": Script(failure=RateLimitedError("slow down", "limited", retry_after_s=1.5)),
        "late": Script(failure=broken(DeadlineError)),
        "down": Script(failure=broken(UnavailableError)),
        "lying": Script(failure=broken(BadResponseError)),
        "refusing": Script(failure=broken(RejectedError)),
        "keyless": Script(failure=broken(AuthenticationError)),
        "buggy": Script(failure=RuntimeError("sk-verysecret")),
        "nested/näme→": Script(),
    }
    tight = replace(catalog(["tight"])[0], upstream="small", context_window=400)
    models = [*catalog(list(scripts)), tight]
    with served(client_of(scripts, models=models), gateway.Settings(heartbeat_s=0.1)) as found:
        yield found


@pytest.fixture(scope="module")
def openai(house: Served) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{house.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def async_openai(house: Served) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{house.url}/v1", api_key="unused", max_retries=0)
