"""What was spent, limited or not, on both databases: every sum right, whatever gets lost."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from emafusion.databases import Connection, is_address, migrate
from emafusion.databases.postgres import Transaction as PostgresTransaction
from emafusion.databases.postgres import connect as connected
from emafusion.databases.sqlite import Transaction as SQLiteTransaction
from emafusion.errors import StoreError
from emafusion.gateway.accounts import Accounts, Registry, books, database, leases, rows
from emafusion.gateway.accounts.books import SIDES, Message, Side, Spent, Sums
from emafusion.gateway.accounts.budgets import Budgets
from emafusion.gateway.accounts.database import Database, Line, migrations
from emafusion.gateway.accounts.leases import Claim
from emafusion.gateway.accounts.rows import Credential
from emafusion.gateway.accounts.tally import MOST, Tally
from emafusion.gateway.accounts.terms import Budget, Key, nano
from emafusion.gateway.accounts.till import Till
from emafusion.gateway.accounts.tokens import NOTHING
from emafusion.gateway.callers import Caller
from emafusion.types import Outcome, Step, Usage, replace

from .child import COST
from .parts import Vanishing, outcome, passage, soon

Connect = Callable[[], Database]
T = TypeVar("T")
DAY = 86400.0
NOON = 1_790_000_000.0 // DAY * DAY + DAY / 2
TODAY, TOMORROW = "2026-09-21", "2026-09-22"
TESTS = Path(__file__).parent.parent.parent
ALICE, BOB = Caller(key="alice", team="ops"), Caller(key="bob")


class Worker:
    """What one serving process has of the books; ``held`` is everybody's budget."""

    def __init__(self, database: Database, *, held: tuple[Budget, ...] = ()) -> None:
        self.now = NOON
        self.database = Vanishing(database)
        self.line = Line(self.database)
        self.till = Till(self.line, clock=lambda: self.now, sync_s=0.05)
        self.gate = Budgets(
            self.till,
            held_by=lambda caller: held,
            estimate=lambda request, caller: 0.25,
            models=lambda: ("a",),
        )

    async def __aenter__(self) -> Worker:
        await self.till.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.till.aclose()
        await self.line.aclose()

    async def ask(self, caller: Caller, found: Outcome) -> None:
        """One request that comes to `found`."""
        one = passage(caller)
        async with self.gate.open(one):
            await asyncio.sleep(0)
            one.outcome = found


class Deaf:
    """A database whose answers to what changes the books are lost, so many of them."""

    def __init__(self, database: Database, lost: int) -> None:
        self.lost = lost
        self._database = database

    def transact(self, work: Callable[[Connection], T]) -> T:
        before = self._database.transact(_requests)
        found = self._database.transact(work)
        if self.lost and self._database.transact(_requests) != before:
            self.lost -= 1
            raise StoreError("the answer was lost")
        return found

    def read(self, work: Callable[[Connection], T]) -> T:
        return self._database.read(work)

    def close(self) -> None:
        self._database.close()


def _requests(connection: Connection) -> int:
    sql = "SELECT CAST(coalesce(sum(requests), 0) AS BIGINT) FROM emf_spent"
    return connection.rows(tuple[int], sql)[0][0]


def step(model: str, cost_usd: float = 0.0, tokens: int = 0, unsettled_usd: float = 0.0) -> Step:
    return Step(
        model=model,
        purpose="draft",
        cost_usd=cost_usd,
        latency_s=0.1,
        usage=Usage(prompt_tokens=tokens, completion_tokens=2 * tokens),
        unsettled_usd=unsettled_usd,
    )


def of(*steps: Step, model: str = "a", error: str | None = None) -> Outcome:
    cost = sum(one.cost_usd for one in steps)
    return replace(outcome(cost, model), steps=steps, error=error)


def spent(place: str, *by: Side) -> list[Spent]:
    with closing(database(place)) as one:
        return Registry(one).spent(by or SIDES, since="", until="9999-12-31")


