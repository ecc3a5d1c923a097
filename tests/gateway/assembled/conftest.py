"""Two houses for all tests: one process on files, and three workers on PostgreSQL and Valkey."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .house import House, opened
from .vendor import Vendor, vendor

PRICES = {
    "small": (1.0, 2.0, 0.25),
    "large": (10.0, 20.0, 2.5),
    "north": (2.0, 4.0, 0.5),
    "south": (2.1, 4.0, 0.25),
    "spare": (1.0, 2.0, 0.25),
}
"""US dollars per million tokens: prompt, completion, cached prompt."""
ABILITY = """
[models.weak]
provider = "there"
usd_per_mtok_in = 0.01
usd_per_mtok_out = 0.02
ability = { question_answering = 0.05 }
ability_weight = 1000
[models.strong]
provider = "there"
usd_per_mtok_in = 5.0
usd_per_mtok_out = 10.0
ability = { question_answering = 0.995 }
ability_weight = 1000
"""
WRONG = ("close-midway", "wrong-json", "no-usage", "error-midway", "silent", "slow-stream")


def settings(vendor: Vendor, more: str) -> str:
    """A settings file: the vendor's models, and `more`."""
    models = "".join(
        f'[models."{name}"]\nprovider = "there"\ncapabilities = ["tools", "json"]\n'
        f"usd_per_mtok_in = {told[0]}\nusd_per_mtok_out = {told[1]}\n"
        f"usd_per_mtok_cached = {told[2]}\ncontext_window = 32768\nmax_output = 1000\n"
        for name, told in {**PRICES, **dict.fromkeys(WRONG, PRICES["small"])}.items()
    )
    return (
        f'[providers.there]\ntype = "openai"\nbase_url = "{vendor.url}"\n{models}'
        f'{ABILITY}[policy]\nmodels = ["small", "large"]\nmax_cost_usd = 0.05\n'
        f'[record]\npath = "FOLDER/record.db"\n{more}'
    )


@pytest.fixture(scope="session")
def supplier() -> Iterator[Vendor]:
    with vendor() as found:
        yield found


@pytest.fixture(scope="session")
def house(supplier: Vendor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One process, its accounts and its record in files; similar questions have one answer."""
    more = '[gateway]\naccounts = "FOLDER/accounts.db"\n[cache]\nanswers = "similar"\n'
    folder = tmp_path_factory.mktemp("house")
    with opened(folder, settings(supplier, more)) as found:
        yield found


@pytest.fixture(scope="session")
def watcher(house: House) -> str:
    """A key that may read metrics."""
    return house.key("watcher", "--scopes metrics")
