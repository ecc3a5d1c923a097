"""What a worker leaves behind: read when it is dead, not before, and not twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from emafusion.gateway.accounts import Accounts, Registry, database, wills
from emafusion.gateway.accounts.database import Database, Line
from emafusion.gateway.accounts.leases import Claim
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


def test_beyond_its_size_nothing_is_noted(tmp_path: Path) -> None:
    will = Will(tmp_path, "one")
    assert will.of(BUDGET, since=SINCE, number=wills.NOTED) is None
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


def test_accounts_of_one_place_share_a_folder(tmp_path: Path) -> None:
    def made(place: Path) -> Path | None:
        accounts = Accounts(str(place), estimate=lambda request, caller: 0.0, models=tuple)
        return accounts.till._notes

    assert made(tmp_path / "a.db") == made(tmp_path / "a.db") != made(tmp_path / "b.db")
