"""PostgreSQL and Valkey vanish and return under one process whose keys, money and record are there.

One role named as our schema is, and one address for all: as ``deploy/`` has it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ..parts import Reply, until
from ..valkeys import Server, running
from .conftest import PRICES, settings
from .house import House, decision, nano, opened
from .test_workers import Postgres
from .vendor import Vendor

MORE = """
[gateway]
accounts = "env:EMF_TEST_DATABASE"
valkey = "env:EMF_TEST_VALKEY"
[cache]
answers = "exact"
"""
AWAY_S = 3.0
SLOWEST_S = 0.5 + 0.5
"""What a request may wait for a Valkey that is gone, and what it may take beside that."""


@pytest.fixture
def valkey() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def villa(
    supplier: Vendor,
    postgres: Postgres,
    valkey: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    """One process that keeps nothing."""
    place = postgres.fresh()
    with psycopg.connect(place, autocommit=True) as admin:
        if not admin.execute("SELECT FROM pg_roles WHERE rolname = 'emafusion'").fetchall():
            admin.execute("CREATE ROLE emafusion SUPERUSER LOGIN")
    place = place.replace("postgres@", "emafusion@")
    monkeypatch.setenv("EMF_TEST_DATABASE", place)
    monkeypatch.setenv("EMF_TEST_VALKEY", valkey.url)
    told = settings(supplier, MORE).replace("FOLDER/record.db", "env:EMF_TEST_DATABASE")
    with opened(tmp_path, told, place=place, record=place) as house:
        yield house


class Caller(threading.Thread):
    """Asks one question after the other until it is told to stop."""

    def __init__(self, house: House, key: str, stream: bool) -> None:
        super().__init__()
        self._told = house, key, stream
        self.replies: list[Reply] = []
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        house, key, stream = self._told
        while not self.over.is_set():
            text = f"Question {len(self.replies)}"
            found = house.ask(key, "spare", stream=stream, text=text, temperature=1.0)
            self.replies.append(found)

    def stop(self) -> list[Reply]:
        """What it was told."""
        self.over.set()
        self.join()
        return self.replies


def test_everything_is_there_again_when_the_database_is(
    villa: House, supplier: Vendor, postgres: Postgres
) -> None:
    key, poor = villa.key("free"), villa.key("budgeted")
    villa.cli("budget set key:budgeted 1 --per total")
    villa.refresh()
    billed = supplier.bill("spare", PRICES["spare"])
    assert villa.ask(poor, "spare", temperature=1.0).status == 200
    callers = [Caller(villa, one, stream) for one in (key, poor) for stream in (False, True)]
    until(lambda: all(len(one.replies) > 3 for one in callers))
    postgres.kill()
    time.sleep(AWAY_S)
    assert villa.get("/healthz").status == 200
    until(lambda: villa.get("/readyz").status == 503, within_s=10.0)
    postgres.start()
    until(lambda: villa.get("/readyz").status == 200, within_s=15.0)
    counts = [len(one.replies) for one in callers]
    until(lambda: all(len(one.replies) > n + 1 for one, n in zip(callers, counts, strict=True)))
    replies = [reply for one in callers for reply in one.stop()]

    refused = {one.error["code"] for one in replies if one.status != 200}
    assert refused <= {"store_unreachable", "overloaded"}
    whole = [one for one in replies if one.status == 200 and b"error" not in one.content[-300:]]
    on_record = villa.outcomes()
    assert {decision(one) for one in whole} <= set(on_record)
    billed = supplier.bill("spare", PRICES["spare"]) - billed
    assert sum(nano(one.cost_usd) for one in on_record.values()) == billed
    identity = villa.cli("keys show budgeted --json")["key"]["id"]
    owed = sum(nano(one.cost_usd) for one in on_record.values() if identity in one.caller)
    until(lambda: villa.spent(f"key:{identity}") == (owed, 0))


def test_without_valkey_requests_go_on_and_rates_still_hold(villa: House, valkey: Server) -> None:
    key = villa.key("steady", "--requests-per-minute 8")
    other = villa.key("other")
    villa.refresh()
    assert [_cached(villa, other) for _ in range(2)] == ["miss", "hit"]
    assert villa.ask(key, "small").status == 200
    valkey.stop()
    begun = time.monotonic()
    assert _cached(villa, other) == "miss"
    assert time.monotonic() - begun < 20 * SLOWEST_S
    statuses = [villa.ask(key, "small", text=f"Number {n}").status for n in range(10)]
    assert statuses.count(200) <= 8
    assert set(statuses) == {200, 429}
    assert villa.get("/readyz").status == 200
    valkey.start()
    until(lambda: _cached(villa, other) == "hit")


def _cached(house: House, key: str) -> str:
    reply = house.ask(key, "small", text="What is kept?")
    assert reply.status == 200
    return reply.headers["x-emafusion-cache"]
