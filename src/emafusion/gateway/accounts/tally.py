"""What a worker's requests came to, added up until the store is told: by day, key, team and model.

Pure bookkeeping within one event loop, a dictionary's entry for each; it asks no database
(:mod:`books` does). What was told is forgotten, so it holds no more than came since.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from math import inf

from emafusion.gateway.accounts.books import Message, Place, Sums
from emafusion.gateway.accounts.terms import nano, window
from emafusion.gateway.callers import Caller
from emafusion.types import Outcome

MOST = 2000
"""Rows in one message: a crowd's books after an outage must not hold up who waits for money."""


class Tally:
    """What has not been told yet; `clock` gives seconds since 1970: which day it is."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._day = ""
        self._begins = inf
        self._ends = -inf
        self._open: dict[Place, Sums] = {}
        self._message: Message | None = None
        self._number = 0

    @property
    def untold(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._open) or self._message is not None

    def book(self, caller: Caller, outcome: Outcome, *, unsettled: int = 0) -> None:
        """One request of `caller` is over, and came to `outcome`.

        Each call is booked to the model that was paid, the request to the model that answered (of a
        composite's its first part, of a failure the one asked last). Calls without an end are
        booked at what they may have cost, as long as that is no more than `unsettled` in all,
        billionths of a US dollar.
        """
        steps = outcome.steps
        answered = outcome.model.partition(", ")[0] or (steps[-1].model if steps else "")
        day = self._today()
        self._sums(day, caller, answered).requests += 1
        for step in steps:
            sums = self._sums(day, caller, step.model)
            sums.calls += 1
            sums.prompt_tokens += step.usage.prompt_tokens
            sums.completion_tokens += step.usage.completion_tokens
            more = min(nano(step.unsettled_usd), unsettled) if unsettled else 0
            unsettled -= more
            sums.spent += nano(step.cost_usd) + more

    def message(self) -> Message | None:
        """What to tell the store, if anything; the same again until it was :meth:`heard`."""
        if self._message is None and self._open:
            places = sorted(islice(self._open, MOST))  # one order for all: none waits for another
            self._number += 1
            rows = tuple((place, self._open.pop(place)) for place in places)
            self._message = Message(number=self._number, rows=rows)
        return self._message

    def heard(self) -> None:
        """The store has the message."""
        self._message = None

    def _today(self) -> str:
        now = self._clock()
        if not self._begins <= now < self._ends:
            today = window("day", now)
            self._day, self._begins, self._ends = today.since, today.begins, today.ends or inf
        return self._day

    def _sums(self, day: str, caller: Caller, model: str) -> Sums:
        place = (day, caller.key, caller.team, model)
        found = self._open.get(place)
        if found is None:
            found = self._open[place] = Sums()
        return found
