"""A command's engine has the models that can answer, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from emafusion.cli.opening import open_at_once, open_ready, without
from emafusion.client import Client, request
from emafusion.config.load import parse
from emafusion.errors import ConfigError, RateLimitedError, UnavailableError
from emafusion.testing.upstream import Upstream

SETTINGS = """
[providers.local]
type = "local"

[models.here]
provider = "local"
upstream = "{folder}/here.gguf"
usd_per_mtok_in = 1.0
usd_per_mtok_out = 1.0

[models.away]
provider = "local"
upstream = "{folder}/away.gguf"
usd_per_mtok_in = 1.0
usd_per_mtok_out = 1.0

[record]
path = "memory"
"""


def opened(folder: Path, *, named: tuple[str, ...] | None = None) -> set[str]:
    """The models of an engine with one file here and one away."""

    async def names() -> set[str]:
        settings = parse(SETTINGS.format(folder=folder), "test")
        async with await open_ready(settings, named=named) as client:
            return set(client.engine.models)

    return asyncio.run(names())


def test_a_model_whose_file_is_away_is_left_out_and_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here.gguf").touch()
    assert opened(tmp_path) == {"here"}
    assert "going on without away; `emafusion models pull`" in capsys.readouterr().err
    assert opened(tmp_path, named=("here",)) == {"here"}
    assert capsys.readouterr().err == ""
    (tmp_path / "away.gguf").touch()
    assert opened(tmp_path) == {"here", "away"}


def test_a_named_model_that_cannot_be_had_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "here.gguf").touch()
    with pytest.raises(UnavailableError, match="'away' has no file at"):
        opened(tmp_path, named=("away",))


def test_without_any_model_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no model can answer: 'here' has no file at"):
        opened(tmp_path)


REMOTE = """
[providers.local]
type = "local"
cache = "{folder}"
[models."smollm2-135m"]
provider = "local"
[providers.house]
type = "openai"
base_url = "http://127.0.0.1:1/v1"
[models.house]
provider = "house"
usd_per_mtok_in = 1.0
usd_per_mtok_out = 1.0
[record]
path = "memory"
"""


def test_a_server_has_every_model_and_waits_for_none_it_can_do_without(tmp_path: Path) -> None:
    client, fetching = open_at_once(parse(REMOTE.format(folder=tmp_path), "test"))
    models = list(client.engine.models.values())
    assert [one.name for one in models] == ["smollm2-135m", "house"]
    protect = client.engine.stages.protector.protect
    assert protect(request("Hi"), models).models == {"house"}
    assert protect(request("Hi"), models[:1]).models == {"smollm2-135m"}
    assert fetching is not None
    client.close()


def test_a_server_with_every_file_has_nothing_to_fetch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here.gguf").touch()
    client, fetching = open_at_once(parse(SETTINGS.format(folder=tmp_path), "test"))
    assert set(client.engine.models) == {"here"}
    assert fetching is None
    told = capsys.readouterr().err
    assert "'away' has no file at" in told
    assert "going on without away" in told
    client.close()


def test_a_server_without_any_model_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no model can answer: 'here' has no file at"):
        open_at_once(parse(SETTINGS.format(folder=tmp_path), "test"))


def test_a_policys_models_are_narrowed_too() -> None:
    text = SETTINGS.format(folder="/f") + '[policy]\nmodels = ["here", "away"]\n'
    narrowed = without(parse(text, "test"), {"away"})
    assert narrowed.policy.models == ("here",)
    assert list(narrowed.models) == ["here"]
    with pytest.raises(ConfigError, match=r"none of the models in policy\.models is here"):
        without(parse(text, "test"), {"here", "away"})


VENDOR = """
[providers.vendor]
type = "openai"
base_url = "{address}"
concurrent = 1
queue_s = 0.05
[models.limited]
provider = "vendor"
upstream = "429"
usd_per_mtok_in = 1.0
usd_per_mtok_out = 1.0
[models.silent]
provider = "vendor"
usd_per_mtok_in = 1.0
usd_per_mtok_out = 1.0
[models.echo]
provider = "vendor"
usd_per_mtok_in = 1.0
usd_per_mtok_out = 1.0
[record]
path = "memory"
"""


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Client, Upstream]]:
    """What `serve` opens, and the vendor of its models."""
    async with Upstream() as upstream:
        settings = parse(VENDOR.format(address=upstream.base_url), "test")
        client, _ = await asyncio.to_thread(open_at_once, settings)
        async with client:
            yield client, upstream


async def test_what_serve_opens_leaves_an_upstream_alone_that_asks_for_it() -> None:
    async with served() as (client, upstream):
        for _ in range(2):
            with pytest.raises(RateLimitedError):
                await client.answer("Hi", models=["limited"])
        assert upstream.count("429") == 1


async def test_what_serve_opens_asks_a_vendor_no_more_at_once_than_it_may() -> None:
    async with served() as (client, upstream):
        hanging = asyncio.create_task(client.answer("Hi", models=["silent"]))
        await upstream.asked.wait()
        with pytest.raises(UnavailableError, match="is busy"):
            await client.answer("Hi", models=["echo"])
        hanging.cancel()
        await asyncio.wait([hanging])
        assert upstream.count("echo") == 0
