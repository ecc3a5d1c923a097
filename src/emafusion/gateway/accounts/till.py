"""A worker's purses, and the one who goes to the store for them all.

One exchange with the store at a time carries every purse that needs one; what arrives meanwhile
goes with the next. Knows the event loop and when to ask; not what the money is for.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

from emafusion.databases import Connection
from emafusion.errors import OverloadedError, StoreError, StoreUnreachableError
from emafusion.gateway.accounts import books, leases, wills
from emafusion.gateway.accounts.books import Message
from emafusion.gateway.accounts.database import Line
from emafusion.gateway.accounts.leases import Claim, Standing
from emafusion.gateway.accounts.purse import RETRY_S, Purse
from emafusion.gateway.accounts.tally import Tally
from emafusion.gateway.accounts.terms import Budget, Period, window
from emafusion.gateway.accounts.wills import Will

log = logging.getLogger("emafusion.gateway")

SYNC_S = 0.5
HELD_RETRY_S = 2.0
"""When to ask again whose money was only held by others."""
FORGET_S = 7 * 86400.0
CARE_S = 2.0
"""How often to look for workers that ended without settling, seconds."""


class Till:
    """Reserves from budgets that other workers share.

    Parameters
    ----------
    line : Line
        The database, and a thread of its own to it.
    models : callable
        The models' budgets: what is spent of them is told, and looked up.
    clock : callable
        Seconds since 1970: which day it is.
    sync_s : float
        How often the store is told what was spent, seconds.
    notes : Path, optional
        A folder where workers of this machine leave word of what they used; see :mod:`wills`.

    Attributes
    ----------
    tally : Tally
        What requests came to, whatever limits them: the store is told of it, too.
    """

    def __init__(
        self,
        line: Line,
        *,
        models: Callable[[], Sequence[Budget]] = tuple,
        clock: Callable[[], float] = time.time,
        sync_s: float = SYNC_S,
        notes: Path | None = None,
    ) -> None:
        self.worker = secrets.token_hex(8)
        self.overspent: frozenset[str] = frozenset()
        self.tally = Tally(clock)
        self._line = line
        self._models = models
        self._clock = clock
        self._sync_s = sync_s
        self._notes = notes
        self._will: Will | None = None
        self._care_at = time.monotonic() + CARE_S
        self._purses: dict[tuple[str, Period], Purse] = {}
        self._active: set[Purse] = set()
        self._numbers = count()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.trouble: StoreError | None = None

    async def begin(self) -> None:
        """Begin to exchange; raises :class:`StoreError` where the store is not there."""
        await self._care()
        if self._notes is not None:
            try:
                self._will = Will(self._notes, self.worker)
            except OSError as error:
                log.warning("what this process holds is freed late if it is killed: %s", error)
        self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Give back what no request under way was promised; tell what was spent."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        for purse in self._active:
            purse.close()
        # Twice: a claim whose answer was not heard is made again before another.
        for _ in range(2):
            await self._exchange([one for one in self._active if not one.quiet])
        while self.tally.untold and self.trouble is None:
            await self._exchange(())
        if self.trouble is not None:
            return  # told by the exchange; the next one reads the will
        if not all(one.quiet for one in self._active):
            return  # a request was cut off: whoever reads the will settles what it had reserved
        if self._will is not None:
            self._will.tear_up()
        # Last: of a worker that the books have forgotten, a will would be booked anew.
        with suppress(StoreError):
            await self._line.ask(lambda one: leases.leave(one, self.worker))

    def purse(self, budget: Budget) -> Purse:
        """The purse of `budget`'s present window."""
        now = self._clock()
        purse = self._purses.get((budget.holder, budget.period))
        if purse is None or not purse.begins <= now < purse.ends:
            # What is under way in a window that ended is settled there.
            purse = Purse(budget, window(budget.period, now), number=next(self._numbers))
            self._purses[budget.holder, budget.period] = purse
            if self._will is not None:
                since = purse.window.since
                purse.mark = self._will.of(budget, since=since, number=purse.number)
        return purse

    def settle(self, purse: Purse, amount: int, *, spent: int) -> None:
        """The request that had reserved `amount` of `purse` has `spent` so much, and is over."""
        purse.put_back(amount, spent=spent)
        self._active.add(purse)

    def expect(self, purse: Purse, amount: int) -> None:
        """The next exchange may as well ask for `amount` of `purse`: it will be needed."""
        purse.ahead = max(purse.ahead, amount)
        self._active.add(purse)

    def ask_for_more(self, purse: Purse) -> None:
        """Ask the store, as soon as it makes sense to ask again."""
        if purse.waiting or time.monotonic() >= purse.retry_at:
            self._woken.set()

    async def wait(self, purse: Purse, amount: int, *, until: float) -> None:
        """Reserve `amount` of `purse`, waiting for it `until` then on the monotonic clock.

        Raises
        ------
        BudgetError
            It is not there, and would not be if all that is held came back.
        OverloadedError
            It is held by requests that did not end in time; it may come back.
        StoreUnreachableError
            The store did not answer.
        """
        now = time.monotonic()
        if purse.hopeless(amount, now):
            raise purse.refusal(amount)
        waiter = purse.queue(amount, asyncio.get_running_loop().create_future())
        self._active.add(purse)
        self.ask_for_more(purse)
        try:
            async with asyncio.timeout(until - now):
                await waiter.future
        except TimeoutError:
            if waiter.admitted:
                return
            purse.give_up(waiter)
            raise self._why(purse, amount) from None
        except asyncio.CancelledError:
            purse.give_up(waiter)
            raise

    def _why(self, purse: Purse, amount: int) -> Exception:
        if self.trouble is None and purse.starving:
            # Who could not be served by what is held was refused already.
            told = f"{purse.refusal(amount)}; or ask again later"
            return OverloadedError(told, retry_after_s=HELD_RETRY_S)
        trouble = self.trouble or "the accounts' database is slow"
        return StoreUnreachableError(f"the budget cannot be checked now: {trouble}")

    async def _run(self) -> None:
        beat_at = time.monotonic()
        while True:
            await self._pause(beat_at)
            now = time.monotonic()
            beat = now >= beat_at
            if beat:
                beat_at = now + self._sync_s
                self._beat()
            due = [one for one in self._active if beat or _pressing(one, now)]
            if due or (beat and (self.tally.untold or self._models())):
                await self._exchange(due, beat=beat)
            if now >= self._care_at and self.trouble is None:
                self._care_at = now + CARE_S
                with suppress(StoreError):  # the next exchange tells
                    await self._care()

    async def _care(self) -> None:
        """Settle the leases of workers that ended without doing so."""
        await self._line.ask(partial(_tidied, worker=self.worker))
        if self._notes is None:
            return
        with wills.opened(self._notes, besides=self.worker) as found:
            for worker, claims in found.items():
                if await self._line.ask(partial(_settled, worker=worker, claims=claims)):
                    log.warning("worker %s ended without settling: what it used is booked", worker)

    async def _pause(self, beat_at: float) -> None:
        """Until the next beat, or until somebody needs more and may ask."""
        hungry = any(one.waiting or one.low for one in self._active)
        pause = beat_at - time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(min(pause, RETRY_S) if hungry else pause, 0.0)):
                await self._woken.wait()
        self._woken.clear()

    def _beat(self) -> None:
        for purse in [*self._active]:
            purse.beat()
            if purse.quiet:
                self._active.discard(purse)

    async def _exchange(self, purses: Sequence[Purse], *, beat: bool = True) -> None:
        claims = [one.claim() for one in purses]
        news = self.tally.message() if beat else None
        budgets, now = self._models(), self._clock()

        def work(connection: Connection) -> tuple[list[Standing], frozenset[str]]:
            standings = self._told(connection, claims, news)
            return standings, leases.overspent(connection, budgets, now)

        try:
            standings, self.overspent = await self._line.ask(work)
        except StoreError as error:
            for purse in purses:
                purse.failed(time.monotonic())
            self._in_trouble(error)
            return
        self._in_trouble(None)
        if news is not None:
            self.tally.heard()
        for purse, standing in zip(purses, standings, strict=True):
            purse.answered(standing, time.monotonic())

    def _told(
        self, connection: Connection, claims: Sequence[Claim], news: Message | None
    ) -> list[Standing]:
        if not claims and news is None:
            return []
        worker, now = self.worker, connection.clock()
        standings = leases.exchange(connection, worker, now=now, claims=claims)
        if news is not None:  # last: what every worker writes to is locked no longer than needed
            books.enter(connection, worker, news)
        return standings

    def _in_trouble(self, error: StoreError | None) -> None:
        if error is not None and self.trouble is None:
            log.warning("budgets go on within what this process holds: %s", error)
        elif error is None and self.trouble is not None:
            log.warning("budgets are shared again")
        self.trouble = error


def _tidied(connection: Connection, *, worker: str) -> None:
    now = connection.clock()
    # One who has had nothing to do for a week lives nevertheless.
    leases.hear(connection, worker, now=now)
    leases.tidy(connection, before=now - FORGET_S)
    if buried := leases.bury(connection, before=now - leases.BURIED_S):
        log.warning("%d leases of workers not heard of any more are booked as spent", buried)


def _settled(connection: Connection, *, worker: str, claims: Sequence[Claim]) -> bool:
    """Whether there was something to settle: of whom the books have forgotten, all is settled."""
    there = bool(claims) and leases.known(connection, worker)
    if there:
        leases.exchange(connection, worker, now=connection.clock(), claims=claims)
    return there


def _pressing(purse: Purse, now: float) -> bool:
    return bool(purse.waiting or purse.low) and now >= purse.retry_at
