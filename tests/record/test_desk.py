"""What an event loop leaves for the writer: together, told of to whoever still waits."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from emafusion.errors import StoreError
from emafusion.record import Store
from emafusion.record.backends import backend
from emafusion.record.desk import Desk
from emafusion.record.rows import Row, pack
from emafusion.record.writer import MAX_BATCH, Results, Writer

from .looking import held, rows
from .outcomes import outcome


class Counting(Writer):
    """Counts what it is brought at once."""

    def __init__(self, path: Path, *, max_pending: int = 9) -> None:
        one = backend(path, synchronous="normal", busy_timeout_s=5.0)
        one.probe()
        super().__init__(one, max_pending=max_pending)
        self.brought: list[int] = []

    def submit(self, rows: Sequence[Row]) -> Future[Results] | None:
        self.brought.append(len(rows))
        return super().submit(rows)


def row(name: str) -> Row:
    return pack(outcome(name), content=True)


async def test_what_is_left_in_one_turn_goes_together(tmp_path: Path) -> None:
    writer = Counting(tmp_path / "r.db")
    desk = Desk(writer)
    await asyncio.gather(*(desk.leave(row(f"d{place}")) for place in range(5)))
    await desk.leave(row("later"))
    assert writer.brought == [5, 1]
    writer.close()


async def test_a_crowd_goes_in_batches(tmp_path: Path) -> None:
    """Else one bad row of thousands would have all of them written anew, time and again."""
    writer = Counting(tmp_path / "r.db", max_pending=9999)
    desk = Desk(writer)
    await asyncio.gather(*(desk.leave(row(f"d{place}")) for place in range(MAX_BATCH + 5)))
    assert writer.brought == [MAX_BATCH, 5]
    writer.close()


async def test_who_no_longer_waits_has_it_written_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    store = Store(path)
    task = asyncio.create_task(store.record(outcome("gone")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.aclose()
    assert rows(str(path), "SELECT id FROM decisions") == [("gone",)]


async def test_what_is_left_as_the_record_closes_is_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.db")
    task = asyncio.create_task(store.record(outcome("last")))
    await asyncio.sleep(0)
    await store.aclose()
    await task
    with pytest.raises(StoreError, match="is closed"):
        await store.record(outcome("late"))


async def test_what_finds_no_room_and_is_not_waited_for_is_forgotten(tmp_path: Path) -> None:
    """A database that hangs must not fill the memory with what nobody waits for."""
    path = tmp_path / "r.db"
    writer = Counting(path, max_pending=1)
    desk = Desk(writer)
    with held(str(path)):
        first = desk.leave(row("d1"))
        await asyncio.sleep(0.2)  # the writer has taken it, and hangs
        second = desk.leave(row("d2"))
        await asyncio.sleep(0)
        third, fourth = desk.leave(row("d3")), desk.leave(row("d4"))
        await asyncio.sleep(0)
        third.cancel()
    await asyncio.gather(first, second, fourth)
    writer.close()
    assert rows(str(path), "SELECT id FROM decisions ORDER BY id") == [("d1",), ("d2",), ("d4",)]


def test_a_loop_that_is_gone_is_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.db")

    async def record(name: str) -> weakref.ref[asyncio.AbstractEventLoop]:
        await store.record(outcome(name))
        return weakref.ref(asyncio.get_running_loop())

    seen = [asyncio.run(record(name)) for name in ("d1", "d2")]
    gc.collect()
    assert [one() for one in seen] == [None, None]
    asyncio.run(store.aclose())
