"""One budget's window as one worker holds it: money to reserve from, and requests that wait for it.

Pure bookkeeping in whole billionths of a US dollar, within one event loop: it asks no database
(:mod:`leases` does) and reads no clock. Always
``granted = spent + reserved + offered + free``: what the store granted this worker is spent by
settled requests, promised to those under way, on offer to go back, or free.
"""

from __future__ import annotations

import asyncio
import datetime
from collections import deque
from collections.abc import Callable
from math import inf

from msgspec import structs

from emafusion.errors import BudgetError
from emafusion.gateway.accounts.leases import Claim, Standing
from emafusion.gateway.accounts.terms import NANO, Budget, Period, Window

RETRY_S = 0.05
"""How long to leave the store alone that could not give what was wanted."""
IDLE_BEATS = 2
"""After so many beats without a request nothing is kept ahead of need."""
MOST_AHEAD = 16
"""Until a beat has shown the demand, at most so many times what waits is asked for ahead."""
EACH: dict[Period, str] = {"day": "a day", "month": "a month", "total": "in all"}


class Waiter:
    """A request that waits for `amount`; ``future`` is done once it has it, or cannot."""

    __slots__ = ("admitted", "amount", "future")

    def __init__(self, amount: int, future: asyncio.Future[None]) -> None:
        self.amount = amount
        self.future = future
        self.admitted = False


