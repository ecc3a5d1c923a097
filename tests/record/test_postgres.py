"""What only a server does: it goes and comes back, keeps others' tables, and is told a password."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from pathlib import Path

import psycopg
import pytest

from emafusion.databases import migrate, postgres, scripts
from emafusion.errors import ConfigError, StoreError, StoreUnreachableError
from emafusion.record import Store
from emafusion.record.backends import backend
from emafusion.record.rows import FeedbackRow, Row, pack, write
from emafusion.record.writer import Writer
from emafusion.types import Feedback
from frozen import way

from .conftest import Postgres
from .looking import held, rows
from .outcomes import outcome


async def test_a_server_that_is_killed_and_returns(postgres: Postgres, address: str) -> None:
    """Whoever waits long enough is served, nothing acknowledged is lost, nothing is there twice."""
    store, hasty = Store(address, max_wait_s=60), Store(address, max_wait_s=0.3)
    acknowledged: list[str] = []

    async def record(numbers: range) -> None:
        for number in numbers:
            await store.record(outcome(f"d{number}"))
            acknowledged.append(f"d{number}")

    async with asyncio.TaskGroup() as group:
        await record(range(10))
        for first in range(10, 200, 19):
            group.create_task(record(range(first, first + 19)))
        await asyncio.sleep(random.uniform(0.0, 0.1))
        await asyncio.to_thread(postgres.kill)
        try:
            with pytest.raises(
                StoreError, match=r"did not confirm 'hasty' in time.*PostgreSQL"
            ) as late:
                await hasty.record(outcome("hasty"))
            # Which would invite the client to ask, and pay, again.
            assert not isinstance(late.value, StoreUnreachableError)
            with pytest.raises(StoreError):
                await hasty.ready()
            with pytest.raises(StoreError, match="does not answer"):
                await hasty.find("d0")
        finally:
            await asyncio.to_thread(postgres.start)
    hasty.max_wait_s = 60  # a writer looks only now and then whether its server is back
    await hasty.record(outcome("later"))
    await hasty.record(outcome("hasty"))
    await hasty.ready()
    assert await hasty.find("d0") is not None
    found = [one.decision_id for _, one in await store.recorded()]
    assert len(acknowledged) == 200
    assert sorted(found) == sorted([*acknowledged, "later", "hasty"])
    assert rows(address, "SELECT count(*) FROM calls") == [(2 * len(found),)]
    await store.aclose()
    await hasty.aclose()


def port(address: str) -> int:
    found = psycopg.conninfo.conninfo_to_dict(address)["port"]
    return int(str(found))


def test_a_server_that_hangs_is_not_waited_for(address: str) -> None:
    """Its own timeouts are of no use then, and the system says that all is well."""
    with way(port(address)) as there:
        place = address.replace(f":{port(address)}/", f":{there.port}/")
        connection = postgres.connect(place, timeout_s=1)
        assert connection.execute("SELECT pg_sleep(0.5)").fetchall()
        there.frozen = True
        began = time.monotonic()
        with (
            pytest.raises(psycopg.OperationalError, match="nothing was heard for 2 s"),
            connection.transaction(),
        ):
            connection.execute("SELECT 1")
        assert connection.closed
        assert time.monotonic() - began < 30.0


def test_who_is_told_to_waits(address: str) -> None:
    with way(port(address)) as there:
        place = address.replace(f":{port(address)}/", f":{there.port}/")
        connection = postgres.connect(place, timeout_s=1)
        connection.within_s = None
        there.frozen = True
        threading.Timer(2.5, setattr, (there, "frozen", False)).start()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        connection.close()


async def test_while_a_server_hangs_nothing_is_promised(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "STATEMENT_TIMEOUT_S", 1)
    with way(port(address)) as there:
        place = address.replace(f":{port(address)}/", f":{there.port}/")
        store = Store(place, max_wait_s=40.0)
        await store.record(outcome("d0"))
        await store.ready()
        there.frozen = True
        late = asyncio.create_task(store.record(outcome("d1")))
        with pytest.raises(StoreError, match="does not answer"):
            await store.ready()
        async with asyncio.timeout(30):
            while store.failing is None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        there.frozen = False
        await late
        assert store.failing is None
        await store.aclose()


async def test_a_server_that_is_away_is_noticed_by_who_only_looks(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Writer.__init__, "__kwdefaults__", {"patience_s": 0.2})
    with way(port(address)) as there:
        store = Store(address.replace(f":{port(address)}/", f":{there.port}/"))
        await store.record(outcome("d0"))
        there.frozen = True
        while store.failing is None:
            with pytest.raises((StoreError, TimeoutError)):
                await asyncio.wait_for(store.ready(), 0.2)
        there.frozen = False
        await store.ready()
        assert store.failing is None
        await store.aclose()


async def test_closing_does_not_wait_for_a_server_that_is_away() -> None:
    store = Store("postgresql://me:s3cret@127.0.0.1:1/none")
    waiting = asyncio.create_task(store.record(outcome("d1")))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        await store.aclose()
    with pytest.raises(StoreError) as raised:
        await waiting
    assert "s3cret" not in f"{raised.value}{store!r}"


def test_a_commit_tried_again_writes_nothing_twice(address: str) -> None:
    """The answer to a commit got lost, so the same rows are written again."""
    one = backend(address, synchronous="full", busy_timeout_s=1.0)
    said = Feedback(decision_id="d1", caller="a", score=1.0, created=1.0)
    batch: list[Row] = [pack(outcome("d1"), content=True), FeedbackRow(feedback=said, content=True)]
    for _ in range(2):
        assert one.transact(lambda connection: write(connection, batch)) == [None, None]
    one.release()
    for table, count in {"decisions": 1, "calls": 2, "verdicts": 1, "feedback": 1}.items():
        assert rows(address, f"SELECT count(*) FROM {table}") == [(count,)]
    assert rows(address, "SELECT seq FROM feedback") == [(1,)]


async def test_whoever_stops_amid_a_transaction_holds_nobody_up(address: str) -> None:
    """The server ends its session, and with it the lock."""
    store = Store(address)
    await store.record(outcome("d1"))
    stopped = postgres.connect(address, settings={"idle_in_transaction_session_timeout": 300})
    stopped.execute("BEGIN")
    stopped.execute(f"SELECT pg_advisory_xact_lock({0x656D66}, 1)")
    await store.record(outcome("d2"))
    stopped.close()
    await store.aclose()


async def test_a_late_commit_is_not_passed_over(address: str) -> None:
    """No row gets a number while another writer's transaction is open."""
    store = Store(address)
    await store.record(outcome("d1"))
    with held(address):
        waiting = asyncio.create_task(store.record(outcome("d2")))
        await asyncio.sleep(0.05)
        assert rows(address, "SELECT last_value FROM decisions_rowid_seq") == [(1,)]
        assert len(await store.recorded()) == 1
    await waiting
    assert [number for number, _ in await store.recorded(1)] == [2]
    await store.aclose()


