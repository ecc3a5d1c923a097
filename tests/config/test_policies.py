"""A policy promoted while others are served: taken up at once, by requests that begin after it."""

from __future__ import annotations

import asyncio
import logging
import time
from importlib import resources
from pathlib import Path
from typing import cast

import pytest

from emafusion import artefacts, config
from emafusion.artefacts import Artefact, Versions
from emafusion.client import Client
from emafusion.config.learner import Origin, fitted_on
from emafusion.config.load import parse
from emafusion.config.policies import RETRY_S, Policies
from emafusion.engine import Stages
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


class _Bench:
    """Policies with a clock that is set by hand, and stages that tell which policy they are of."""

    def __init__(self, versions: Versions, default: Artefact) -> None:
        self.now = 0.0
        self.made: list[Origin] = []
        self.bad: set[str] = set()
        self.policies = Policies(versions, self._make, default=default, clock=lambda: self.now)

    def _make(self, origin: Origin) -> Stages:
        self.made.append(origin)
        if origin.name in self.bad:
            raise KeyError("mean")
        return cast("Stages", origin.name)


def test_what_was_taken_up_is_not_read_again(versions: Versions, shipped: Artefact) -> None:
    bench = _Bench(versions, shipped)
    versions.promote(versions.ids()[0], why="it is the first")
    assert [bench.policies.refresh() for _ in range(3)] == [True, False, False]


def test_a_policy_that_stages_cannot_be_made_of_is_told_of_once_and_tried_again(
    versions: Versions, shipped: Artefact, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = versions.ids()
    bench = _Bench(versions, shipped)
    bench.bad = {first}
    versions.promote(first, why="it looks whole")
    for bench.now in (0.0, 1.0, RETRY_S - 1.0, RETRY_S, RETRY_S + 1.0):
        assert not bench.policies.refresh()
    assert len(bench.made) == 1 + 2
    assert caplog.text.count(f"policy '{first}' cannot serve: KeyError: 'mean'") == 1
    assert bench.policies.serving.id == ""
    bench.bad, bench.now = set(), 2.0 * RETRY_S
    assert bench.policies.refresh()
    assert bench.policies.serving.id == first


def test_what_is_promoted_after_a_failure_is_taken_up_at_once(
    versions: Versions, shipped: Artefact
) -> None:
    (first,) = versions.ids()
    second = versions.add(_other(shipped, "second"))
    bench = _Bench(versions, shipped)
    bench.bad = {first}
    versions.promote(first, why="it looks whole")
    assert not bench.policies.refresh()
    versions.promote(second, why="it is whole")
    assert bench.policies.refresh()
    assert bench.policies.serving.id == second


def test_a_folder_that_is_gone_for_a_while_is_told_of_once(
    versions: Versions, shipped: Artefact, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = versions.ids()
    versions.promote(first, why="it is the first")
    bench = _Bench(versions, shipped)
    away = versions.folder.rename(versions.folder.with_name("away"))
    versions.folder.write_text("not a folder")
    assert not any(bench.policies.refresh() for _ in range(3))
    assert caplog.text.count("cannot look at") == 1
    versions.folder.unlink()
    away.rename(versions.folder)
    versions.promote(versions.add(_other(shipped, "second")), why="it is newer")
    assert bench.policies.refresh()


def test_a_canary_whose_history_is_lost_serves(versions: Versions, shipped: Artefact) -> None:
    (first,) = versions.ids()
    versions.promote(first, why="it is the first")
    second = versions.add(_other(shipped, "second"))
    versions.canary(second, 0.3)
    (versions.folder / "history.jsonl").unlink()
    bench = _Bench(versions, shipped)
    assert bench.policies.serving.candidate == second
    assert [one.name for one in bench.made] == [first, second]
    assert bench.made[0].since == fitted_on(shipped)
