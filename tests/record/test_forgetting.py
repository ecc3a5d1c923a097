"""Erasing: nothing is left in any row or byte, and whoever reads on misses nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from emafusion.errors import StoreError
from emafusion.record import Retention, Store
from emafusion.record.retention import DAY_S, REST_S
from emafusion.record.schema import migrate, migrations
from emafusion.types import Feedback, Outcome, replace

from .looking import contents, rows
from .outcomes import outcome

SECRET = "jane.roe@harbour.example"


def planted(name: str) -> Outcome:
    """A decision that holds the secret wherever a text may stand."""
    plain = outcome(name)
    return replace(
        plain,
        prompt=f"write to {SECRET}",
        text=f"done, {SECRET}",
        caller=f"team:a/{SECRET}",
        steps=tuple(replace(step, text=SECRET * 50) for step in plain.steps),
        verdicts=tuple(replace(one, reason=f"names {SECRET}") for one in plain.verdicts),
    )


async def fill(store: Store, names: list[str]) -> None:
    for name in names:
        await store.record(planted(name))
        await store.note(Feedback(decision_id=name, score=0.0, created=2.0, comment=SECRET))
        await store.note(Feedback(decision_id=name, score=1.0, created=3.0, comment=SECRET * 9))


async def test_a_forgotten_decision_leaves_nothing(store: Store, place: str) -> None:
    await fill(store, ["a", "b"])
    await store.record(outcome("other"))
    assert SECRET.encode() in contents(place)
    assert await store.forget(["a", "b", "absent"]) == 2
    assert await store.forget(["a", "b"]) == 0
    await store.scrub()
    assert SECRET.encode() not in contents(place)
    assert await store.noted() == ()
    assert [one.decision_id for one in await store.recent(9)] == ["other"]
    assert (await store.totals()).models["s"].calls == 1


async def test_no_byte_of_a_large_decision_is_left_in_any_file(tmp_path: Path) -> None:
    """Where pages were split and rows moved, stale copies lie in pages that are in use."""
    place = str(tmp_path / "record.db")
    store = Store(place)
    await fill(store, [f"p{n}" for n in range(60)])
    await asyncio.gather(*(store.record(outcome(f"o{n}")) for n in range(60)))
    await store.forget([f"p{n}" for n in range(60)])
    await store.scrub()
    # The store is still open, as a server's is.
    assert SECRET.encode() not in contents(place)
    await store.aclose()


async def test_an_opinion_can_be_taken_out_alone(store: Store) -> None:
    await store.record(outcome("a"))
    await store.note(Feedback(decision_id="a", caller="x", score=0.0, created=2.0, comment="1"))
    await store.note(Feedback(decision_id="a", caller="y", score=0.0, created=2.0, comment="2"))
    [(first, _), (second, _)] = await store.noted()
    assert await store.silence([first, 99]) == 1
    assert [number for number, _ in await store.noted()] == [second]


async def test_who_reads_on_misses_nothing_that_comes_after(store: Store) -> None:
    for name in ("a", "b", "c"):
        await store.record(outcome(name))
    last = (await store.recorded())[-1][0]
    await store.forget(["b", "c"])
    await store.scrub()
    await store.record(outcome("d"))
    assert [one.decision_id for _, one in await store.recorded(last)] == ["d"]


async def test_what_is_too_old_goes_in_small_pieces(store: Store) -> None:
    now = 100 * DAY_S
    for day in (*range(10), 99):
        await store.record(outcome(str(day), created=day * DAY_S))
    retention = Retention(store, 95.5, now=lambda: now, ticks=lambda: now)
    assert await asyncio.to_thread(retention.sweep) == 5
    assert await store.older(1e12) == 6
    now += REST_S - 1
    assert await asyncio.to_thread(retention.sweep) == 0
    now += DAY_S
    assert await asyncio.to_thread(retention.sweep) == 1
    now -= 50 * DAY_S
    await store.record(outcome("old", created=-60 * DAY_S))
    assert await asyncio.to_thread(retention.sweep) == 1, "a clock set back stops nothing"


async def test_what_is_too_old_leaves_the_file_and_its_log(tmp_path: Path) -> None:
    """A quiet server's log is not emptied by what it records."""
    path = tmp_path / "record.db"
    store = Store(path)
    for number in range(20):
        await store.record(replace(planted(f"p{number}"), created=float(number)))
        await store.record(outcome(f"o{number}", created=99 * DAY_S))
    now = 100 * DAY_S
    retention = Retention(store, 50, now=lambda: now, ticks=lambda: now)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM decisions").fetchone()
        assert await asyncio.to_thread(retention.sweep) == 20, "nobody is waited for"
        assert SECRET.encode() in contents(str(path))
    now += REST_S
    assert await asyncio.to_thread(retention.sweep) == 0
    assert SECRET.encode() not in contents(str(path))
    await store.aclose()


