"""The proxy that the environment names is used, and is looked up once."""

from __future__ import annotations

import pytest

from emafusion.errors import UnavailableError
from emafusion.providers.openai import OpenAIProvider
from emafusion.testing.upstream import Upstream

from .calls import call

NOWHERE = "http://model.invalid/v1"
DEAD = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_a_call_goes_through_the_proxy(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", upstream.root.replace("//", "//me:secret@"))
    provider = OpenAIProvider(NOWHERE)
    completion = await provider.complete(call())
    await provider.aclose()
    assert completion.text == "echo: Hi there"
    assert upstream.seen[0].headers["Host"] == "model.invalid"
    assert upstream.seen[0].headers["Proxy-Authorization"] == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize("spared", ["127.0.0.1", "{address}", "*"])
async def test_an_address_that_is_spared_is_asked_directly(
    spared: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", DEAD)
    monkeypatch.setenv("NO_PROXY", spared.format(address=upstream.root.removeprefix("http://")))
    provider = OpenAIProvider(upstream.base_url)
    assert (await provider.complete(call())).text == "echo: Hi there"
    await provider.aclose()


async def test_a_proxy_for_the_other_scheme_is_none(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", DEAD)
    provider = OpenAIProvider(upstream.base_url)
    assert (await provider.complete(call())).text == "echo: Hi there"
    await provider.aclose()


async def test_the_environment_is_not_looked_at_for_every_call(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = OpenAIProvider(upstream.base_url)
    await provider.complete(call())
    monkeypatch.setenv("HTTP_PROXY", DEAD)
    assert (await provider.complete(call())).text == "echo: Hi there"
    another = OpenAIProvider(upstream.base_url, attempts=1)
    with pytest.raises(UnavailableError):
        await another.complete(call())
    await provider.aclose()
    await another.aclose()
