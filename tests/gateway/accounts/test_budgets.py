"""Budgets as requests meet them, on both databases: reserved, waited for, settled, refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from emafusion.errors import BudgetError, OverloadedError, StoreError
from emafusion.gateway.accounts import Registry, Spending, Terms
from emafusion.gateway.accounts.budgets import Budgets
from emafusion.gateway.accounts.database import Database, Line
from emafusion.gateway.accounts.directory import Directory
from emafusion.gateway.accounts.terms import Budget
from emafusion.gateway.accounts.till import HELD_RETRY_S, Till
from emafusion.gateway.callers import Caller, Passage
from emafusion.types import Knobs, replace

from .parts import Vanishing, outcome, passage, request, soon

Connect = Callable[[], Database]
NOON = 1_790_000_000.0 // 86400 * 86400 + 43200
MODELS = ("a", "b")


class Worker:
    """What one serving process has of the accounts."""

    def __init__(
        self, connect: Connect, *, estimate: float = 0.01, max_wait_s: float = 2.0
    ) -> None:
        self.now = NOON
        self.database = Vanishing(connect())
        self.lines = [Line(connect()), Line(self.database)]
        self.directory = Directory(self.lines[0], clock=lambda: self.now)
        self.till = Till(self.lines[1], models=self._models, clock=lambda: self.now, sync_s=0.1)
        self.gate = Budgets(
            self.till,
            held_by=self.directory.budgets,
            estimate=lambda request, caller: estimate,
            models=lambda: MODELS,
            model_budgets=lambda: self.directory.models,
            max_wait_s=max_wait_s,
        )

    def _models(self) -> list[Budget]:
        return [one for held in self.directory.models.values() for one in held]

    async def __aenter__(self) -> Worker:
        await self.directory.begin()
        await self.till.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.till.aclose()
        await self.directory.aclose()
        for line in self.lines:
            await line.aclose()

    async def ask(self, caller: Caller, *, cost: float, took_s: float = 0.0) -> Passage:
        """One request that costs `cost`."""
        one = passage(caller)
        async with self.gate.open(one):
            await asyncio.sleep(took_s)
            one.outcome = outcome(cost)
        return one


@pytest.fixture
def registry(connect: Connect) -> Registry:
    return Registry(connect(), clock=lambda: NOON)


@pytest.fixture
def alice(registry: Registry) -> Caller:
    registry.create_team("ops", Terms())
    key, _ = registry.create("alice", team="ops")
    return Caller(key=key.id, name="alice", team="ops")


def books(registry: Registry) -> dict[str, Spending]:
    return {f"{one.holder.partition(':')[0]}/{one.period}": one for one in registry.spending()}


async def test_a_request_is_reserved_narrowed_and_settled(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    registry.set_budget("key:alice", "day", 1.0)
    registry.set_budget("team:ops", "month", 2.0)
    async with Worker(connect, estimate=0.25) as worker:
        one = passage(alice)
        async with worker.gate.open(one):
            assert one.request.knobs.max_cost_usd == 0.25
            assert books(registry)["key/day"].held_usd >= 0.25
            one.outcome = outcome(0.125)
        told = passage(alice, max_cost_usd=0.5)
        async with worker.gate.open(told):
            assert told.request.knobs.max_cost_usd == 0.5
    found = books(registry)
    for name in ("key/day", "team/month"):
        assert (found[name].spent_usd, found[name].held_usd) == (0.125, 0.0)


async def test_who_has_no_budget_is_not_touched(connect: Connect, registry: Registry) -> None:
    async with Worker(connect) as worker:
        one = passage(Caller(key="x"))
        async with worker.gate.open(one):
            assert one.request == request()
        assert worker.database.asked == 1  # at the beginning


async def test_a_failure_is_settled_with_what_it_cost(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    registry.set_budget("key:alice", "day", 1.0)
    async with Worker(connect) as worker:
        one = passage(alice)
        with pytest.raises(RuntimeError, match="broke"):
            async with worker.gate.open(one):
                one.outcome = outcome(0.004)
                raise RuntimeError("it broke")
    assert books(registry)["key/day"].spent_usd == 0.004
    assert books(registry)["key/day"].held_usd == 0


@pytest.mark.parametrize(
    ("error", "booked"),
    [("CancelledError", 0.05), ("UnavailableError: no", 0.004), (None, 0.004)],
)
async def test_who_leaves_before_the_bill_is_told_pays_what_was_reserved(
    connect: Connect, registry: Registry, alice: Caller, error: str | None, booked: float
) -> None:
    registry.set_budget("key:alice", "day", 1.0)
    registry.set_budget("model:a", "day", 1.0)
    found = outcome(0.004)
    step = replace(found.steps[0], error="cancelled", unsettled_usd=0.046)
    async with Worker(connect, estimate=0.25) as worker:
        one = passage(alice)
        async with worker.gate.open(one):
            one.outcome = replace(found, steps=(step,), error=error)
    found_in = books(registry)
    assert found_in["key/day"].spent_usd == pytest.approx(booked)
    assert found_in["model/day"].spent_usd == pytest.approx(booked)
    assert found_in["key/day"].held_usd == 0


async def test_calls_that_shared_their_money_count_no_more_than_it(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    registry.set_budget("key:alice", "day", 1.0)
    found = outcome(0.004)
    step = replace(found.steps[0], error="cancelled", unsettled_usd=0.2)
    async with Worker(connect, estimate=0.25) as worker:
        one = passage(alice)
        async with worker.gate.open(one):
            one.outcome = replace(found, steps=(step, step), error="CancelledError")
    assert books(registry)["key/day"].spent_usd == 0.25


async def test_a_refusal_says_which_budget_and_when_it_renews(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    registry.set_budget("team:ops", "day", 0.03)
    async with Worker(connect) as worker:
        for _ in range(2):
            await worker.ask(alice, cost=0.01)
        worker.gate.max_wait_s = 600.0
        began = time.monotonic()
        with pytest.raises(BudgetError) as raised:
            async with worker.gate.open(passage(alice, max_cost_usd=0.02)):
                pass
        assert time.monotonic() - began < 60, "there was nothing to wait for"
        said = str(raised.value)
        assert "team 'ops', $0.03 a day, has $0.01 left" in said
        assert "may cost $0.02" in said
        assert "renews at 2026-09-22 00:00 UTC" in said
        await worker.ask(alice, cost=0.01)
        with pytest.raises(BudgetError, match=r"has \$0\.00 left"):
            await worker.ask(alice, cost=0.01)


async def test_a_budget_renews(connect: Connect, registry: Registry, alice: Caller) -> None:
    registry.set_budget("key:alice", "day", 0.01)
    async with Worker(connect) as worker:
        late = passage(alice)
        async with worker.gate.open(late):
            worker.now += 43200  # midnight: what began yesterday is settled there
            late.outcome = outcome(0.01)
        await worker.ask(alice, cost=0.01)
        with pytest.raises(BudgetError):
            await worker.ask(alice, cost=0.01)
    assert books(registry)["key/day"].spent_usd == 0.01


async def test_a_clock_that_is_set_back_forgets_nothing(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    """Tomorrow and back: what was spent today is spent still."""
    registry.set_budget("key:alice", "day", 0.05)
    async with Worker(connect) as worker:
        for days in (0, 1, 0, -1, 0):
            worker.now = NOON + 86400 * days
            await worker.ask(alice, cost=0.01)
            await asyncio.sleep(0.25)
        worker.now = NOON
        for _ in range(2):
            await worker.ask(alice, cost=0.01)
        with pytest.raises(BudgetError):
            await worker.ask(alice, cost=0.01)
    assert books(registry)["key/day"].spent_usd == 0.05


async def test_what_is_only_held_is_waited_for(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    """Twenty requests that may cost all there is, one after another, and none is refused."""
    registry.set_budget("key:alice", "total", 0.1)
    async with Worker(connect, estimate=0.05) as worker:
        asked = (worker.ask(alice, cost=0.001, took_s=0.02) for _ in range(20))
        await asyncio.gather(*asked)
    assert books(registry)["key/total"].spent_usd == 0.02


async def test_another_workers_money_is_waited_for(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    registry.set_budget("key:alice", "total", 0.05)
    async with Worker(connect, estimate=0.05) as one, Worker(connect, estimate=0.05) as other:
        first = asyncio.create_task(one.ask(alice, cost=0.0, took_s=0.5))
        await asyncio.sleep(0.2)
        await other.ask(alice, cost=0.01)
        await first
        with pytest.raises(BudgetError):
            await one.ask(alice, cost=0.01)


async def test_waiting_ends(connect: Connect, registry: Registry, alice: Caller) -> None:
    registry.set_budget("key:alice", "total", 0.05)
    async with Worker(connect, estimate=0.05, max_wait_s=0.3) as worker:
        first = asyncio.create_task(worker.ask(alice, cost=0.01, took_s=1.5))
        await asyncio.sleep(0.2)
        with pytest.raises(OverloadedError, match=r"\$0\.05 more is held by requests") as raised:
            await worker.ask(alice, cost=0.01)
        assert raised.value.retry_after_s == HELD_RETRY_S, "it may be asked again"
        await first


async def test_who_gives_up_holds_nothing(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    registry.set_budget("key:alice", "total", 0.05)
    registry.set_budget("team:ops", "total", 0.05)
    async with Worker(connect, estimate=0.05) as worker:
        first = asyncio.create_task(worker.ask(alice, cost=0.01, took_s=0.5))
        await asyncio.sleep(0.2)
        waiting = [asyncio.create_task(worker.ask(alice, cost=0.01)) for _ in range(5)]
        await asyncio.sleep(0.1)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        await first
        with pytest.raises(BudgetError):
            await worker.ask(alice, cost=0.01)
    found = books(registry)
    assert found["key/total"].spent_usd == found["team/total"].spent_usd == 0.01
    assert found["key/total"].held_usd == found["team/total"].held_usd == 0


async def test_five_thousand_requests_on_a_budget_for_one_thousand(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    """Three workers, all at once: a thousand get in, and not one more."""
    registry.set_budget("key:alice", "total", 10.0)
    registry.set_budget("team:ops", "day", 50.0)
    async with (
        Worker(connect, max_wait_s=30) as one,
        Worker(connect, max_wait_s=30) as two,
        Worker(connect, max_wait_s=30) as three,
    ):
        asked = [
            worker.ask(alice, cost=0.01, took_s=0.05)
            for worker in (one, two, three)
            for _ in range(5000 // 3 + 1)
        ]
        found = await asyncio.gather(*asked[:5000], return_exceptions=True)
        for left in asked[5000:]:
            left.close()
    assert sum(isinstance(each, Passage) for each in found) == 1000
    assert {type(each) for each in found} == {Passage, BudgetError}
    assert books(registry)["key/total"].spent_usd == 10.0
    assert books(registry)["key/total"].held_usd == 0.0


async def test_the_database_may_vanish_for_a_while(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    """What is leased goes on; more is refused clearly; what was spent meanwhile is told after."""
    registry.set_budget("key:alice", "total", 100.0)
    async with Worker(connect, max_wait_s=0.5) as worker:
        for _ in range(40):
            await worker.ask(alice, cost=0.01, took_s=0.005)
        worker.database.there = False
        served = 0
        with pytest.raises(StoreError, match="the budget cannot be checked now: it is away"):
            while True:
                await worker.ask(alice, cost=0.01)
                served += 1
        assert served > 0
        worker.database.there = True
        await asyncio.sleep(0.5)
        await worker.ask(alice, cost=0.01)
    assert books(registry)["key/total"].spent_usd == pytest.approx(0.01 * (41 + served))
    assert books(registry)["key/total"].held_usd == 0


async def test_a_model_over_budget_is_left_out(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    registry.set_budget("model:a", "day", 0.02)
    async with Worker(connect) as one, Worker(connect) as other:
        await one.ask(alice, cost=0.01)
        assert (await one.ask(alice, cost=0.01)).request.knobs.models is None
        await soon(lambda: bool(one.till.overspent and other.till.overspent))
        for worker in (one, other):
            assert (await worker.ask(alice, cost=0.0)).request.knobs.models == ("b",)
            told = passage(alice)
            told.request = replace(told.request, knobs=Knobs(models=("a",)))
            with pytest.raises(BudgetError, match="'a'"):
                await worker.gate.reserve(told)
        registry.set_budget("model:a", "day", 0.05)
        await soon(lambda: not one.till.overspent)


async def test_a_lower_limit_holds_soon(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    registry.set_budget("key:alice", "total", 100.0)
    async with Worker(connect) as worker:
        for _ in range(20):
            await worker.ask(alice, cost=0.01)
        registry.set_budget("key:alice", "total", 0.2)
        await asyncio.sleep(0.8)
        with pytest.raises(BudgetError, match=r"\$0\.20 in all, has \$0\.00 left"):
            await worker.ask(alice, cost=0.01)


async def test_what_costs_nothing_needs_no_money(
    connect: Connect, registry: Registry, alice: Caller
) -> None:
    registry.set_budget("key:alice", "total", 0.0)
    async with Worker(connect, estimate=0.0) as worker:
        one = await worker.ask(alice, cost=0.0)
        assert one.request.knobs.max_cost_usd == 1e-9


@pytest.mark.parametrize("estimate", [float("nan"), float("inf")])
async def test_an_estimate_that_is_no_sum_is_refused(
    connect: Connect, registry: Registry, alice: Caller, estimate: float
) -> None:
    registry.set_budget("key:alice", "total", 5.0)
    async with Worker(connect, estimate=estimate) as worker:
        with pytest.raises(BudgetError):
            await worker.ask(alice, cost=0.0)
