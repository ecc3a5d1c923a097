"""Real processes, killed: no budget is overspent, and little is lost."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from emafusion.errors import BudgetError
from emafusion.gateway.accounts import Accounts, Registry, Spending, database
from emafusion.gateway.accounts.database import Database

from .child import COST
from .conftest import Postgres
from .parts import outcome, passage

TESTS = Path(__file__).parent.parent.parent
FITS = 1500


IN_FLIGHT = 20
"""Requests that one process has under way."""


async def test_no_kill_overspends_nor_holds_what_was_not_used(
    place: str, connect: Callable[[], Database]
) -> None:
    """Two processes at a time, four killed; a last one spends what is left, soon to the end."""
    registry = Registry(connect())
    _, token = registry.create("alice")
    registry.set_budget("key:alice", "total", FITS * COST)
    spent = 0
    for _ in range(2):
        spent += await asyncio.to_thread(_spent_until_killed, place, token)
    accounts = Accounts(place, estimate=lambda request, caller: COST, models=tuple)
    await accounts.begin()
    caller = await accounts.identify(token)
    assert caller is not None
    last = 0
    with pytest.raises(BudgetError):
        while True:
            one = passage(caller)
            async with accounts.budgets.open(one):
                one.outcome = outcome(COST)
                last += 1
    await accounts.aclose()
    assert spent >= 20
    assert spent + last <= FITS
    [books] = registry.spending()
    assert (books.held_usd, books.left_usd) == (0.0, 0.0)
    # What was under way counts as spent: four times what one process had begun and not told.
    assert spent + last >= FITS - 4 * IN_FLIGHT


def _spent_until_killed(place: str, token: str) -> int:
    """How often money was spent by two processes before they were killed."""
    command = [sys.executable, "-m", "gateway.accounts.child", place, token]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=TESTS) for _ in range(2)]
    found, lines = 0, random.randint(5, 300)
    for child in children:
        assert child.stdout is not None
        found += sum(bool(child.stdout.readline()) for _ in range(lines))
    for child in children:
        child.kill()
    for child in children:
        assert child.stdout is not None
        found += len(child.stdout.readlines())
        child.stdout.close()
        child.wait()
    return found


async def test_a_postgres_that_is_killed_and_returns(postgres: Postgres) -> None:
    """Requests go on from the lease, then wait; once it is back, everything is told."""
    place = postgres.fresh()
    accounts = Accounts(place, estimate=lambda request, caller: COST, models=tuple, max_wait_s=20)
    await accounts.begin()
    key, token = await asyncio.to_thread(_made, place)
    caller = await accounts.identify(token)
    assert caller is not None

    async def ask(count: int) -> None:
        for _ in range(count):
            one = passage(caller)
            async with accounts.budgets.open(one):
                await asyncio.sleep(0.002)
                one.outcome = outcome(COST)

    await ask(100)
    await asyncio.to_thread(postgres.kill)
    try:
        assert await accounts.identify(token) == caller
        going_on = asyncio.create_task(ask(300))
        await asyncio.sleep(1.0)
    finally:
        await asyncio.to_thread(postgres.start)
    await going_on
    await accounts.aclose()
    [books] = await asyncio.to_thread(_spending, place)
    assert books.holder == f"key:{key}"
    assert books.spent_usd == pytest.approx(400 * COST)
    assert books.held_usd == 0


def _made(place: str) -> tuple[str, str]:
    with closing(database(place)) as one:
        registry = Registry(one)
        key, token = registry.create("alice")
        registry.set_budget("key:alice", "day", 100.0)
        return key.id, token


def _spending(place: str) -> list[Spending]:
    with closing(database(place)) as one:
        return Registry(one).spending()
