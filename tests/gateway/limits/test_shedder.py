"""No more is under way than may be, nobody takes every place, and refusals come in time."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter

import pytest

from emafusion.errors import ConfigError, OverloadedError
from emafusion.gateway.limits import Shedder


class Crowd:
    """Requests that hold their places until they are told to go."""

    def __init__(self, shedder: Shedder) -> None:
        self.shedder = shedder
        self.inside: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._go = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def come(self, tenant: str, count: int = 1) -> None:
        self._tasks += [asyncio.create_task(self._stay(tenant)) for _ in range(count)]
        await asyncio.sleep(0.005)

    async def leave(self) -> None:
        self._go.set()
        await asyncio.gather(*self._tasks)

    async def _stay(self, tenant: str) -> None:
        try:
            async with self.shedder.place(tenant):
                self.inside[tenant] += 1
                await self._go.wait()
                self.inside[tenant] -= 1
        except OverloadedError:
            self.refused[tenant] += 1


async def test_places_are_bounded_and_the_rest_wait_or_go() -> None:
    shedder = Shedder(3, waiting=2, share=1.0)
    crowd = Crowd(shedder)
    await crowd.come("a", 9)
    assert (crowd.inside["a"], shedder.queued, crowd.refused["a"]) == (3, 2, 4)
    await crowd.leave()
    assert (shedder.under_way, shedder.queued, shedder.shed) == (0, 0, 4)


async def test_who_waits_too_long_is_turned_away_with_a_time() -> None:
    shedder = Shedder(1, patience_s=0.02)
    async with shedder.place("a"):
        began = time.monotonic()
        with pytest.raises(OverloadedError, match="no place came free") as told:
            async with asyncio.timeout(20), shedder.place("b"):
                pytest.fail("there was no place")
        assert time.monotonic() - began > 0.015
        assert told.value.retry_after_s is not None
        assert told.value.retry_after_s >= 1.0
    assert shedder.queued == 0


async def test_places_are_added_and_taken_away_while_some_are_held() -> None:
    shedder = Shedder(1, share=1.0)
    assert shedder.enter("a") is None
    waiting = [shedder.enter("a") for _ in range(2)]
    assert not any(one is None or one.done() for one in waiting)
    shedder.resize(2)
    assert [one is not None and one.done() for one in waiting] == [True, False]
    assert (shedder.under_way, shedder.most) == (2, 2)
    shedder.resize(1)
    shedder.leave("a", 0.0)
    assert shedder.under_way == 1
    assert shedder.queued == 1
    shedder.leave("a", 0.0)
    assert (shedder.under_way, shedder.queued) == (1, 0)


async def test_one_tenant_cannot_take_all_places() -> None:
    shedder = Shedder(8, share=0.75)
    crowd = Crowd(shedder)
    await crowd.come("greedy", 50)
    await crowd.come("modest", 2)
    assert (crowd.inside["greedy"], crowd.inside["modest"]) == (6, 2)
    await crowd.leave()


async def test_a_full_waiting_room_of_one_tenant_keeps_nobody_else_out() -> None:
    shedder = Shedder(4, waiting=5, share=1.0)
    crowd = Crowd(shedder)
    await crowd.come("greedy", 20)
    assert crowd.refused["greedy"] == 11
    await crowd.come("modest", 2)
    assert crowd.refused == {"greedy": 13}
    await crowd.leave()


async def test_the_next_place_is_for_who_holds_the_fewest() -> None:
    shedder = Shedder(2, share=1.0)
    order: list[str] = []

    async def stay(tenant: str) -> None:
        async with shedder.place(tenant):
            order.append(tenant)
            await asyncio.sleep(0.002)

    names = ["a"] * 6 + ["b"] * 2 + ["c"]
    await asyncio.gather(*(stay(name) for name in names))
    assert sorted(order) == sorted(names)
    assert set(order[2:5]) == {"a", "b", "c"} or set(order[2:4]) == {"b", "c"}


async def test_a_late_loop_lets_nobody_new_in_until_it_has_caught_up() -> None:
    shedder = Shedder(10, max_lag_s=0.1)
    with shedder.watching():
        async with shedder.place("a"):
            await asyncio.sleep(0.06)
            time.sleep(0.3)  # noqa: ASYNC251 - the loop is to be late
            await asyncio.sleep(0.01)
            with pytest.raises(OverloadedError, match="late"):
                await shedder.place("b").__aenter__()
            await asyncio.sleep(0.4)
            assert await entered(shedder, "b")


async def entered(shedder: Shedder, tenant: str) -> bool:
    async with shedder.place(tenant):
        return True


async def test_cancelled_requests_leave_nothing_behind() -> None:
    """Any order of coming, leaving and hanging up ends with every place free."""
    chance = random.Random(7)
    shedder = Shedder(5, waiting=20, patience_s=0.03, share=0.6)

    async def one(tenant: str) -> None:
        try:
            async with shedder.place(tenant):
                assert shedder.under_way <= 5
                await asyncio.sleep(chance.random() * 0.01)
        except OverloadedError:
            pass

    tasks = []
    for _ in range(400):
        tasks.append(asyncio.create_task(one(chance.choice("abc"))))
        if chance.random() < 0.4:
            chance.choice(tasks).cancel()
        if chance.random() < 0.3:
            await asyncio.sleep(0.001)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (shedder.under_way, shedder.queued) == (0, 0)
    async with shedder.place("a"):
        assert shedder.under_way == 1


async def test_a_failing_request_gives_its_place_back() -> None:
    shedder = Shedder(1)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            async with shedder.place("a"):
                raise RuntimeError
    assert shedder.under_way == 0


async def test_a_place_that_is_free_is_taken_without_waiting() -> None:
    turned: list[bool] = []
    asyncio.get_running_loop().call_soon(turned.append, True)
    async with Shedder(100).place("a"):
        pass
    assert turned == [], "another turn of the loop was taken"


@pytest.mark.parametrize(("places", "share"), [(0, 0.5), (5, 0.0), (5, 1.1)])
def test_impossible_bounds_are_a_mistake(places: int, share: float) -> None:
    with pytest.raises(ConfigError):
        Shedder(places, share=share)
