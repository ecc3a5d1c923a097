"""A sick disk: each failure is a StoreError that names file and remedy, and passes with it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from emafusion.errors import StoreError
from emafusion.record import Store

from .outcomes import outcome

TESTS = Path(__file__).parent.parent


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path / "record.db", busy_timeout_s=0.05)
    yield store
    await store.aclose()


def file(store: Store) -> Path:
    assert store.path is not None
    return store.path


async def refusal(store: Store) -> str:
    """What recording says; reading and :meth:`Store.ready` must say so too."""
    with pytest.raises(StoreError) as recording:
        await store.record(outcome("refused"))
    with pytest.raises(StoreError):
        await store.ready()
    assert str(file(store)) in str(recording.value)
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
    with closing(sqlite3.connect(file(store), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "another program holds it locked" in await refusal(store)
        assert await store.find("d1") is not None
    await store.record(outcome("d2"))
    assert await store.find("refused") is None
    assert await store.find("d2") is not None


async def test_a_file_that_is_no_database(store: Store) -> None:
    file(store).write_bytes(b"a diary, not a database" * 100)
    assert "no SQLite database" in await refusal(store)
    file(store).unlink()
    await store.record(outcome("d1"))
    assert await store.find("d1") is not None


async def test_a_damaged_database(store: Store) -> None:
    await store.record(outcome("d1"))
    await store.aclose()
    pages = file(store).stat().st_size // 4096 - 1
    with file(store).open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(b"\xa5" * 4096 * pages)
    again = Store(file(store))
    with pytest.raises(StoreError, match=r"damaged: move it away"):
        await again.find("d1")
    with pytest.raises(StoreError, match=r"damaged: move it away"):
        await again.record(outcome("d2"))
    await again.aclose()


async def test_a_row_that_is_no_outcome(store: Store) -> None:
    await store.record(outcome("d1"))
    with closing(sqlite3.connect(file(store), isolation_level=None)) as other:
        other.execute("UPDATE decisions SET outcome = '{\"decision_id\": 1}'")
    with pytest.raises(StoreError, match=r"cannot be read.*decision_id"):
        await store.find("d1")


async def test_a_file_removed_under_us_is_made_anew(store: Store) -> None:
    await store.record(outcome("d1"))
    for one in file(store).parent.iterdir():
        one.unlink()
    await store.record(outcome("d2"))
    assert [o.decision_id for o in await store.recent(9)] == ["d2"]
