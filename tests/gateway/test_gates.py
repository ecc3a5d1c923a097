"""Gates that fail on leaving: those before them are left all the same, and told."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import pytest

from emafusion.client import Client
from emafusion.errors import BudgetError, StoreError
from emafusion.gateway.callers import Gate, Passage
from emafusion.gateway.exchange import Exchange
from emafusion.types import Request

from .parts import Script, client_of


class Door:
    """A gate that notes what it is left with, and may fail itself."""

    def __init__(self, *, entering: Exception | None = None, leaving: Exception | None = None):
        self.entering, self.leaving = entering, leaving
        self.told: list[type[BaseException] | None] = []

    def open(self, passage: Passage) -> Door:
        return self

    async def __aenter__(self) -> None:
        if self.entering is not None:
            raise self.entering

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.told.append(kind)
        if self.leaving is not None:
            raise self.leaving


def passage() -> Passage:
    return Passage(request=Request(id="dec_1", messages=({"role": "user", "content": "Hi"},)))


async def through(
    client: Client, doors: Sequence[Gate], failure: Exception | None = None
) -> Exchange:
    exchange = Exchange(client, doors)
    async with exchange.open(passage()):
        if failure is not None:
            raise failure
    return exchange


async def test_a_gate_that_fails_on_leaving_is_what_those_before_it_are_told_of() -> None:
    client = client_of({"a": Script()})
    first, second, third = Door(), Door(leaving=StoreError("gone")), Door()
    with pytest.raises(StoreError):
        await through(client, [first, second, third])
    assert (third.told, second.told, first.told) == ([None], [None], [StoreError])


async def test_what_fails_inside_is_told_to_every_gate_and_not_made_undone() -> None:
    client = client_of({"a": Script()})
    doors = [Door(), Door()]
    with pytest.raises(BudgetError):
        await through(client, doors, BudgetError("spent"))
    assert [door.told for door in doors] == [[BudgetError], [BudgetError]]


async def test_a_refusal_leaves_only_the_gates_that_were_entered() -> None:
    client = client_of({"a": Script()})
    entered, refusing, behind = Door(), Door(entering=BudgetError("spent")), Door()
    with pytest.raises(BudgetError):
        await through(client, [entered, refusing, behind])
    assert (entered.told, refusing.told, behind.told) == ([BudgetError], [], [])


async def test_no_request_is_under_way_once_its_gates_are_left() -> None:
    client, next_one = client_of({"a": Script()}), client_of({"a": Script()})
    exchange = Exchange(client, [Door(leaving=StoreError("gone"))])
    for _ in range(2):
        with pytest.raises(StoreError):
            async with exchange.open(passage()):
                pass
    await exchange.replace(next_one)  # would wait for what is under way
    await next_one.aclose()