def sums(found: list[Spent]) -> dict[tuple[object, ...], tuple[int, int]]:
    return {
        (one.day, one.key, one.team, one.model): (one.requests, nano(one.spent_usd))
        for one in found
    }


async def test_every_sum_is_right_under_many_callers_and_workers(
    place: str, connect: Connect
) -> None:
    chance = random.Random(7)
    callers = [Caller(key=f"k{n}", team=f"t{n % 3}" if n % 4 else "") for n in range(12)]
    expected: Counter[tuple[object, ...]] = Counter()
    asked: Counter[tuple[object, ...]] = Counter()

    async def crowd(worker: Worker) -> None:
        for _ in range(10):
            told = []
            for _ in range(30):
                caller, model = chance.choice(callers), chance.choice("abc")
                cost = chance.randrange(10**7)
                spot = (TODAY, caller.key, caller.team, model)
                expected[spot] += cost
                asked[spot] += 1
                told.append(worker.ask(caller, of(step(model, cost / 1e9), model=model)))
            await asyncio.gather(*told)
            await asyncio.sleep(0.02)

    async with Worker(connect()) as one, Worker(connect()) as two, Worker(connect()) as three:
        await asyncio.gather(crowd(one), crowd(two), crowd(three))
    found = sums(spent(place))
    assert {spot: cost for spot, (_, cost) in found.items()} == expected
    assert {spot: requests for spot, (requests, _) in found.items()} == asked
    [whole] = spent(place, "day")
    assert (whole.requests, nano(whole.spent_usd)) == (900, expected.total())


async def test_no_request_waits_for_the_books_which_are_told_a_moment_later(
    place: str, connect: Connect
) -> None:
    async with Worker(connect()) as worker:
        worker.database.there = False
        await worker.ask(ALICE, of(step("a", 0.5)))
        worker.database.there = True
        await soon(lambda: not worker.till.tally.untold)
        assert sums(spent(place)) == {(TODAY, "alice", "ops", "a"): (1, 5 * 10**8)}
        await asyncio.sleep(0.2)
        told = connect().transact(lambda one: one.rows(tuple[int], "SELECT told FROM emf_workers"))
        assert told == [(1,)]  # nothing is told again


@pytest.mark.parametrize("lost", [1, 3])
async def test_an_answer_that_is_lost_books_nothing_twice(
    place: str, connect: Connect, lost: int
) -> None:
    deaf = Deaf(connect(), lost)
    budget = Budget(holder="key:alice", period="day", limit=10**10)
    async with Worker(deaf, held=(budget,)) as worker:
        await worker.ask(ALICE, of(step("a", 0.25)))
        await soon(lambda: deaf.lost < lost)
        for _ in range(3):
            await worker.ask(ALICE, of(step("a", 0.25)))
            await asyncio.sleep(0.06)
        await soon(lambda: not worker.till.tally.untold)
        await worker.ask(ALICE, of(step("a", 0.25)))
    assert deaf.lost == 0
    assert sums(spent(place)) == {(TODAY, "alice", "ops", "a"): (5, 125 * 10**7)}


async def test_a_database_that_is_away_hears_everything_afterwards(
    place: str, connect: Connect
) -> None:
    many = 3 * MOST
    async with Worker(connect()) as worker:
        worker.database.there = False
        for number in range(many):
            await worker.ask(Caller(key=f"k{number}"), of(step("a", 1e-9)))
        await soon(lambda: worker.till.trouble is not None)
        await worker.ask(Caller(key="k0"), of(step("a", 1e-9)))
        worker.database.there = True  # now that it ends, which takes several messages
    found = spent(place, "key")
    assert (len(found), sum(one.requests for one in found)) == (many, many + 1)


