"""Three workers on PostgreSQL and Valkey: one is killed, the database stops, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from ..parts import until
from ..valkeys import Server
from .conftest import PRICES, settings
from .house import House, nano, opened
from .siege import QUESTION, Strike, besiege
from .vendor import Vendor

MORE = """
[gateway]
accounts = "env:EMF_TEST_ACCOUNTS"
valkey = "env:EMF_TEST_VALKEY"
workers = 3
places = PLACES
drain_s = 5
[cache]
answers = "exact"
"""
PATH = "/v1/chat/completions"
FITS = 120
"""How many answers the budget would pay for."""


class Postgres(Protocol):
    """What these tests do to the server."""

    def fresh(self) -> str: ...
    def kill(self) -> None: ...
    def start(self) -> None: ...


@pytest.fixture(scope="module")
def mansion(
    supplier: Vendor, postgres: Postgres, valkey: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """Three workers."""
    place = postgres.fresh()
    told = settings(supplier, MORE.replace("PLACES", "512"))
    environment = {"EMF_TEST_ACCOUNTS": place, "EMF_TEST_VALKEY": valkey.url}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with opened(tmp_path_factory.mktemp("mansion"), told, place=place) as house:
            yield house


def children(house: House) -> list[int]:
    """The workers' process numbers."""
    number = house.process.pid
    told = Path(f"/proc/{number}/task/{number}/children").read_text()
    return [int(each) for each in told.split()]


def links(number: int) -> int:
    """How many files and connections a process has open."""
    return sum(1 for _ in Path(f"/proc/{number}/fd").iterdir())


def test_workers_share_rates_answers_keys_and_counts(mansion: House, supplier: Vendor) -> None:
    watcher = mansion.key("watcher", "--scopes metrics")
    key = mansion.key("sharer", "--requests-per-minute 20")
    calls = supplier.calls["small"]
    before = mansion.counted(watcher, "emafusion_answers_total")
    begun = time.monotonic()
    said = [mansion.ask(key, "small", text="Shared?") for _ in range(24)]
    regained = (time.monotonic() - begun) / 3.0
    assert 20 <= [one.status for one in said].count(200) <= 20 + regained
    assert supplier.calls["small"] == calls + 1
    until(lambda: mansion.counted(watcher, "emafusion_answers_total") >= before + 20)
    mansion.cli("keys revoke sharer")
    time.sleep(1.0)
    assert {mansion.get("/v1/models", key).status for _ in range(9)} == {401}


def test_no_budget_is_overspent_and_no_answer_lost(
    mansion: House, supplier: Vendor, postgres: Postgres
) -> None:
    supplier.pause_s = 0.05
    before = supplier.bill("large", PRICES["large"])
    cost = _cost(mansion)
    key = mansion.key("besieged")
    mansion.cli(f"budget set key:besieged {FITS * cost / 1e9:.9f} --per total")
    mansion.refresh()
    time.sleep(3.0)  # one worker is known to have read of the budget; each of the others has to

    def kill() -> None:
        os.kill(max(children(mansion), key=links), signal.SIGKILL)

    def outage() -> None:
        postgres.kill()
        time.sleep(0.3)
        postgres.start()

    strikes = [Strike(20, kill), Strike(40, outage)]
    first = asyncio.run(besiege(mansion, key, callers=400, over_s=1.5, strikes=strikes))
    until(lambda: len(children(mansion)) == 3)
    until(lambda: mansion.get("/readyz").status == 200, within_s=15.0)
    second = asyncio.run(besiege(mansion, key, callers=200, over_s=0.3))
    supplier.pause_s = 0.0

    delivered = [*first.delivered, *second.delivered]
    on_record = mansion.outcomes()
    assert len(delivered) == len(set(delivered)) > 40
    assert not [one for one in delivered if one not in on_record]
    refused = {*first.refused, *second.refused}
    assert refused <= {"budget_exceeded", "store_unreachable", "overloaded"}
    billed = supplier.bill("large", PRICES["large"]) - before - cost
    identity = mansion.cli("keys show besieged --json")["key"]["id"]
    spent, held = mansion.spent(f"key:{identity}")
    # What was under way when a worker was killed counts as spent: nobody knows that it was not.
    assert billed <= spent + held <= FITS * cost
    assert len(delivered) * cost <= billed

    mansion.cli("budget set key:besieged 1 --per total")
    until(lambda: all(mansion.send(PATH, key, QUESTION).status == 200 for _ in range(6)))


def _cost(mansion: House) -> int:
    """What the question costs, in billionths of a dollar."""
    answer = mansion.send(PATH, mansion.key("priced"), QUESTION)
    return nano(answer.json["emafusion"]["cost_usd"])