class Purse:
    """What this worker has of `budget` in `window`.

    ``granted`` is its lease, the worker's ``number``-th; ``spent`` is all it spent of it,
    ``reserved`` what requests under way may spend yet. ``ahead`` is what it likes to have free: two
    beats' demand. It is ``starving`` while the store has not what the first that waits needs.
    ``mark``, where there is one, is told what is spent or reserved whenever that changes.
    """

    def __init__(self, budget: Budget, window: Window, *, number: int = 0) -> None:
        self.budget = budget
        self.number = number
        self.window = window
        self.begins = window.begins
        self.ends = inf if window.ends is None else window.ends
        self.granted = 0
        self.spent = 0
        self.reserved = 0
        self.ahead = 0
        self.waiting: deque[Waiter] = deque()
        self.retry_at = -inf
        self.starving = False
        self.mark: Callable[[int], None] | None = None
        self._offered = 0
        self._taken = 0
        self._idle = 0
        self._reported = 0
        self._claim: Claim | None = None
        self._standing: Standing | None = None
        self._hopeless_until = -inf
        self._possible = 0

    @property
    def free(self) -> int:
        """What may be reserved without asking; below zero where more was spent than promised."""
        return self.granted - self.spent - self.reserved - self._offered

    @property
    def low(self) -> bool:
        """Whether it is time to ask for more."""
        return 0 < self.ahead > 4 * self.free

    @property
    def quiet(self) -> bool:
        """Whether the store knows everything and this worker holds nothing."""
        held = self.reserved or self.waiting or self._claim is not None
        return not held and self.granted == self.spent == self._reported

    def take(self, amount: int) -> bool:
        """Reserve `amount` if it is free and nobody waited for it before."""
        if self.waiting or self.free < amount:
            return False
        self._promise(amount)
        return True

    def put_back(self, amount: int, *, spent: int = 0) -> None:
        """The request that had reserved `amount` has `spent` so much, and is over."""
        self.reserved -= amount
        self.spent += spent
        if self.mark is not None:
            self.mark(self.spent + self.reserved)
        self._admit()

    def hopeless(self, amount: int, now: float) -> bool:
        """Whether a moment before `now` even all that is held would not have been enough."""
        return now < self._hopeless_until and amount > self._possible

    def queue(self, amount: int, future: asyncio.Future[None]) -> Waiter:
        """Wait for `amount`, behind those who wait already."""
        waiter = Waiter(amount, future)
        self.waiting.append(waiter)
        return waiter

    def give_up(self, waiter: Waiter) -> None:
        """No longer wait; what came at the last moment goes back."""
        if waiter.admitted:
            self.put_back(waiter.amount)
        else:
            waiter.future.cancel()
            self._admit()

    def beat(self) -> None:
        """Once in a while: learn how much is needed ahead."""
        self._idle = 0 if self._taken else self._idle + 1
        self.ahead = max(2 * self._taken, self.ahead // 2) if self._idle < IDLE_BEATS else 0
        self._taken = 0

    def close(self) -> None:
        """Keep nothing from now on but what requests under way were promised."""
        self._idle, self.ahead = IDLE_BEATS, 0

    def claim(self) -> Claim:
        """What to tell the store and to ask from it; the same again until it has answered."""
        needed = self.spent + self.reserved
        if self._claim is None:
            self.waiting = deque(one for one in self.waiting if not one.future.done())
            wanted = sum(one.amount for one in self.waiting)
            # Somebody has to wait: more should have been ahead.
            self.ahead = max(self.ahead, min(2 * self.ahead + wanted, MOST_AHEAD * wanted))
            self._offered = max(self._spare(), 0)
            self._claim = Claim(
                holder=self.budget.holder,
                period=self.budget.period,
                since=self.window.since,
                number=self.number,
                keeps=self.granted - self._offered,
                first=self.waiting[0].amount if self.waiting else 0,
                wanted=wanted,
                ahead=self.ahead if self.waiting else max(self.ahead - self.free, 0),
            )
        self._claim = structs.replace(self._claim, spent=self.spent, needed=needed)
        return self._claim

    def _spare(self) -> int:
        """What to offer: all where requests wait, for two workers' rests may make one whole."""
        standing = self._standing
        wanted_elsewhere = standing is not None and (
            standing.starved or (standing.limit is not None and standing.total > standing.limit)
        )
        return self.free if self.waiting or wanted_elsewhere else self.free - 2 * self.ahead

    def answered(self, standing: Standing, now: float) -> None:
        """The store's answer, at `now` on the loop's clock: some are let in, some must be refused.

        Refused is who could not be served even if all that is held came back.
        """
        claim, self._claim = self._claim, None
        self._offered = 0
        self._reported = self.spent if claim is None else claim.spent
        self.granted = standing.granted
        self._standing = standing
        self.starving = standing.possible is not None
        self._admit()
        if self.waiting or self.low:
            self.retry_at = now + RETRY_S
        if standing.possible is not None:
            self._possible, self._hopeless_until = standing.possible, now + 10 * RETRY_S
            for waiter in self.waiting:
                if waiter.amount > standing.possible and not waiter.future.done():
                    waiter.future.set_exception(self.refusal(waiter.amount))
            self._admit()

    def failed(self, now: float) -> None:
        """The store did not answer at `now`; the same claim is made again."""
        self.retry_at = now + 5 * RETRY_S

    def _admit(self) -> None:
        unlimited = self._standing is not None and self._standing.limit is None
        while self.waiting:
            first = self.waiting[0]
            if first.future.done():  # refused, or gone
                self.waiting.popleft()
                continue
            if first.amount > self.free and not unlimited:
                break
            self.waiting.popleft()
            first.admitted = True
            first.future.set_result(None)
            self._promise(first.amount)

    def _promise(self, amount: int) -> None:
        self.reserved += amount
        self._taken += amount
        if self.mark is not None:
            self.mark(self.spent + self.reserved)

    def refusal(self, amount: int) -> BudgetError:
        """Why a request that may cost `amount` is not made, and when it might be."""
        kind, _, name = self.budget.holder.partition(":")
        limit, held, left = self.budget.limit, self.reserved, self.free
        if self._standing is not None and self._standing.limit is not None:
            limit = self._standing.limit
            left = limit - self._standing.total + max(self.free, 0)
            held = self._standing.total - self._standing.settled - max(self.free, 0)
        waits = f"; {_usd(held)} more is held by requests under way" if held > 0 else ""
        return BudgetError(
            f"the budget of {kind} {name!r}, {_usd(limit)} {EACH[self.budget.period]}, has "
            f"{_usd(max(left, 0))} left and this request may cost {_usd(amount)}{waits}; "
            f"{_renewal(self.window)}"
        )


def _usd(amount: int) -> str:
    """Dollars with as many places as say something."""
    return f"${amount / NANO:,.2f}" if amount % (NANO // 100) == 0 else f"${amount / NANO:,.6f}"


def _renewal(window: Window) -> str:
    if window.ends is None:
        return "it does not renew: raise it, or ask for less with max_cost_usd"
    ends = datetime.datetime.fromtimestamp(window.ends, datetime.UTC)
    return f"it renews at {ends:%Y-%m-%d %H:%M} UTC"