async def test_a_day_ends_and_a_clock_is_set_back(place: str, connect: Connect) -> None:
    async with Worker(connect()) as worker:
        for now in (NOON, NOON + DAY / 2 - 1, NOON + DAY / 2, NOON):
            worker.now = now
            await worker.ask(ALICE, of(step("a", 1.0)))
            await soon(lambda: not worker.till.tally.untold)
    found = spent(place, "day")
    assert [(one.day, one.requests, one.spent_usd) for one in found] == [
        (TODAY, 3, 3.0),
        (TOMORROW, 1, 1.0),
    ]


def test_each_call_is_booked_to_who_was_paid_and_the_request_to_who_answered() -> None:
    tally = Tally(lambda: NOON)
    told = [
        of(step("judge", 0.1, 1), step("a", 0.2, 2), step("b", 0.4, 4), model="b"),
        of(step("a", 0.1, 1), step("b", 0.1, 1), model="b, a"),  # a composite's two parts
        of(step("a"), step("b"), model="", error="UnavailableError: no"),
        of(model="a"),  # cached
    ]
    for one in told:
        tally.book(ALICE, one)
    tally.book(Caller(), of(step("a", 1.0)))  # the operators' own key
    message = tally.message()
    assert message is not None
    assert message.rows == (
        ((TODAY, "", "", "a"), Sums(1, 1, 0, 0, 10**9)),
        ((TODAY, "alice", "ops", "a"), Sums(1, 3, 3, 6, 3 * 10**8)),
        ((TODAY, "alice", "ops", "b"), Sums(3, 3, 5, 10, 5 * 10**8)),
        ((TODAY, "alice", "ops", "judge"), Sums(0, 1, 1, 2, 10**8)),
    )


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize(
    ("unsettled_usd", "error", "booked"),
    [
        (0.04, "CancelledError", 0.09),
        (0.2, "CancelledError", 0.25),
        (0.2, "UnavailableError: no", 0.01),
    ],
)
async def test_who_hangs_up_is_booked_as_a_budget_books_it(
    connect: Connect,
    place: str,
    *,
    limited: bool,
    unsettled_usd: float,
    error: str,
    booked: float,
) -> None:
    registry = Registry(connect(), clock=lambda: NOON)
    budget = Budget(holder="key:alice", period="day", limit=10**9)
    row = rows.BudgetRow(budget.holder, budget.period, budget.limit)
    connect().transact(lambda one: rows.write_budget(one, row))
    call = step("a", 0.005, unsettled_usd=unsettled_usd)
    async with Worker(connect(), held=(budget,) if limited else ()) as worker:
        await worker.ask(ALICE, of(call, call, error=error))
    [one] = spent(place, "key")
    assert one.spent_usd == booked
    [held] = registry.spending()
    assert held.spent_usd == (booked if limited else 0.0)


async def test_a_killed_worker_loses_what_it_had_not_told_and_no_more(
    place: str, connect: Connect
) -> None:
    """What was told stays, once; the next worker's own comes on top."""
    key, token = Registry(connect()).create("alice")
    asked = await asyncio.to_thread(_asked_until_killed, place, token)
    [before] = spent(place, "key")
    assert before.key == key.id
    assert 0 < before.requests <= asked
    assert before.spent_usd == pytest.approx(before.requests * COST)
    accounts = Accounts(place, estimate=lambda request, caller: COST, models=tuple)
    await accounts.begin()
    caller = await accounts.identify(token)
    assert caller is not None
    for _ in range(50):
        one = passage(caller)
        async with accounts.budgets.open(one):
            one.outcome = outcome(COST)
    await accounts.aclose()
    [after] = spent(place, "key")
    assert after.requests == before.requests + 50


def _asked_until_killed(place: str, token: str) -> int:
    """How many requests a process began until it was killed, some time after it had told."""
    command = [sys.executable, "-m", "gateway.accounts.child", place, token]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=TESTS) as child:
        assert child.stdout is not None
        written = b""
        while not spent(place, "key"):
            written += os.read(child.stdout.fileno(), 65536)
        child.kill()
        written += child.stdout.read()
    return written.count(b"\n")


