"""Whatever happens in whatever order, no budget is overspent, and nothing that came back is lost.

Workers reserve, settle and exchange with the store in any interleaving; messages get lost before
they are carried out, or their answers after; workers die. Real SQL, real purses, no time.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.databases.sqlite import Transaction
from emafusion.errors import BudgetError
from emafusion.gateway.accounts import leases, rows
from emafusion.gateway.accounts.database import migrate
from emafusion.gateway.accounts.purse import Purse, Waiter
from emafusion.gateway.accounts.terms import Budget, window

LIMIT = 1000
BUDGET = Budget(holder="model:m", period="total", limit=LIMIT)
NOW = 1000.0


class World:
    """A store, and the workers that share its one budget."""

    def __init__(self, connection: Transaction, loop: asyncio.AbstractEventLoop) -> None:
        self.store = connection
        self.loop = loop
        self.clock = count(1)
        self.names = count()
        self.spent = 0
        self.workers = [Worker(self) for _ in range(2)]
        self.dead: list[Worker] = []

    @property
    def granted(self) -> int:
        found = self.store.rows(tuple[int], "SELECT granted FROM emf_purses")
        return sum(granted for (granted,) in found)

    @property
    def buried(self) -> int:
        """What the dead were granted."""
        sql = "SELECT granted FROM emf_leases WHERE worker = $1"
        return sum(
            granted
            for one in self.dead
            for (granted,) in self.store.rows(tuple[int], sql, one.name)
        )

    def standings(self) -> list[leases.Standing]:
        look = leases.Claim(holder=BUDGET.holder, period="total", since="")
        return leases.exchange(self.store, "onlooker", now=NOW, claims=[look])


class Worker:
    def __init__(self, world: World) -> None:
        self.world = world
        self.name = f"w{next(world.names)}"
        self.purse = Purse(BUDGET, window("total", NOW))
        self.under_way: list[int] = []
        self.waiters: list[Waiter] = []

    def ask(self, amount: int) -> None:
        if self.purse.take(amount):
            self.under_way.append(amount)
        else:
            self.waiters.append(self.purse.queue(amount, self.world.loop.create_future()))

    def settle(self, share: float) -> None:
        if self.under_way:
            amount = self.under_way.pop(0)
            cost = int(amount * share)
            self.world.spent += cost
            self.purse.put_back(amount, spent=cost)
            self._look()

    def finish(self, requests: int) -> None:
        for _ in range(requests):
            self.settle(0.0)

    def leave_queue(self) -> None:
        if self.waiters:
            waiter = self.waiters.pop()
            self.purse.give_up(waiter)
            self._look()

    def exchange(self, fate: str) -> None:
        claim = self.purse.claim()
        if fate == "lost":
            return
        answers = leases.exchange(self.world.store, self.name, now=NOW, claims=[claim])
        if fate == "heard":
            self.purse.answered(answers[0], next(self.world.clock) * 1.0)
        self._look()

    def _look(self) -> None:
        self.under_way += [one.amount for one in self.waiters if one.admitted]
        for one in self.waiters:
            if one.future.done() and not one.future.cancelled() and not one.admitted:
                assert isinstance(one.future.exception(), BudgetError)
        self.waiters = [one for one in self.waiters if not one.future.done()]


@contextmanager
def world() -> Iterator[World]:
    loop = asyncio.new_event_loop()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection, closing(loop):
        store = Transaction(connection)
        migrate(store, "memory")
        rows.write_budget(store, rows.BudgetRow(BUDGET.holder, BUDGET.period, LIMIT))
        yield World(store, loop)


WHO = st.sampled_from([0, 0, 1])
ASK = st.tuples(st.just("ask"), WHO, st.sampled_from([1, 200, 500, 1000]))
SETTLE = st.tuples(st.just("settle"), WHO, st.sampled_from([0.0, 0.5, 1.0]))
FATES = st.sampled_from(["heard", "heard", "heard", "unheard", "lost"])
EXCHANGE = st.tuples(st.just("exchange"), WHO, FATES)
GIVE_UP = st.tuples(st.just("give up"), WHO, st.none())
BEAT = st.tuples(st.just("beat"), WHO, st.none())
BURY = st.tuples(st.just("bury"), WHO, st.none())
DIE = st.tuples(st.just("die"), WHO, st.none())
LIVES = [ASK, ASK, ASK, SETTLE, SETTLE, EXCHANGE, EXCHANGE, EXCHANGE, GIVE_UP, BEAT]
DEATH = st.one_of(*LIVES, *LIVES, DIE, BURY)
DYING = st.one_of(*LIVES, *LIVES, DIE)
SLEEP = st.one_of(*LIVES, BURY)
Step = tuple[str, int, object]


def carry_out(one: World, step: Step) -> None:
    kind, who, told = step
    worker = one.workers[who]
    if kind == "ask":
        assert isinstance(told, int)
        worker.ask(told)
    elif kind == "settle":
        assert isinstance(told, float)
        worker.settle(told)
    elif kind == "give up":
        worker.leave_queue()
    elif kind == "beat":
        worker.purse.beat()
    elif kind == "exchange":
        worker.exchange(str(told))
    elif kind == "bury":
        leases.bury(one.store, before=NOW + 1)
    else:
        one.dead.append(worker)
        one.workers[who] = Worker(one)


@settings(max_examples=80, deadline=None)
@given(st.lists(DEATH, min_size=10, max_size=40))
def test_no_interleaving_overspends(steps: list[Step]) -> None:
    with world() as one:
        for step in steps:
            carry_out(one, step)
            promised = sum(sum(w.under_way) for w in [*one.workers, *one.dead])
            assert one.spent + promised <= LIMIT
            assert one.granted <= LIMIT


@settings(max_examples=50, deadline=None)
@given(st.lists(SLEEP, min_size=10, max_size=50))
def test_what_is_not_spent_comes_back(steps: list[Step]) -> None:
    """Once all is settled and told, the books say what was spent, and nothing else is held.

    Whoever was taken for dead meanwhile and was not has lost nothing by it.
    """
    with world() as one:
        for step in steps:
            carry_out(one, step)
        for worker in one.workers:
            while worker.waiters:
                worker.leave_queue()
            while worker.under_way:
                worker.settle(0.5)
            worker.purse.close()
            for _ in range(2):
                worker.exchange("heard")
            assert worker.purse.quiet
        [standing] = one.standings()
        assert standing.total == standing.settled == one.spent


@settings(max_examples=50, deadline=None)
@given(st.lists(DYING, min_size=5, max_size=40), st.sampled_from([1, 100, 400]))
def test_who_waits_is_not_refused_for_what_others_only_hold(steps: list[Step], need: int) -> None:
    """A request that fits what is not spent gets it once the others are done, and is not refused.

    What dead workers were granted is no longer there.
    """
    with world() as one:
        for step in steps:
            carry_out(one, step)
        for worker in one.workers:
            while worker.waiters:
                worker.leave_queue()
        asking = one.workers[0]
        before = len(asking.under_way)
        if one.buried + sum(worker.purse.spent for worker in one.workers) + need > LIMIT:
            return
        asking.ask(need)
        for _ in range(3):
            for worker in one.workers:
                worker.finish(before if worker is asking else len(worker.under_way))
                worker.purse.close()
                worker.exchange("heard")
            before = 0
        assert asking.under_way[-1:] == [need]


def test_what_is_on_offer_is_not_spent() -> None:
    """A worker that gave money back, and has not heard that it was taken, does not use it."""
    with world() as one:
        first, second = one.workers
        first.ask(1000)
        first.exchange("heard")
        first.settle(0.0)
        first.purse.close()
        first.exchange("unheard")
        first.ask(1000)
        second.ask(1000)
        second.exchange("heard")
        assert not first.under_way
        assert second.under_way == [1000]


def test_two_rests_make_a_whole() -> None:
    """Two workers each hold half of what one request needs: one gives its half to the other."""
    with world() as one:
        first, second = one.workers
        for worker in (first, second):
            worker.ask(400)
            worker.exchange("heard")
            worker.settle(0.0)
            assert worker.purse.free >= 400
        for worker in (first, second):
            worker.ask(900)
        for _ in range(2):
            for worker in (first, second):
                worker.exchange("heard")
        assert sorted(len(worker.under_way) for worker in (first, second)) == [0, 1]


def test_a_request_that_cost_more_than_it_had_reserved_is_booked_whole() -> None:
    with world() as one:
        worker = one.workers[0]
        worker.ask(900)
        worker.exchange("heard")
        worker.under_way.clear()
        worker.purse.put_back(900, spent=1500)
        worker.exchange("heard")
        [standing] = one.standings()
        assert (standing.total, standing.settled) == (1500, 1500)
        worker.ask(1)
        worker.exchange("heard")
        assert not worker.under_way
        assert not worker.waiters


def test_a_worker_that_dies_holds_what_it_held() -> None:
    with world() as one:
        first, second = one.workers
        first.ask(300)
        first.exchange("heard")
        later = NOW + leases.ALIVE_S + 1
        second.ask(800)
        [standing] = leases.exchange(
            one.store, second.name, now=later, claims=[second.purse.claim()]
        )
        held = first.purse.granted
        assert 300 <= held < 400
        assert standing.possible == LIMIT - held
        [told] = leases.spending(one.store, later)
        assert told.lost_usd == told.held_usd == held / 1e9
        assert told.left_usd == (LIMIT - held) / 1e9
        assert leases.bury(one.store, before=later - leases.BURIED_S) == 0
        assert leases.bury(one.store, before=NOW + 1) == 1
        [told] = leases.spending(one.store, later)
        assert (told.spent_usd, told.held_usd) == (held / 1e9, 0.0)
