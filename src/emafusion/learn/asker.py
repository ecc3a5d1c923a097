"""Asks a model a question for a collection, and makes of what comes a row of its journal.

It knows what a call may cost and which failures are billed; how a call is made, the ledger and the
providers know.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, runtime_checkable

from emafusion.catalog import tokens
from emafusion.errors import (
    AuthenticationError,
    EmafusionError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from emafusion.evaluate.questions import Question
from emafusion.execute import Ledger, Limits
from emafusion.learn.collection import Collection
from emafusion.learn.journal import Answered, Asked, Cell, Failed
from emafusion.learn.pace import Pace
from emafusion.protocols import Provider
from emafusion.types import Draft, Model

UNBILLED = (AuthenticationError, RateLimitedError, RejectedError)
"""Failures that no upstream bills; of any other, the call's highest price counts as spent."""
LONGEST_HOLD_S = 120.0
"""A provider that asks for a longer wait has failed: a later run will find it rested."""
PATIENCE = 3
"""Times that one call is begun at most where the provider asks to wait."""


@runtime_checkable
class Preparing(Protocol):
    """A provider that has something to load, which no call's latency should include."""

    async def prepare(self, model: Model) -> None:
        """Make `model` ready to answer."""
        ...


class Asker:
    """Makes calls, and has the collection write down how each ended.

    On a budget a model is asked one question at a time until an answer has cost no more than was
    set aside for it, and for good once one has cost more: its upstream does not keep to
    ``max_tokens``. From then on that many times as much is set aside.
    """

    def __init__(self, collection: Collection, providers: Mapping[str, Provider]) -> None:
        self.collection = collection
        self._providers = providers
        self._clock = _Clock()
        self._paces = {name: Pace(collection.bounds.per_minute) for name in providers}
        self._surplus: dict[str, float] = {}  # by model: cost / foreseen cost, at worst
        self._alone: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def prepare(self, model: Model) -> None:
        """Have the provider load `model`; where it cannot, the model's turn is over."""
        provider = self._providers[model.provider]
        if not isinstance(provider, Preparing):
            return
        try:
            await provider.prepare(model)
        except EmafusionError as failure:
            self.collection.stopped[model.name] = str(failure)

    async def ask(self, model: Model, question: Question, sample: int) -> None:
        """Close one cell, if there is money for it."""
        if not self._trusted(model):
            async with self._alone[model.name]:
                # The call before this one may have shown that the model can be trusted.
                if not self._trusted(model):
                    await self._ask(model, question, sample)
                    return
        await self._ask(model, question, sample)

    def _trusted(self, model: Model) -> bool:
        """Whether several calls of `model` at once cost no more than is set aside, so far."""
        if self.collection.purse.limit is None:
            return True
        return model.name in self._surplus and self._surplus[model.name] <= 1.0

    async def _ask(self, model: Model, question: Question, sample: int) -> None:
        collection = self.collection
        cell = (question.id, model.name, sample)
        most = self.most(model, question)
        ticket = await collection.purse.reserve(most)
        if ticket is None:
            collection.spent_up = True
            reason = f"its next call could exceed the budget of ${collection.purse.limit:g}"
            collection.stopped.setdefault(model.name, reason)
            return
        # A call that is cancelled under way may have been billed.
        spent = most
        try:
            collection.journal.append(_asked(cell, most), durable=False)
            row = await self._row(model, question, cell=cell, most=most)
            spent = row.cost_usd
            if isinstance(row, Answered):
                self._learn(model, question, spent)
        finally:
            await collection.purse.settle(ticket, spent)
        await collection.close(row)

    async def _row(
        self, model: Model, question: Question, *, cell: Cell, most: float
    ) -> Answered | Failed:
        bounds = self.collection.bounds
        ledger = Ledger(
            {model.name: model},
            self._providers,
            clock=self._clock,
            limits=Limits(call_timeout_s=bounds.timeout_s),
        )
        params = {"temperature": bounds.temperature, "max_tokens": bounds.max_tokens}
        messages = ({"role": "user", "content": question.prompt},)
        try:
            draft = await self._paced(
                model, lambda: ledger.complete(model.name, messages, params=params)
            )
        except ProviderError as failure:
            if isinstance(failure, AuthenticationError):
                # No other question will fare better with this key.
                self.collection.stopped[model.name] = str(failure)
            return _failed(failure, cell, most)
        return _answered(draft, cell)

    async def _paced(self, model: Model, call: Callable[[], Awaitable[Draft]]) -> Draft:
        """What `call` returns, at the pace of the model's provider and after waits it asks for."""
        pace = self._paces[model.provider]
        for _ in range(PATIENCE - 1):
            await pace.turn()
            try:
                return await call()
            except (RateLimitedError, UnavailableError) as failure:
                wait_s = failure.retry_after_s
                if wait_s is None or wait_s > LONGEST_HOLD_S:
                    raise
                pace.hold(wait_s)
        await pace.turn()
        return await call()

    def most(self, model: Model, question: Question) -> float:
        """The most that one call is known to cost, US dollars."""
        return self._foreseen(model, question) * self._surplus.get(model.name, 1.0)

    def _learn(self, model: Model, question: Question, cost_usd: float) -> None:
        """Note by how much an answer was dearer than the longest that was allowed."""
        foreseen = self._foreseen(model, question)
        surplus = cost_usd / foreseen if foreseen > 0.0 else 1.0
        self._surplus[model.name] = max(self._surplus.get(model.name, 1.0), surplus)

    def _foreseen(self, model: Model, question: Question) -> float:
        """The price of the longest answer that is allowed, US dollars."""
        prompt = tokens.count(question.prompt) + tokens.count(model.system or "")
        prompt += 2 * tokens.PER_MESSAGE
        completion = self.collection.bounds.max_tokens
        return (prompt * model.usd_per_mtok_in + completion * model.usd_per_mtok_out) / 1e6


class _Clock:
    """The system's time."""

    def now(self) -> float:
        return time.time()

    def tick(self) -> float:
        return time.perf_counter()


def _asked(cell: Cell, most: float) -> Asked:
    return Asked(query_id=cell[0], model=cell[1], sample=cell[2], reserved_usd=most)


def _answered(draft: Draft, cell: Cell) -> Answered:
    completion = draft.completion
    logprobs = completion.logprobs or ()
    return Answered(
        query_id=cell[0],
        model=cell[1],
        sample=cell[2],
        text=completion.text,
        finish_reason=completion.finish_reason,
        prompt_tokens=completion.usage.prompt_tokens,
        completion_tokens=completion.usage.completion_tokens,
        cost_usd=draft.cost_usd,
        latency_s=draft.latency_s,
        mean_logprob=sum(logprobs) / len(logprobs) if logprobs else None,
        min_logprob=min(logprobs) if logprobs else None,
    )


def _failed(failure: ProviderError, cell: Cell, most: float) -> Failed:
    return Failed(
        query_id=cell[0],
        model=cell[1],
        sample=cell[2],
        error=f"{type(failure).__name__}: {failure}",
        permanent=isinstance(failure, RejectedError),
        cost_usd=0.0 if isinstance(failure, UNBILLED) else most,
    )
