"""Asking again after a failure that may pass: limits, outages, broken connections."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from emafusion.errors import ProviderError, RateLimitedError, UnavailableError

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 8.0
LONGEST_ASKED_S = 5.0
"""An upstream that asks for a longer wait is left to the caller, who may have another model."""


async def retried(attempt: Callable[[], Awaitable[T]], *, attempts: int, within_s: float) -> T:
    """What `attempt` returns, after at most `attempts` tries.

    Waits as long as the upstream asked (``Retry-After``), else exponentially longer with full
    jitter; a wait that would not end within `within_s` seconds of the first try is not begun, and
    the last error is raised.
    """
    began = time.monotonic()
    try:
        return await attempt()
    except ProviderError as failure:
        if attempts < 2 or not _may_pass(failure):
            raise
        first = failure
    left_s = within_s - (time.monotonic() - began)
    return await _again(attempt, first, attempts=attempts, within_s=left_s)


async def _again(
    attempt: Callable[[], Awaitable[T]], first: ProviderError, *, attempts: int, within_s: float
) -> T:
    """What `attempt` returns after the `first` failure, which counts as one of the `attempts`.

    The retrying object is made here, and not for the calls that succeed: it costs as much time as
    they do.
    """
    from tenacity import (
        AsyncRetrying,
        retry_if_exception,
        stop_after_attempt,
        stop_before_delay,
    )

    retrying = AsyncRetrying(
        retry=retry_if_exception(_may_pass),
        wait=_wait_s,
        stop=stop_after_attempt(attempts) | stop_before_delay(within_s),
        reraise=True,
    )
    past = iter([first])

    async def replayed() -> T:
        for failure in past:
            raise failure
        return await attempt()

    return await retrying(replayed)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, RateLimitedError):
        return (error.retry_after_s or 0.0) <= LONGEST_ASKED_S
    return isinstance(error, UnavailableError)


def _wait_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RateLimitedError) and error.retry_after_s is not None:
        return error.retry_after_s
    ceiling = min(FIRST_WAIT_S * 2 ** (state.attempt_number - 1), LONGEST_WAIT_S)
    return random.uniform(ceiling / 2, ceiling)
