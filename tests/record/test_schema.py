"""Opening: migrations run once, forward only, whole or not at all; strangers' files are refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from emafusion.errors import StoreError
from emafusion.record.schema import connect, migrate, migrations, statements, version


def opened(path: Path) -> closing[sqlite3.Connection]:
    return closing(connect(path, synchronous="full", busy_timeout_s=5.0))


def test_a_new_file_gets_every_migration_in_wal_mode(tmp_path: Path) -> None:
    with opened(tmp_path / "r.db") as connection:
        assert version(connection, tmp_path / "r.db", newest=99) == len(migrations())
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_later_migration_runs_once_on_an_older_file(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    later = (*migrations(), "CREATE TABLE later (a TEXT); INSERT INTO later VALUES ('once');")
    with opened(path) as connection:
        assert version(connection, path, newest=len(later)) == len(migrations())
    for _ in range(2):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            migrate(connection, path, later)
            assert connection.execute("SELECT a FROM later").fetchall() == [("once",)]
            assert version(connection, path, newest=len(later)) == len(later)


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    broken = (*migrations(), "CREATE TABLE half (a TEXT);\nINSERT INTO absent VALUES (1);")
    with opened(path) as connection, pytest.raises(sqlite3.OperationalError, match="absent"):
        migrate(connection, path, broken)
    with opened(path) as connection:
        assert version(connection, path, newest=99) == len(migrations())
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'")
        assert tables.fetchone() == (0,)


def test_a_newer_emafusions_file_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with opened(path) as connection:
        connection.execute("INSERT INTO schema_version (version) VALUES (999)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"newer emafusion wrote it \(schema 999.*upgrade"):
        connect(path, synchronous="full", busy_timeout_s=5.0)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE schema_version (version INTEGER)")
    with pytest.raises(StoreError, match="belongs to another program"):
        connect(path, synchronous="full", busy_timeout_s=5.0)


def test_two_programs_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def open_it() -> None:
        try:
            connect(tmp_path / "r.db", synchronous="full", busy_timeout_s=5.0).close()
        except StoreError as error:
            failures.append(error)

    threads = [Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_statements_are_split_where_they_end() -> None:
    script = "-- a; comment\nCREATE TABLE a (b TEXT DEFAULT ';'); SELECT 1;\nSELECT 2; -- end"
    with closing(sqlite3.connect(":memory:")) as connection:
        answers = [connection.execute(s).fetchall() for s in statements(script)]
        assert answers[:3] == [[], [(1,)], [(2,)]]
        assert connection.execute("SELECT sql FROM sqlite_master").fetchone()[0].endswith("';')")
