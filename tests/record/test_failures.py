"""A sick disk: each failure is a StoreError that names file and remedy, and passes with it."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from emafusion.errors import StoreError
from emafusion.record import Store
from emafusion.record.rows import pack
from emafusion.record.schema import connect
from emafusion.record.writer import Writer

from .outcomes import outcome

TESTS = Path(__file__).parent.parent


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path / "record.db", busy_timeout_s=0.05)
    yield store
    await store.aclose()


async def refusal(store: Store) -> str:
    """What recording says; reading and :meth:`Store.ready` must say so too."""
    with pytest.raises(StoreError) as recording:
        await store.record(outcome("refused"))
    with pytest.raises(StoreError):
        await store.ready()
    assert str(store.path) in str(recording.value)
    return str(recording.value)


def in_small_file_system(folder: Path, script: str, arguments: Sequence[str]) -> str:
    """The output of the shell's `script` in a mount namespace with 2 MB mounted at `folder`."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    mount = 'mount -t tmpfs -o size=2m none "$1"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    probe = subprocess.run([*command, mount, "sh", str(folder)], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("this machine permits no mount namespace")
    return subprocess.run(
        [*command, f'{mount}; folder="$1"; shift; {script}', "sh", str(folder), *arguments],
        cwd=TESTS,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def check_full_disk(report: str, code: str) -> None:
    seen = json.loads(report)
    assert seen["acknowledged"] > 50
    assert seen["lost"] == []
    assert seen["recovered"] is True
    assert seen["errors"]
    assert all(code in error and "space" in error for error in seen["errors"])


def test_a_full_file_system_loses_nothing_acknowledged_and_recovers(tmp_path: Path) -> None:
    child = [sys.executable, "-m", "record.full_disk", str(tmp_path), "ballast"]
    check_full_disk(in_small_file_system(tmp_path, 'exec "$@"', child), "SQLITE_FULL")


def test_a_file_size_limit_loses_nothing_acknowledged_and_recovers(tmp_path: Path) -> None:
    report = subprocess.run(
        [sys.executable, "-m", "record.full_disk", str(tmp_path), "limit"],
        cwd=TESTS,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    check_full_disk(report.stdout, "SQLITE_IOERR")


def test_a_read_only_file_system_is_named(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from emafusion.errors import StoreError\n"
        "from emafusion.record import Store\n"
        "try: asyncio.run(Store(sys.argv[1] + '/new/record.db').ready())\n"
        "except StoreError as error: print(error)"
    )
    script = 'mount -o remount,ro "$folder"; exec "$@"'
    said = in_small_file_system(tmp_path, script, [sys.executable, "-c", code, str(tmp_path)])
    assert f"{tmp_path}/new/record.db" in said
    assert "Read-only file system" in said


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "record.db")
    assert "Not a directory" in await refusal(store)
    await store.aclose()


async def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert "SQLITE_CANTOPEN" in await refusal(store)
    await store.aclose()


async def test_a_lock_is_waited_for_then_named_and_recording_goes_on(store: Store) -> None:
    await store.record(outcome("d1"))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "another program holds it locked" in await refusal(store)
        assert await store.find("d1") is not None
    await store.record(outcome("d2"))
    assert await store.find("refused") is None
    assert await store.find("d2") is not None


async def test_a_file_that_is_no_database(store: Store) -> None:
    store.path.write_bytes(b"a diary, not a database" * 100)
    assert "no SQLite database" in await refusal(store)
    store.path.unlink()
    await store.record(outcome("d1"))
    assert await store.find("d1") is not None


async def test_a_damaged_database(store: Store) -> None:
    await store.record(outcome("d1"))
    await store.aclose()
    pages = store.path.stat().st_size // 4096 - 1
    with store.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096 * pages)
    again = Store(store.path)
    with pytest.raises(StoreError, match=r"damaged: move it away"):
        await again.find("d1")
    with pytest.raises(StoreError, match=r"damaged: move it away"):
        await again.record(outcome("d2"))
    await again.aclose()


async def test_a_row_that_is_no_outcome(store: Store) -> None:
    await store.record(outcome("d1"))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("UPDATE decisions SET outcome = '{\"decision_id\": 1}'")
    with pytest.raises(StoreError, match=r"cannot be read.*decision_id"):
        await store.find("d1")


async def test_a_file_removed_under_us_is_made_anew(store: Store) -> None:
    await store.record(outcome("d1"))
    for file in store.path.parent.iterdir():
        file.unlink()
    await store.record(outcome("d2"))
    assert [o.decision_id for o in await store.recent(9)] == ["d2"]


async def test_a_disk_that_hangs_is_not_waited_for_without_end(tmp_path: Path) -> None:
    await Store(tmp_path / "record.db").ready()
    store = Store(tmp_path / "record.db", busy_timeout_s=30, max_wait_s=0.1, max_pending=1)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waits = (store.record(outcome(f"d{i}")) for i in range(1, 5))
        results = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(result) for result in results] == [StoreError] * 4
    assert all("did not confirm" in str(result) for result in results)
    await store.aclose()
    assert await store.find("d1") is not None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dying_thread_leaves_nobody_waiting(tmp_path: Path) -> None:
    class Broken:
        def insert(self, connection: sqlite3.Connection) -> None:
            raise RuntimeError("a defect")

    writer = Writer(tmp_path / "record.db", synchronous="normal", busy_timeout_s=1.0, max_pending=9)
    good = pack(outcome("d1"), content=True)
    failed = writer.submit(Broken())
    assert failed is not None
    with pytest.raises(StoreError, match="stopped writing"):
        failed.result(timeout=5)
    written = writer.submit(good)
    assert written is not None
    assert written.result(timeout=5) is None
    writer.close()


@pytest.mark.parametrize("unfit", [2**70, "\ud800", object()])
def test_a_row_that_does_not_fit_fails_alone_and_leaves_nothing(
    tmp_path: Path, unfit: object
) -> None:
    path = tmp_path / "record.db"
    writer = Writer(path, synchronous="normal", busy_timeout_s=5.0, max_pending=9)
    rows = [pack(outcome(f"d{number}"), content=True) for number in range(3)]
    call = rows[1].calls[1]
    rows[1] = replace(rows[1], calls=(rows[1].calls[0], (*call[:3], unfit, *call[4:])))
    with closing(connect(path, synchronous="normal", busy_timeout_s=5.0)) as other:
        other.execute("BEGIN IMMEDIATE")
        first = writer.submit(pack(outcome("first"), content=True))
        futures = [writer.submit(row) for row in rows]  # wait together, and share a transaction
        other.execute("ROLLBACK")
    assert first is not None
    assert first.result(timeout=5) is None
    outcomes = [future.exception(timeout=5) for future in futures if future is not None]
    writer.close()
    assert [type(failure) for failure in outcomes] == [type(None), StoreError, type(None)]
    assert "cannot be recorded" in str(outcomes[1])
    assert writer.commits <= 2
    with closing(sqlite3.connect(path)) as found:
        assert found.execute("SELECT count(*) FROM decisions").fetchone() == (3,)
        assert found.execute("SELECT count(*) FROM calls").fetchone() == (6,)
