"""What the tests of accounts share: passages, outcomes, and a database that can vanish."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from emafusion.databases import Connection
from emafusion.errors import StoreError
from emafusion.gateway.accounts.database import Database
from emafusion.gateway.callers import Caller, Passage
from emafusion.types import Forecast, Knobs, Labels, Outcome, Request, Step

T = TypeVar("T")


def request(max_cost_usd: float | None = None) -> Request:
    messages = ({"role": "user", "content": "hello"},)
    return Request(id="d", messages=messages, knobs=Knobs(max_cost_usd=max_cost_usd))


def passage(caller: Caller, max_cost_usd: float | None = None) -> Passage:
    return Passage(request=request(max_cost_usd), caller=caller)


def outcome(cost_usd: float, model: str = "a") -> Outcome:
    step = Step(model=model, purpose="draft", cost_usd=cost_usd, latency_s=0.1)
    return Outcome(
        decision_id="d",
        created=0.0,
        prompt="",
        labels=Labels(axes={}),
        forecast=Forecast(estimates=()),
        plan=None,
        steps=(step,),
        verdicts=(),
        model=model,
        text="",
        confidence=0.5,
        cost_usd=cost_usd,
        latency_s=0.1,
    )


class Vanishing:
    """A database that is away while ``there`` is false."""

    def __init__(self, database: Database) -> None:
        self.there = True
        self.asked = 0
        self._database = database

    def transact(self, work: Callable[[Connection], T]) -> T:
        self.asked += 1
        if not self.there:
            raise StoreError("it is away")
        return self._database.transact(work)

    def read(self, work: Callable[[Connection], T]) -> T:
        return self.transact(work)

    def close(self) -> None:
        self._database.close()


async def soon(true: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until something is `true`."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