async def test_the_acknowledged_is_on_the_disk(address: str) -> None:
    """Whatever the role is set to."""
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("ALTER ROLE postgres SET synchronous_commit = off")
    try:
        for kind, expected in (("full", "on"), ("normal", "off")):
            one = backend(address, synchronous=kind, busy_timeout_s=1.0)  # type: ignore[arg-type]
            found = one.transact(lambda c: c.rows(tuple[str], "SHOW synchronous_commit"))
            one.release()
            assert found == [(expected,)]
    finally:
        with psycopg.connect(address, autocommit=True) as server:
            server.execute("ALTER ROLE postgres RESET synchronous_commit")


async def test_who_may_only_read_can_read(address: str) -> None:
    store = Store(address)
    await store.record(outcome("d1"))
    await store.aclose()
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("DROP ROLE IF EXISTS reader")
        server.execute("CREATE ROLE reader LOGIN")
        server.execute("GRANT USAGE ON SCHEMA emafusion TO reader")
        server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA emafusion TO reader")
    reader = Store(address.replace("postgres@", "reader@"))
    assert await reader.find("d1") is not None
    with pytest.raises(StoreError, match="permission denied"):
        await reader.record(outcome("d2"))
    with pytest.raises(StoreError, match="permission denied"):
        await reader.ready()
    await reader.aclose()


async def test_other_programs_tables_are_left_alone(postgres: Postgres) -> None:
    address = postgres.fresh()
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("CREATE TABLE decisions (mine TEXT)")
    store = Store(address)
    await store.record(outcome("d1"))
    assert await store.find("d1") is not None
    await store.aclose()
    assert rows(address, "SELECT count(*) FROM public.decisions") == [(0,)]


async def test_an_older_record_is_brought_up_to_date_with_its_data(address: str) -> None:
    with psycopg.connect(address, cursor_factory=psycopg.RawCursor) as server:
        server.execute("CREATE SCHEMA emafusion")
        server.execute("SET search_path = emafusion")
        first = scripts("emafusion.record", "migrations/postgres")[:1]
        migrate(postgres.Transaction(server), first, table="schema_version", what="it")
        write(postgres.Transaction(server), [pack(outcome("old"), content=True)])
    store = Store(address)
    assert await store.find("old") == outcome("old")
    await store.note(Feedback(decision_id="old", score=1.0, created=1.0))
    await store.aclose()


async def test_a_newer_emafusions_record_is_refused(address: str) -> None:
    store = Store(address)
    await store.ready()
    rows(address, "INSERT INTO schema_version VALUES (999, '')")
    later = Store(address)
    for attempt in (later.record(outcome("d1")), later.find("d1"), later.ready()):
        with pytest.raises(StoreError, match=r"newer emafusion wrote it \(schema 999"):
            await attempt
    await store.aclose()
    await later.aclose()


async def test_tables_that_vanish_are_made_anew(address: str) -> None:
    store = Store(address)
    await store.record(outcome("d1"))
    rows(address, "DROP SCHEMA emafusion CASCADE")
    with pytest.raises(StoreError, match="does not exist"):
        await store.record(outcome("d2"))
    await store.record(outcome("d3"))
    assert await store.find("d1") is None
    await store.aclose()


def test_an_address_that_is_none_is_refused_without_the_password() -> None:
    with pytest.raises(ConfigError, match="the record's") as wrong:
        Store("postgresql://me:s3cret@[::1/none?x")
    assert "s3cret" not in str(wrong.value)


def test_both_databases_have_the_same_columns(tmp_path: Path, address: str) -> None:
    for place in (str(tmp_path / "record.db"), address):
        one = backend(place, synchronous="full", busy_timeout_s=1.0)
        one.probe()
        one.close()
    for table in ("decisions", "calls", "verdicts", "feedback"):
        theirs = rows(
            address,
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'emafusion'"
            f" AND table_name = '{table}' ORDER BY ordinal_position",
        )
        ours = rows(str(tmp_path / "record.db"), f"SELECT name FROM pragma_table_info('{table}')")
        assert theirs == ours
