"""The thread that writes, on both databases: hanging disks, defects and values that do not fit."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

import pytest

from emafusion.databases import Cell, Connection
from emafusion.errors import StoreError
from emafusion.record import Store
from emafusion.record.backends import AwayError, Backend, backend
from emafusion.record.rows import pack
from emafusion.record.writer import Writer

from .looking import held, rows
from .outcomes import outcome

T = TypeVar("T")


def there(place: str) -> Backend:
    return backend(place, synchronous="normal", busy_timeout_s=5.0)


async def test_a_disk_that_hangs_is_not_waited_for_without_end(place: str) -> None:
    store = Store(place, busy_timeout_s=30, max_wait_s=0.1, max_pending=1)
    await store.ready()
    with held(place):
        waits = (store.record(outcome(f"d{i}")) for i in range(1, 5))
        results = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(result) for result in results] == [StoreError] * 4
    assert all("did not confirm" in str(result) for result in results)
    await store.aclose()
    assert await store.find("d1") is not None


class Hanging:
    """A database whose transactions have no end for a while."""

    def __init__(self, backend: Backend) -> None:
        self.place = backend.place
        self.visit, self.probe = backend.visit, backend.probe
        self.release, self.close = backend.release, backend.close
        self.scrub, self.settle = backend.scrub, backend.settle
        self._transact = backend.transact
        self.over = threading.Event()

    def transact(self, work: Callable[[Connection], T]) -> T:
        assert self.over.wait(60)
        return self._transact(work)


def test_a_commit_without_end_is_told_of(place: str) -> None:
    hanging = Hanging(there(place))
    writer = Writer(hanging, max_pending=9, patience_s=0.05)
    assert writer.overdue is None
    written = writer.submit([pack(outcome("d0"), content=True)])
    assert written is not None
    time.sleep(0.2)
    assert "hangs" in str(writer.overdue)
    hanging.over.set()
    assert written.result(timeout=30) == [None]
    writer.close()
    assert writer.overdue is None


class Broken:
    """A database whose first transaction meets a defect of ours."""

    def __init__(self, backend: Backend) -> None:
        self.place = backend.place
        self.visit, self.probe = backend.visit, backend.probe
        self.release, self.close = backend.release, backend.close
        self.scrub, self.settle = backend.scrub, backend.settle
        self._transact = backend.transact
        self._sound = False

    def transact(self, work: Callable[[Connection], T]) -> T:
        if not self._sound:
            self._sound = True
            raise RuntimeError("a defect")
        return self._transact(work)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dying_thread_leaves_nobody_waiting(place: str) -> None:
    writer = Writer(Broken(there(place)), max_pending=9)
    failed = writer.submit([pack(outcome("d0"), content=True)])
    assert failed is not None
    with pytest.raises(StoreError, match="stopped writing"):
        failed.result(timeout=5)
    written = writer.submit([pack(outcome("d1"), content=True)])
    assert written is not None
    assert written.result(timeout=5) == [None]
    writer.close()


class Away(Broken):
    """A database that does not answer until it is back."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.back = False

    def transact(self, work: Callable[[Connection], T]) -> T:
        if not self.back:
            raise AwayError("it does not answer")
        return self._transact(work)


@pytest.mark.parametrize(("patience_s", "told"), [(0.0, "gone"), (60.0, None)])
def test_who_looks_notices_before_anybody_pays(
    place: str, patience_s: float, told: str | None
) -> None:
    writer = Writer(there(place), max_pending=9, patience_s=patience_s)
    writer.doubted("gone")
    assert writer.failing is None
    writer.doubted("gone")
    assert writer.failing == told
    writer.recovered()
    writer.doubted("gone")
    assert writer.failing is None
    writer.doubted("gone")
    written = writer.submit([pack(outcome("d"), content=True)])
    assert written is not None
    assert written.result(timeout=5) == [None]
    assert writer.failing is None
    writer.close()


@pytest.mark.parametrize(("patience_s", "told"), [(0.1, "it does not answer"), (60.0, None)])
def test_a_database_that_is_away_for_long_is_failing_until_it_is_back(
    place: str, patience_s: float, told: str | None
) -> None:
    """Nothing more is to be paid for then; for a moment's absence requests wait."""
    away = Away(there(place))
    writer = Writer(away, max_pending=9, patience_s=patience_s)
    written = writer.submit([pack(outcome("d"), content=True)])
    time.sleep(0.5)
    assert writer.trouble == "it does not answer"
    assert writer.failing == told
    away.back = True
    assert written is not None
    assert written.result(timeout=5) == [None]
    assert writer.failing is None
    writer.close()
    away.close()


@pytest.mark.parametrize("unfit", [2**70, "\ud800", object(), None])
async def test_a_row_that_does_not_fit_fails_alone_and_leaves_nothing(
    place: str, unfit: object
) -> None:
    one = there(place)
    one.probe()
    writer = Writer(one, max_pending=9)
    packed = [pack(outcome(f"d{number}"), content=True) for number in range(3)]
    call = packed[1].calls[1]
    # Not a value that `pack` lets through: the databases' own guard is tried.
    odd = (*call[:6], cast("Cell", unfit), *call[7:])
    packed[1] = replace(packed[1], calls=(packed[1].calls[0], odd))
    with held(place):
        first = writer.submit([pack(outcome("first"), content=True)])
        # They wait together and share a transaction, whoever brings them.
        futures = [writer.submit(packed[:2]), writer.submit(packed[2:])]
    assert first is not None
    assert first.result(timeout=5) == [None]
    outcomes = [one for future in futures if future is not None for one in future.result(timeout=5)]
    writer.close()
    one.close()
    assert [failure is None for failure in outcomes] == [True, False, True]
    assert isinstance(outcomes[1], StoreError)
    assert "cannot be recorded" in str(outcomes[1])
    assert writer.commits <= 3
    assert rows(place, "SELECT count(*) FROM decisions") == [(3,)]
    assert rows(place, "SELECT count(*) FROM calls") == [(6,)]
