"""What a worker leaves behind: read when it is dead, not before, and not twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from emafusion.gateway.accounts import Accounts, Registry, database, leases, wills
from emafusion.gateway.accounts.database import Database, Line
from emafusion.gateway.accounts.leases import Claim
from emafusion.gateway.accounts.purse import Purse
from emafusion.gateway.accounts.terms import Budget
from emafusion.gateway.accounts.till import Till
from emafusion.gateway.accounts.wills import Will, opened

from .parts import soon

BUDGET = Budget(holder="team:ops", period="day", limit=1000)
SINCE = "2026-11-22"


def left(folder: Path) -> dict[str, list[Claim]]:
    with opened(folder, besides="asking") as found:
        return dict(found)


def test_a_living_workers_notes_are_not_read(tmp_path: Path) -> None:
    will = Will(tmp_path, "one")
    mark = will.of(BUDGET, since=SINCE, number=3)
    assert mark is not None
    mark(70)
    assert left(tmp_path) == {}
    os.close(will._file)  # as the system does with a process's files
    expected = Claim(
        holder="team:ops", period="day", since=SINCE, number=3, spent=70, needed=70, keeps=70
    )
    assert left(tmp_path) == {"one": [expected]}
    assert left(tmp_path) == {}


def test_what_cannot_be_settled_now_is_left_for_later(tmp_path: Path) -> None:
    will = Will(tmp_path, "one")
    will.of(BUDGET, since=SINCE, number=0)
    os.close(will._file)

    def fail() -> None:
        with opened(tmp_path, besides="asking") as found:
            assert found
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [one.spent for one in left(tmp_path)["one"]] == [0]


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    will = Will(tmp_path, "one")
    will.of(BUDGET, since=SINCE, number=0)
    os.write(will._file, b'[1,"team:o')
    os.close(will._file)
    assert [one.number for one in left(tmp_path)["one"]] == [0]


def test_beyond_its_size_nothing_is_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    will = Will(tmp_path, "one")
    for number in (wills.NOTED, wills.NOTED + 1):
        assert will.of(BUDGET, since=SINCE, number=number) is None
    assert "has had 65536 leases" in caplog.text
    assert len(caplog.records) == 1
    will.tear_up()
    assert will.of(BUDGET, since=SINCE, number=0) is None  # it is too late
    assert not tmp_path.exists()


def test_a_folder_that_others_can_write_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = wills.folder("/accounts.db")
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert wills.folder("/accounts.db") is None


async def test_the_dead_are_settled_by_who_lives(
    place: str, connect: Callable[[], Database], tmp_path: Path
) -> None:
    """What was used stays spent, what was promised as well, and the rest can be sold again."""
    registry = Registry(connect())
    registry.create("alice")
    holder = registry.set_budget("key:alice", "total", 1.0)
    budget = Budget(holder=holder, period="total", limit=10**9)
    dying = Till(Line(connect()), sync_s=0.1, notes=tmp_path)
    await dying.begin()
    purse = dying.purse(budget)
    for _ in range(8):
        await dying.wait(purse, 10**8, until=asyncio.get_running_loop().time() + 5)
    dying.settle(purse, 10**8, spent=3 * 10**7)
    for _ in range(5):
        dying.settle(purse, 10**8, spent=10**7)
    assert dying._task is not None
    assert dying._will is not None
    dying._task.cancel()
    os.close(dying._will._file)
    with closing(database(place)) as one:
        assert Registry(one).spending()[0].held_usd > 0.2
        accounts = Till(Line(connect()), notes=tmp_path)
        await accounts.begin()
        await soon(lambda: Registry(one).spending()[0].held_usd == 0.0)
        [books] = Registry(one).spending()
        # Six are over, at 0.08 together; two were under way, at 0.1 each.
        assert books.spent_usd == pytest.approx(0.28)
        assert books.left_usd == pytest.approx(0.72)
        await accounts.aclose()


async def spend(till: Till, budget: Budget, amount: int) -> Purse:
    """Reserve `amount` and spend it, and have the database know."""
    purse = till.purse(budget)
    await till.wait(purse, amount, until=asyncio.get_running_loop().time() + 5)
    till.settle(purse, amount, spent=amount)
    await soon(lambda: purse.quiet)
    return purse


def two(registry: Registry) -> list[Budget]:
    """Two keys' budgets."""
    found = []
    for name in ("one", "two"):
        registry.create(name)
        holder = registry.set_budget(f"key:{name}", "total", 1.0)
        found.append(Budget(holder=holder, period="total", limit=10**9))
    return found