class Clocks:
    """A clock that may be set, and one that nobody sets."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.ticks = 0.0

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.ticks += seconds


async def swept(store: Store, clocks: Clocks, keep_days: float = 30.0) -> Retention:
    """What has swept `store` once, and deletes after `keep_days`."""
    told = Retention(store, keep_days, now=lambda: clocks.now, ticks=lambda: clocks.ticks)
    await asyncio.to_thread(told.sweep)
    return told


async def test_a_clock_that_jumps_ahead_deletes_nothing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    clocks = Clocks(1000 * DAY_S)
    await store.record(outcome("early", created=980 * DAY_S))
    await store.record(outcome("late", created=clocks.now))
    retention = await swept(store, clocks)
    clocks.now += 60 * DAY_S
    await store.record(outcome("misdated", created=clocks.now))
    for _ in range(20):
        clocks.pass_by(3600)
        assert await asyncio.to_thread(retention.sweep) == 0
    assert caplog.text.count("nothing is deleted for a day") == 1
    clocks.now -= 60 * DAY_S
    clocks.pass_by(9.5 * DAY_S)
    assert await asyncio.to_thread(retention.sweep) == 1
    assert {one.decision_id for one in await store.recent(9)} == {"late", "misdated"}


async def test_a_clock_that_is_still_ahead_after_a_day_is_believed(store: Store) -> None:
    """A machine that slept, or began in 1970, is right in the end."""
    clocks = Clocks(0.0)
    await store.record(outcome("a", created=1000 * DAY_S))
    retention = await swept(store, clocks)
    clocks.now = 1031 * DAY_S
    await store.record(outcome("b", created=clocks.now))
    assert await asyncio.to_thread(retention.sweep) == 0
    clocks.pass_by(DAY_S)
    assert await asyncio.to_thread(retention.sweep) == 1
    clocks.pass_by(REST_S)
    await store.record(outcome("c", created=1001 * DAY_S))
    assert await asyncio.to_thread(retention.sweep) == 1


async def test_who_begins_with_a_wrong_clock_deletes_nothing(store: Store) -> None:
    clocks = Clocks(1060 * DAY_S)
    await store.record(outcome("a", created=999 * DAY_S))
    await store.record(outcome("b", created=1000 * DAY_S))
    retention = await swept(store, clocks)
    assert await store.older(1e12) == 2
    # What nobody asks is not kept for ever.
    clocks.pass_by(28.5 * DAY_S)
    assert await asyncio.to_thread(retention.sweep) == 1


async def test_a_locked_file_says_so_and_is_scrubbed_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    store = Store(path, busy_timeout_s=0.1)
    await fill(store, ["a"])
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM decisions").fetchone()
        await store.forget(["a"])
        with pytest.raises(StoreError, match="run this again"):
            await store.scrub()
    await store.scrub()
    assert SECRET.encode() not in contents(str(path))
    await store.aclose()


async def test_nothing_is_made_where_nothing_was_recorded(tmp_path: Path) -> None:
    store = Store(tmp_path / "record.db")
    assert await store.forget([]) == 0
    assert store.forget_older_sync(1e12, limit=10) == 0
    await store.scrub()
    assert contents(str(tmp_path / "record.db")) == b""


def test_an_older_record_keeps_its_numbers_and_what_hangs_on_them(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, migrations()[:2])
        values = "1.0, 'hash', 'm', NULL, 0.5, 0.1, 0.2, 'stop', 0, NULL, '{}'"
        for number, name in ((3, "a"), (7, "b")):
            connection.execute(
                f"INSERT INTO decisions (rowid, id, created, prompt_sha256, model, arrangement,"
                f" confidence, cost_usd, latency_s, finish_reason, tier, error, outcome)"
                f" VALUES ({number}, '{name}', {values})"
            )
            connection.execute(
                f"INSERT INTO feedback (decision_id, caller, score, created, comment)"
                f" VALUES ('{name}', '', 1.0, 1.0, '')"
            )
    store = Store(path)
    assert asyncio.run(store.forget(["b"])) == 1
    assert rows(str(path), "SELECT rowid, id FROM decisions") == [(3, "a")]
    assert rows(str(path), "SELECT decision_id FROM feedback") == [("a",)]
    asyncio.run(store.record(outcome("c")))
    asyncio.run(store.aclose())
    assert rows(str(path), "SELECT rowid FROM decisions WHERE id = 'c'") == [(8,)]


async def test_a_server_records_on_while_another_process_erases(store: Store, place: str) -> None:
    other = Store(place)
    await fill(store, [f"p{n}" for n in range(20)])

    async def serve() -> None:
        for number in range(150):
            await store.record(outcome(f"o{number}"))

    async def erase() -> None:
        assert await other.forget([f"p{n}" for n in range(20)]) == 20
        await other.scrub()

    await asyncio.gather(serve(), erase())
    await other.aclose()
    assert {one.decision_id for one in await store.recent(999)} == {f"o{n}" for n in range(150)}
    assert SECRET.encode() not in contents(place)


async def test_what_an_earlier_version_deleted_goes_too(tmp_path: Path) -> None:
    """It let go of pages and did not overwrite them."""
    path = tmp_path / "record.db"
    store = Store(path)
    await fill(store, [f"p{n}" for n in range(40)])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM decisions WHERE id <> 'p0'")
    await store.forget(["p0"])
    assert SECRET.encode() in contents(str(path))
    await store.scrub()
    assert SECRET.encode() not in contents(str(path))
    await store.aclose()
