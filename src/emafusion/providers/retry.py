"""Asking again after a failure that may pass: limits, outages, broken connections."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from emafusion.errors import ProviderError, RateLimitedError, UnavailableError
from emafusion.providers.ending import BrokenOff
from emafusion.providers.rests import LONGEST_ASKED_S

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 8.0


class Allowance:
    """How many retries are left, so that they cannot storm an upstream that is down.

    A call earns a share of a retry, and so does a second; what is not used is kept up to a reserve.

    Parameters
    ----------
    share : float
        Retries earned by one call.
    reserve : float
        Retries there are at first, and at most.
    per_s : float
        Retries earned by one second, for those who call seldom.
    now : callable
        Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        *,
        share: float = 0.1,
        reserve: float = 10.0,
        per_s: float = 0.5,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._share = share
        self._reserve = reserve
        self._per_s = per_s
        self._now = now
        self._left = reserve
        self._calls = 0
        self._seen = now()

    def earn(self) -> None:
        """A call begins."""
        self._calls += 1

    def spend(self) -> bool:
        """Take one retry; whether there was one."""
        now = self._now()
        earned = self._calls * self._share + (now - self._seen) * self._per_s
        self._calls, self._seen = 0, now
        self._left = min(self._left + earned, self._reserve)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


async def retried(
    attempt: Callable[[], Awaitable[T]],
    *,
    attempts: int,
    within_s: float,
    allowance: Allowance | None = None,
    asked: Callable[[float], None] | None = None,
) -> T:
    """What `attempt` returns, after at most `attempts` tries.

    Waits as long as the upstream asked (``Retry-After``) and a little longer, else exponentially
    longer with jitter; a wait that would not end within `within_s` seconds of the first try, or for
    whose retry there is no `allowance`, is not begun, and the last error is raised. An answer that
    broke off is not asked for again, for it may have been billed. `asked` is told the seconds of
    every wait that the upstream asks for, before it begins.
    """
    began = time.monotonic()
    if allowance is not None:
        allowance.earn()
    try:
        return await attempt()
    except ProviderError as failure:
        _tell(failure, asked)
        if attempts < 2 or not may_pass(failure):
            raise
        first = failure
    left_s = within_s - (time.monotonic() - began)
    limits = _Limits(attempts, left_s, allowance, asked)
    return await _again(attempt, first, limits)


class _Limits(NamedTuple):
    attempts: int
    within_s: float
    allowance: Allowance | None
    asked: Callable[[float], None] | None


def _tell(failure: ProviderError, asked: Callable[[float], None] | None) -> None:
    """Tell the wait that the upstream asks for with `failure`, if it does."""
    wait_s = asked_s(failure)
    if asked is not None and wait_s is not None:
        asked(wait_s)


async def _again(attempt: Callable[[], Awaitable[T]], first: ProviderError, limits: _Limits) -> T:
    """What `attempt` returns after the `first` failure, which counts as one of the attempts.

    The retrying object is made here, and not for the calls that succeed: it costs as much time as
    they do.
    """
    from tenacity import (
        AsyncRetrying,
        retry_if_exception,
        stop_after_attempt,
        stop_before_delay,
    )

    enough = stop_after_attempt(limits.attempts) | stop_before_delay(limits.within_s)
    allowance = limits.allowance

    def stop(state: RetryCallState) -> bool:
        # The allowance last: asking it takes a retry from it.
        return enough(state) or (allowance is not None and not allowance.spend())

    retrying = AsyncRetrying(
        retry=retry_if_exception(may_pass), wait=_wait_s, stop=stop, reraise=True
    )
    past = iter([first])

    async def replayed() -> T:
        for failure in past:
            raise failure
        try:
            return await attempt()
        except ProviderError as failure:
            _tell(failure, limits.asked)
            raise

    return await retrying(replayed)


def may_pass(error: BaseException) -> bool:
    """Whether what failed with `error` may succeed when asked again, and is not paid twice."""
    if isinstance(error, BrokenOff):
        return not error.begun
    passing = isinstance(error, (RateLimitedError, UnavailableError))
    return passing and (asked_s(error) or 0.0) <= LONGEST_ASKED_S


def asked_s(error: BaseException | None) -> float | None:
    """Seconds that the upstream asked us to wait as it failed with `error`, if it did."""
    if isinstance(error, (RateLimitedError, UnavailableError)):
        return error.retry_after_s
    return None


def _wait_s(state: RetryCallState) -> float:
    wait_s = asked_s(state.outcome.exception() if state.outcome else None)
    if wait_s is not None:
        # Never before, and not all at the same moment.
        return wait_s * random.uniform(1.0, 1.1)
    ceiling = min(FIRST_WAIT_S * 2 ** (state.attempt_number - 1), LONGEST_WAIT_S)
    return random.uniform(ceiling / 2, ceiling)
