from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from emafusion.catalog import CAPABILITIES, Catalog, local_models, resolve
from emafusion.catalog.prices import listed
from emafusion.errors import ConfigError, UnknownModelError
from emafusion.providers.weights import shipped
from emafusion.types import Model, Usage

PARAMETERS = {  # billions, from the models' own configurations
    "smollm2-135m": 0.134515,
    "qwen2.5-coder-0.5b": 0.494033,
    "qwen2.5-coder-1.5b": 1.543714,
}


def test_local_models_cost_in_proportion_to_their_size() -> None:
    models = {model.name: model for model in local_models()}
    assert models.keys() == PARAMETERS.keys()
    for name, billions in PARAMETERS.items():
        assert models[name].usd_per_mtok_in == pytest.approx(0.10 * billions, rel=5e-3)
        assert models[name].usd_per_mtok_out == pytest.approx(0.40 * billions, rel=5e-3)


def test_every_local_model_has_a_file_and_a_licence() -> None:
    files = shipped()
    for model in local_models("mine"):
        assert model.provider == "mine"
        assert model.visibility == "private"
        assert model.capabilities <= CAPABILITIES
        assert files[model.upstream.removeprefix("sha256:")].licence == "Apache-2.0"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    catalog = Catalog(local_models())
    with pytest.raises(UnknownModelError, match=r"'smollm-135m'; did you mean 'smollm2-135m'"):
        catalog["smollm-135m"]
    with pytest.raises(UnknownModelError, match="there are 'smollm2-135m', 'qwen"):
        catalog["zzz"]
    with pytest.raises(UnknownModelError, match="there is none"):
        Catalog([])["zzz"]
    assert "zzz" not in catalog


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two models are named 'smollm2-135m'"):
        Catalog([*local_models(), *local_models()])


def test_a_local_model_by_its_name_alone() -> None:
    assert resolve("smollm2-135m", "local") == local_models()[0]


def test_a_shipped_name_for_another_model_is_just_a_name() -> None:
    with pytest.raises(ConfigError, match="nobody lists a price for the model 'smollm2-135m'"):
        resolve("smollm2-135m", "vllm", upstream="smol", base_url="http://127.0.0.1:80/v1")


def test_what_a_model_can_do_is_unknown_where_nobody_said() -> None:
    found = resolve("small", "openai", upstream="gpt-4o-mini", base_url=OPENAI)
    assert (found.declared, found.capabilities) == (False, frozenset())
    for said in ([], ["tools"]):
        told = resolve("gpt-4o-mini", "openai", base_url=OPENAI, capabilities=said)
        assert (told.declared, told.capabilities) == (True, frozenset(said))
    assert all(one.declared for one in local_models())


def test_prices_and_windows_of_hosted_models_are_looked_up() -> None:
    model = resolve("small", "openai", upstream="gpt-4o-mini", base_url=OPENAI)
    assert (model.usd_per_mtok_in, model.usd_per_mtok_out) == (0.15, 0.6)
    assert model.usd_per_mtok_cached == 0.075
    assert model.context_window == 128_000
    usage = Usage(prompt_tokens=1_000_000, completion_tokens=1_000_000, cached_tokens=500_000)
    assert model.cost(usage) == pytest.approx(0.075 + 0.0375 + 0.6)


OPENAI = "https://api.openai.com/v1"


def test_a_vendor_in_the_name_is_understood() -> None:
    for upstream in ("anthropic:claude-sonnet-4-0", "anthropic/claude-sonnet-4-0"):
        model = resolve("claude", "bridge", upstream=upstream)
        assert (model.usd_per_mtok_in, model.usd_per_mtok_out) == (3.0, 15.0)


def test_of_a_tiered_price_the_base_counts() -> None:
    listing = listed("claude-sonnet-4-5")
    assert listing is not None
    assert listing.usd_per_mtok_in == 3.0


def test_what_the_user_writes_wins() -> None:
    written: dict[str, Any] = {
        "usd_per_mtok_in": 9.0,
        "capabilities": ["tools"],
        "visibility": "private",
    }
    model = resolve("gpt-4o-mini", "openai", base_url=OPENAI, **written)
    assert model.usd_per_mtok_in == 9.0
    assert model.usd_per_mtok_out == 0.6
    assert model.usd_per_mtok_cached is None, "the listed price of a cached token no longer fits"
    assert model.capabilities == {"tools"}
    assert model.visibility == "private"


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8000/v1", "http://localhost/v1", "http://10.0.0.7/v1", "http://vllm:80/v1"],
)
def test_a_private_server_has_no_public_price(address: str) -> None:
    with pytest.raises(ConfigError, match=r"write usd_per_mtok_in and usd_per_mtok_out"):
        resolve("gpt-4o-mini", "own", base_url=address)
    free: dict[str, Any] = {"usd_per_mtok_in": 0.0, "usd_per_mtok_out": 0}
    assert resolve("gpt-4o-mini", "own", base_url=address, **free).cost(Usage()) == 0


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"context_windw": 1}, "unknown setting 'context_windw'; did you mean 'context_window'"),
        ({"capabilities": ["tool"]}, "unknown capability 'tool'; did you mean 'tools'"),
        ({"context_window": "big"}, r"wrong type: Expected `int`, got `str`"),
        ({"usd_per_mtok_in": -1.0}, "price below 0"),
        ({"context_window": 0}, "below 1"),
        ({"visibility": "secret"}, "wrong type: Invalid enum value 'secret'"),
    ],
)
def test_a_wrong_setting_is_named(written: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve("smollm2-135m", "local", **written)


def test_the_price_list_is_not_imported_before_a_price_is_looked_up() -> None:
    script = """
import sys
from emafusion.catalog import Catalog, local_models, resolve
Catalog(local_models())
resolve("smollm2-135m", "local")
resolve("x", "p", usd_per_mtok_in=1, usd_per_mtok_out=1, context_window=9)
sys.exit("genai_prices" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_model_is_not_priced_by_a_name_nobody_knows() -> None:
    assert listed("a-model-of-my-own") is None
    assert isinstance(resolve("qwen2.5-coder-1.5b", "local"), Model)


@pytest.mark.parametrize(
    ("upstream", "bound"),
    [
        ("gpt-5", "max_completion_tokens"),
        ("openai/gpt-5.1-mini", "max_completion_tokens"),
        ("o1", "max_completion_tokens"),
        ("o4-mini-2025-04-16", "max_completion_tokens"),
        ("gpt-4o-mini", None),
        ("o1lama", None),
        ("qwen-o3", None),
    ],
)
def test_how_an_answers_length_is_spelt_is_known_by_name(upstream: str, bound: str | None) -> None:
    free: dict[str, Any] = {"usd_per_mtok_in": 0, "usd_per_mtok_out": 0, "context_window": 9}
    assert resolve("m", "p", upstream=upstream, **free).bound == bound
    assert resolve("m", "p", upstream=upstream, bound="max_tokens", **free).bound == "max_tokens"
