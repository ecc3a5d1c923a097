"""Asking again: how often, how long, and at no price for a call that succeeds at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import pytest

from emafusion.errors import ProviderError, RateLimitedError, RejectedError, UnavailableError
from emafusion.providers.ending import BrokenOff
from emafusion.providers.retry import Allowance, retried

AT_ONCE = """
import asyncio, sys
from emafusion.providers.retry import retried

async def answer():
    return "yes"

print(asyncio.run(retried(answer, attempts=3, within_s=1)), "tenacity" in sys.modules)
"""


def failing(*failures: ProviderError) -> tuple[Callable[[], Awaitable[str]], list[float]]:
    """An attempt that fails so, time after time, and then succeeds; and when it was made."""
    left = iter(failures)
    made: list[float] = []

    async def attempt() -> str:
        made.append(time.monotonic())
        for failure in left:
            raise failure
        return "answer"

    return attempt, made


def down() -> UnavailableError:
    return UnavailableError("down", "m")


def test_a_success_at_once_makes_nothing_for_later() -> None:
    child = [sys.executable, "-c", AT_ONCE]
    told = subprocess.run(child, capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.split() == ["yes", "False"]


@pytest.mark.parametrize(("failures", "attempts"), [(0, 1), (0, 3), (1, 2), (2, 3)])
async def test_so_many_attempts_are_enough(failures: int, attempts: int) -> None:
    attempt, made = failing(*(limited(0.0) for _ in range(failures)))
    assert await retried(attempt, attempts=attempts, within_s=5) == "answer"
    assert len(made) == failures + 1


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_the_last_failure_is_raised(attempts: int) -> None:
    failures = [limited(0.0) for _ in range(5)]
    attempt, made = failing(*failures)
    with pytest.raises(RateLimitedError) as raised:
        await retried(attempt, attempts=attempts, within_s=5)
    assert raised.value is failures[attempts - 1]
    assert len(made) == attempts


async def test_what_will_not_pass_is_not_asked_again() -> None:
    attempt, made = failing(RejectedError("no", "m"))
    with pytest.raises(RejectedError):
        await retried(attempt, attempts=3, within_s=5)
    attempt, made = failing(down(), RejectedError("no", "m"))
    with pytest.raises(RejectedError):
        await retried(attempt, attempts=3, within_s=5)
    assert len(made) == 2


async def test_the_wait_that_was_asked_for_is_kept_before_the_second_attempt() -> None:
    attempt, made = failing(limited(0.2))
    await retried(attempt, attempts=3, within_s=5)
    assert made[1] - made[0] >= 0.2


async def test_every_status_wait_is_kept_and_told_before_it_begins() -> None:
    attempt, made = failing(UnavailableError("busy", "m", retry_after_s=0.2), limited(0.1))
    told: list[tuple[float, int]] = []
    await retried(
        attempt, attempts=3, within_s=5, asked=lambda wait_s: told.append((wait_s, len(made)))
    )
    assert made[1] - made[0] >= 0.2
    assert told == [(0.2, 1), (0.1, 2)]


async def test_a_longer_wait_is_left_to_the_caller() -> None:
    attempt, made = failing(UnavailableError("busy", "m", retry_after_s=6.0))
    with pytest.raises(UnavailableError):
        await retried(attempt, attempts=3, within_s=60)
    assert len(made) == 1


async def test_a_wait_beyond_the_time_left_is_not_begun() -> None:
    async def slow() -> str:
        await asyncio.sleep(0.15)
        return await attempt()

    attempt, made = failing(limited(0.2))
    with pytest.raises(RateLimitedError):
        await retried(slow, attempts=3, within_s=0.3)
    assert len(made) == 1


async def test_an_answer_that_broke_off_is_not_asked_for_again() -> None:
    attempt, made = failing(BrokenOff("gone", "m"))
    with pytest.raises(BrokenOff):
        await retried(attempt, attempts=3, within_s=5)
    assert len(made) == 1
    attempt, made = failing(BrokenOff("gone", "m", begun=False))
    assert await retried(attempt, attempts=3, within_s=5) == "answer"


async def test_retries_do_not_storm() -> None:
    """Of 200 calls to what is down, a tenth are made again, and the few there were in reserve."""
    now = [0.0]
    allowance = Allowance(share=0.1, reserve=10.0, per_s=0.0, now=lambda: now[0])
    attempts = 0

    async def attempt() -> str:
        nonlocal attempts
        attempts += 1
        raise limited(0.0)

    for _ in range(200):
        with pytest.raises(RateLimitedError):
            await retried(attempt, attempts=3, within_s=5, allowance=allowance)
    assert 200 + 20 <= attempts <= 200 + 10 + 20


def test_who_calls_seldom_may_retry() -> None:
    now = [0.0]
    allowance = Allowance(share=0.0, reserve=2.0, per_s=0.5, now=lambda: now[0])
    assert [allowance.spend() for _ in range(3)] == [True, True, False]
    now[0] = 2.0
    assert [allowance.spend() for _ in range(2)] == [True, False]


def limited(after_s: float) -> RateLimitedError:
    return RateLimitedError("slow down", "m", retry_after_s=after_s)
