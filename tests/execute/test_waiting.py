"""One deadline for the waits of a stream."""

from __future__ import annotations

import asyncio

import pytest

from emafusion.execute.waiting import Waits


async def test_waits_that_end_in_time_are_let_be() -> None:
    waits = Waits(10.0)
    for _ in range(3):
        with waits:
            await asyncio.sleep(0.001)
    waits.close()


async def test_the_wait_that_is_too_long_is_ended() -> None:
    waits = Waits(0.05)
    with pytest.raises(TimeoutError), waits:
        await asyncio.sleep(60)
    await asyncio.sleep(0)  # the task itself is not cancelled


async def test_waits_count_together() -> None:
    waits = Waits(0.2)
    waited = 0
    with pytest.raises(TimeoutError):
        while waited < 100:
            with waits:
                await asyncio.sleep(0.05)
            waited += 1
    assert waited < 5


async def test_the_time_between_does_not_count() -> None:
    waits = Waits(0.5)
    with waits:
        await asyncio.sleep(0)
    await asyncio.sleep(0.7)
    with waits:
        await asyncio.sleep(0.001)
    waits.close()


async def test_after_a_time_between_the_deadline_still_holds() -> None:
    waits = Waits(0.1)
    with waits:
        await asyncio.sleep(0)
    await asyncio.sleep(0.2)
    with pytest.raises(TimeoutError), waits:
        await asyncio.sleep(60)


async def test_another_task_may_wait_next() -> None:
    waits = Waits(0.1)

    async def wait(seconds: float) -> None:
        with waits:
            await asyncio.sleep(seconds)

    await asyncio.create_task(wait(0))
    with pytest.raises(TimeoutError):
        await asyncio.create_task(wait(60))


async def test_who_is_cancelled_by_others_stays_cancelled() -> None:
    waits = Waits(60.0)

    async def wait() -> None:
        with waits:
            await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    waits.close()


async def test_no_time_is_too_little_for_any_wait() -> None:
    with pytest.raises(TimeoutError), Waits(-1.0):
        await asyncio.sleep(60)
