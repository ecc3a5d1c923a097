"""The accounts of one serving process: its view of the keys, and its part of the budgets."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from emafusion.databases import is_address
from emafusion.gateway.accounts import wills
from emafusion.gateway.accounts.budgets import MAX_WAIT_S, Budgets, Estimate
from emafusion.gateway.accounts.database import Line, database
from emafusion.gateway.accounts.directory import GRACE_S, POLL_S, Directory, Rates
from emafusion.gateway.accounts.terms import Budget
from emafusion.gateway.accounts.till import Till
from emafusion.gateway.callers import Caller


class Accounts:
    """Keys and budgets in the database at `place`.

    Parameters
    ----------
    place : str
        A ``postgresql://`` address, or a file for SQLite.
    estimate : callable
        What a request may cost that says nothing of it, US dollars.
    models : callable
        The names of the models that may answer a request which names none.
    clock : callable
        Seconds since 1970.
    grace_s : float
        How long keys are good while the database does not answer, seconds.
    max_wait_s : float
        How long a request may wait for money that others hold, seconds.

    Raises
    ------
    MissingExtraError
        `place` is PostgreSQL's and its driver is not installed.
    """

    def __init__(
        self,
        place: str,
        *,
        estimate: Estimate,
        models: Callable[[], Collection[str]],
        clock: Callable[[], float] = time.time,
        grace_s: float = GRACE_S,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        # A thread each: a look at the keys does not wait behind a budget, nor the other way round.
        self._lines = (Line(database(place)), Line(database(place)))
        self.directory = Directory(self._lines[0], clock=clock, poll_s=POLL_S, grace_s=grace_s)
        self.till = Till(
            self._lines[1],
            models=self._model_budgets,
            clock=clock,
            notes=wills.folder(place if is_address(place) else str(Path(place).absolute())),
        )
        self.budgets = Budgets(
            self.till,
            held_by=self.directory.budgets,
            estimate=estimate,
            models=models,
            model_budgets=lambda: self.directory.models,
            max_wait_s=max_wait_s,
        )

    async def begin(self) -> None:
        """Read the keys, and keep them fresh; raises :class:`~emafusion.errors.StoreError`."""
        await self.directory.begin()
        await self.till.begin()

    async def aclose(self) -> None:
        """Tell what was spent, give back the rest, and close the database."""
        await self.till.aclose()
        await self.directory.aclose()
        for line in self._lines:
            await line.aclose()

    async def identify(self, token: str) -> Caller | None:
        """As :meth:`Directory.identify`."""
        return await self.directory.identify(token)

    def rates(self, caller: Caller) -> tuple[Rates, ...]:
        """As :meth:`Directory.rates`."""
        return self.directory.rates(caller)

    @property
    def trouble(self) -> str | None:
        """What is wrong with the database, if anything: keys and budgets go on for a while."""
        found = self.directory.trouble or self.till.trouble
        return None if found is None else str(found)

    def _model_budgets(self) -> Sequence[Budget]:
        return [budget for held in self.directory.models.values() for budget in held]