def spent(registry: Registry, budget: Budget) -> float:
    [found] = [one for one in registry.spending() if one.holder == budget.holder]
    return found.spent_usd


async def test_a_stop_that_cuts_a_request_off_books_nothing_twice(
    connect: Callable[[], Database], tmp_path: Path
) -> None:
    registry = Registry(connect())
    settled, open_still = two(registry)
    stopped = Till(Line(connect()), sync_s=0.1, notes=tmp_path)
    await stopped.begin()
    await spend(stopped, settled, 4 * 10**8)
    cut_off = stopped.purse(open_still)
    await stopped.wait(cut_off, 10**8, until=asyncio.get_running_loop().time() + 5)
    await stopped.aclose()
    assert stopped._will is not None
    os.close(stopped._will._file)
    after = Till(Line(connect()), notes=tmp_path)
    await after.begin()
    await soon(lambda: spent(registry, open_still) > 0)
    assert spent(registry, settled) == pytest.approx(0.4)
    assert spent(registry, open_still) == pytest.approx(0.1)
    await after.aclose()
    assert left(tmp_path) == {}


async def test_the_will_of_whom_the_books_have_forgotten_is_not_booked(
    connect: Callable[[], Database], tmp_path: Path
) -> None:
    store = connect()
    registry = Registry(store)
    [budget, _] = two(registry)
    killed = Till(Line(connect()), sync_s=0.1, notes=tmp_path)
    await killed.begin()
    await spend(killed, budget, 4 * 10**8)
    assert killed._task is not None
    assert killed._will is not None
    killed._task.cancel()
    await asyncio.wait([killed._task])
    store.transact(lambda one: leases.tidy(one, before=one.clock() + 1))
    os.close(killed._will._file)
    after = Till(Line(connect()), notes=tmp_path)
    await after.begin()
    assert left(tmp_path) == {}
    assert spent(registry, budget) == pytest.approx(0.4)
    await after.aclose()


async def test_who_has_had_nothing_to_do_is_not_forgotten(
    connect: Callable[[], Database], tmp_path: Path
) -> None:
    """Its next claim would be booked as if nothing of it had been."""
    store = connect()
    registry = Registry(store)
    [budget, _] = two(registry)
    idle = Till(Line(connect()), sync_s=0.1, notes=tmp_path)
    await idle.begin()
    await spend(idle, budget, 4 * 10**8)
    store.transact(lambda one: one.run("UPDATE emf_workers SET seen = 0"))
    await idle._care()
    await spend(idle, budget, 10**8)
    assert spent(registry, budget) == pytest.approx(0.5)
    await idle.aclose()


def test_of_a_worker_all_is_forgotten_or_nothing(connect: Callable[[], Database]) -> None:
    store = connect()
    registry = Registry(store)
    settled, open_still = two(registry)
    claims = [
        Claim(holder=settled.holder, period="total", since="", number=0, spent=4, keeps=4),
        Claim(holder=open_still.holder, period="total", since="", number=1, first=7, wanted=7),
    ]

    def report() -> None:
        store.transact(lambda one: leases.exchange(one, "w", now=1.0, claims=claims))

    report()
    store.transact(lambda one: leases.tidy(one, before=2.0))
    store.transact(lambda one: leases.leave(one, "w"))
    report()
    assert spent(registry, settled) == pytest.approx(4e-9)


def test_accounts_of_one_place_share_a_folder(tmp_path: Path) -> None:
    def made(place: Path) -> Path | None:
        accounts = Accounts(str(place), estimate=lambda request, caller: 0.0, models=tuple)
        return accounts.till._notes

    assert made(tmp_path / "a.db") == made(tmp_path / "a.db") != made(tmp_path / "b.db")