def test_a_message_of_another_worker_has_numbers_of_its_own(connect: Connect, place: str) -> None:
    row = ((TODAY, "k", "", "a"), Sums(requests=1))
    store = connect()
    for worker, number in (("one", 1), ("two", 1), ("one", 2), ("one", 1), ("two", 1)):
        message = Message(number=number, rows=(row,))

        def work(connection: Connection, worker: str = worker, message: Message = message) -> None:
            leases.hear(connection, worker, now=NOON)
            books.enter(connection, worker, message)

        store.transact(work)
    assert [one.requests for one in spent(place)] == [3]


def test_names_are_told_of_revoked_keys_and_days_are_bounds(connect: Connect) -> None:
    registry = Registry(connect())
    key, _ = registry.create("alice")
    registry.revoke(key.id)
    tally = Tally(lambda: NOON)
    tally.book(Caller(key=key.id, team="ops"), of(step("a", 2.0)))
    tally.book(Caller(), of(step("a", 1.0)))
    _enter(connect(), tally)
    found = registry.spent(["key"], since=TODAY, until=TODAY)
    assert [(one.key, one.name) for one in found] == [(key.id, "alice"), ("", "")]
    assert registry.spent(["key"], since=TOMORROW, until="9999-12-31") == []
    assert registry.spent(["key"], since="2026-01-01", until="2026-09-20") == []


def test_whoever_adds_up_holds_up_nobody(connect: Connect) -> None:
    tally = Tally(lambda: NOON)
    tally.book(ALICE, of(step("a", 1.0)))
    one, other = connect(), connect()

    def adding(connection: Connection) -> list[Spent]:
        before = books.spent(connection, SIDES)
        _enter(other, tally)  # would wait for as long as this takes
        return before

    assert one.read(adding) == []
    assert len(one.read(lambda connection: books.spent(connection, SIDES))) == 1


def _enter(store: Database, tally: Tally) -> None:
    message = tally.message()
    assert message is not None

    def work(connection: Connection) -> None:
        leases.hear(connection, "w", now=NOON)
        books.enter(connection, "w", message)

    store.transact(work)


def test_accounts_of_the_schema_before_keep_their_keys_and_their_spending(place: str) -> None:
    alice = Credential(key=Key(id="alice", name="alice", created=1.0), digest=NOTHING, old=NOTHING)
    claim = Claim(holder="key:alice", period="total", since="", spent=7, keeps=7)
    with _raw(place) as connection:
        migrate(connection, migrations()[:1], table="emf_schema", what="the accounts")
        rows.write_key(connection, alice)
        rows.write_budget(connection, rows.BudgetRow("key:alice", "total", 100))
        leases.exchange(connection, "before", now=NOON, claims=[claim])
    with closing(database(place)) as one:
        registry = Registry(one)
        assert registry.keys() == [alice.key]
        assert [nano(each.spent_usd) for each in registry.spending()] == [7]
        assert registry.spent(SIDES, since="", until="9999-12-31") == []
        tally = Tally(lambda: NOON)
        tally.book(ALICE, of(step("a", 1.0)))
        _enter(one, tally)
    # A worker of before that is still there is told apart, too.
    with closing(database(place)) as one:
        again = one.transact(lambda c: c.rows(tuple[str, int], "SELECT id, told FROM emf_workers"))
    assert sorted(again) == [("before", 0), ("w", 1)]
    assert len(spent(place)) == 1


@contextmanager
def _raw(place: str) -> Iterator[Connection]:
    """A transaction on a database that nothing has migrated."""
    if is_address(place):
        with closing(connected(place)) as server, server.transaction():
            yield PostgresTransaction(server)
        return
    with closing(sqlite3.connect(place)) as file, file:
        yield SQLiteTransaction(file)
