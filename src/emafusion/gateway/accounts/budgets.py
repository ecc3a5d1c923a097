"""The gate that spends no budget twice: reserve before, settle after.

Knows requests, callers and what an outcome cost; where budgets are kept is the till's affair.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType

from msgspec import structs

from emafusion.errors import BudgetError
from emafusion.gateway.accounts.purse import Purse
from emafusion.gateway.accounts.terms import MOST_USD, Budget, nano
from emafusion.gateway.accounts.till import Till
from emafusion.gateway.callers import Caller, Passage
from emafusion.types import Request

Estimate = Callable[[Request, Caller], float]
"""What a request may cost at most, US dollars."""

MAX_WAIT_S = 2.0
LEAST_USD = 1e-9
"""A spending limit must be above nothing; a request that costs nothing keeps within this."""


class Budgets:
    """A :class:`~emafusion.gateway.callers.Gate` that keeps keys, teams and models within budget.

    A request reserves what it may cost on every budget of its key and its team, and may then spend
    no more than that; where money is only held by others, it waits for them. A model whose budget
    is spent is not asked.

    Parameters
    ----------
    till : Till
        Where money is reserved.
    held_by : callable
        The budgets of a caller: its key's and its team's.
    estimate : callable
        What a request may cost that says nothing of it, US dollars.
    models : callable
        The names of the models that may answer a request which names none.
    model_budgets : callable
        The models' budgets, by model.
    max_wait_s : float
        How long a request may wait for money that others hold, seconds.
    """

    def __init__(
        self,
        till: Till,
        *,
        held_by: Callable[[Caller], Sequence[Budget]],
        estimate: Estimate,
        models: Callable[[], Collection[str]],
        model_budgets: Callable[[], Mapping[str, Sequence[Budget]]] = dict,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        self.till = till
        self.max_wait_s = max_wait_s
        self._held_by = held_by
        self._estimate = estimate
        self._models = models
        self._model_budgets = model_budgets

    def open(self, passage: Passage) -> _Reservation:
        """Reserve on entering, settle on leaving; raises :class:`BudgetError` on entering."""
        return _Reservation(self, passage)

    async def reserve(self, passage: Passage) -> tuple[int, list[Purse]]:
        """How much was reserved, in billionths of a US dollar, and of which purses."""
        if self.till.overspent:
            self._without_overspent(passage)
        held = self._held_by(passage.caller)
        if not held:
            return 0, []
        knobs = passage.request.knobs
        usd = self._most_usd(passage)
        amount = nano(usd)
        purses = [self.till.purse(one) for one in held]
        if usd <= LEAST_USD:  # what costs nothing need not wait
            amount = 0
        else:
            await self._take(purses, amount)
        if knobs.max_cost_usd is None:
            narrowed = structs.replace(knobs, max_cost_usd=usd)
            passage.request = structs.replace(passage.request, knobs=narrowed)
        return amount, purses

    def _most_usd(self, passage: Passage) -> float:
        """What a request may cost, US dollars: by its own limit, else by the estimate."""
        usd = passage.request.knobs.max_cost_usd
        if usd is None:
            usd = max(self._estimate(passage.request, passage.caller), LEAST_USD)
        # An estimate that is no number asks for more than any budget has.
        return usd if usd <= MOST_USD else MOST_USD

    async def _take(self, purses: Sequence[Purse], amount: int) -> None:
        """Reserve `amount` of all or of none, always in the same order."""
        until = 0.0
        for place, purse in enumerate(purses):
            if purse.take(amount):
                if purse.low:
                    self.till.ask_for_more(purse)
                continue
            if not until:
                until = time.monotonic() + self.max_wait_s
                # The others will be asked for as much: one exchange serves them all.
                for other in purses[place:]:
                    self.till.expect(other, amount)
            try:
                await self.till.wait(purse, amount, until=until)
            except BaseException:
                for taken in purses[:place]:
                    taken.put_back(amount)
                raise

    def settle(self, passage: Passage, amount: int, purses: Sequence[Purse]) -> None:
        """Put back `amount` of `purses` less what the request cost; tell books and models' budgets.

        Of a request whose caller left, calls without an end count as what they may have cost: on
        the books no more than is reserved for it where there is a budget.
        """
        outcome = passage.outcome
        if outcome is None:
            for purse in purses:
                self.till.settle(purse, amount, spent=0)
            return
        spent = nano(passage.spent_usd)
        unsettled = nano(outcome.unsettled_usd)
        if unsettled:
            # The bounds of calls made one after another may exceed together what they had to share.
            most = amount if purses else nano(self._most_usd(passage))
            unsettled = max(min(unsettled, most - spent), 0)
        for purse in purses:
            self.till.settle(purse, amount, spent=spent + unsettled)
        self.till.tally.book(passage.caller, outcome, unsettled=unsettled)
        budgets = self._model_budgets()
        for step in outcome.steps if budgets else ():
            cost = step.cost_usd + (step.unsettled_usd if outcome.abandoned else 0.0)
            for budget in budgets.get(step.model, ()):
                self.till.settle(self.till.purse(budget), 0, spent=nano(cost))

    def _without_overspent(self, passage: Passage) -> None:
        """Leave out the models whose budget is spent; refuse where none is left."""
        request = passage.request
        told = request.knobs.models
        asked = tuple(sorted(self._models())) if told is None else told
        left = tuple(name for name in asked if f"model:{name}" not in self.till.overspent)
        if not left:
            raise BudgetError(
                "the budgets of all models that may answer are spent: "
                f"{', '.join(map(repr, asked))}; 'emafusion budget list' says when they renew"
            )
        if len(left) < len(asked):
            knobs = structs.replace(request.knobs, models=left)
            passage.request = structs.replace(request, knobs=knobs)


class _Reservation:
    """One request's hold on its budgets."""

    __slots__ = ("_amount", "_gate", "_passage", "_purses")

    def __init__(self, gate: Budgets, passage: Passage) -> None:
        self._gate = gate
        self._passage = passage
        self._amount = 0
        self._purses: list[Purse] = []

    async def __aenter__(self) -> None:
        if self._passage.answer is None:
            self._amount, self._purses = await self._gate.reserve(self._passage)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gate.settle(self._passage, self._amount, self._purses)
