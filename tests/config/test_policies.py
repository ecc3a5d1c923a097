"""A policy promoted while others are served: taken up at once, by requests that begin after it."""

from __future__ import annotations

import asyncio
import logging
import time
from importlib import resources
from pathlib import Path

import pytest

from emafusion import artefacts, config
from emafusion.artefacts import Artefact, Versions
from emafusion.client import Client
from emafusion.config.load import parse
from emafusion.testing import ScriptedProvider
from emafusion.types import replace

TOML = """
[providers.p]
type = "openai"
base_url = "http://localhost:1"

[models."smollm2-135m"]
provider = "p"
upstream = "s"
usd_per_mtok_in = 1.0
usd_per_mtok_out = 1.0

[models."qwen2.5-coder-1.5b"]
provider = "p"
upstream = "l"
usd_per_mtok_in = 5.0
usd_per_mtok_out = 5.0

[record]
path = "memory"

[artefact]
path = {folder!r}
"""


@pytest.fixture(scope="module")
def shipped() -> Artefact:
    with resources.as_file(resources.files("emafusion.config").joinpath("policy")) as folder:
        return artefacts.read(folder)


def _other(policy: Artefact, made: str) -> Artefact:
    """The same policy under another name."""
    manifest = replace(policy.manifest, settings={**policy.manifest.settings, made: 1.0})
    return replace(policy, manifest=manifest)


@pytest.fixture
def versions(tmp_path: Path, shipped: Artefact) -> Versions:
    found = Versions(tmp_path / "policies")
    found.add(_other(shipped, "first"))
    return found


def _client(versions: Versions) -> Client:
    settings = parse(TOML.format(folder=str(versions.folder)), "a test")
    return config.build(settings, parts={"p": ScriptedProvider("51")})


async def _policy_of(client: Client) -> str:
    return (await client.answer("What is 17 × 3?")).outcome.policy


async def _becomes(client: Client, name: str, *, within_s: float = 5.0) -> None:
    until = time.monotonic() + within_s
    while await _policy_of(client) != name:
        assert time.monotonic() < until, f"{name!r} does not serve after {within_s} s"
        await asyncio.sleep(0.05)


async def test_a_promotion_is_taken_up_within_seconds_and_no_request_fails(
    versions: Versions, shipped: Artefact
) -> None:
    (first,) = versions.ids()
    async with _client(versions) as client:
        assert await _policy_of(client) == ""
        versions.promote(first, why="it is the first")
        await _becomes(client, first)
        second = versions.add(_other(shipped, "second"))
        versions.promote(second, why="it is newer")
        await _becomes(client, second)
        versions.rollback()
        await _becomes(client, first)


async def test_a_canary_answers_its_share_and_the_same_requests_each_time(
    versions: Versions, shipped: Artefact
) -> None:
    (first,) = versions.ids()
    versions.promote(first, why="it is the first")
    second = versions.add(_other(shipped, "second"))
    versions.canary(second, 0.3)
    async with _client(versions) as client:
        names = [await _policy_of(client) for _ in range(120)]
    assert 0.15 < names.count(second) / 120 < 0.45
    assert set(names) == {first, second}


async def test_a_damaged_policy_is_told_of_and_the_one_before_goes_on(
    versions: Versions, shipped: Artefact, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = versions.ids()
    versions.promote(first, why="it is the first")
    async with _client(versions) as client:
        second = versions.add(_other(shipped, "second"))
        with caplog.at_level(logging.WARNING):
            versions.promote(second, why="it is newer")
            (versions.folder / "versions" / second / "arrays.npz").write_bytes(b"torn")
            await asyncio.to_thread(_until_told, caplog)
            assert await _policy_of(client) == first
        versions.rollback()
        third = versions.add(_other(shipped, "third"))
        versions.promote(third, why="it is whole")
        await _becomes(client, third)
    assert sum("damaged" in record.message for record in caplog.records) == 1


def _until_told(caplog: pytest.LogCaptureFixture, within_s: float = 5.0) -> None:
    until = time.monotonic() + within_s
    while not caplog.records:
        assert time.monotonic() < until, "nothing was logged"
        time.sleep(0.05)
