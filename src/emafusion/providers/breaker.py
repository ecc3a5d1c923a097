"""A circuit breaker: what keeps failing is left alone, then tried again by one call at a time.

It knows what became of calls, and a clock that never goes back. It does not know what a call is,
nor which failures are the upstream's fault.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half-open"]

FAILURES = 5
FIRST_OPEN_S = 1.0
LONGEST_OPEN_S = 60.0
LONGEST_ASKED_S = 600.0
"""A pause that an upstream asks for is kept up to so many seconds."""


class Breaker:
    """Whether an upstream may be asked.

    Closed, all calls pass. So many failures in a row open it: no call passes for a while, each time
    it fails again for twice as long, spread at random so that processes do not ask together. Then
    it is half-open: one call is let through as a trial; the others are refused until it has ended.

    Parameters
    ----------
    failures : int
        How many failures in a row open it.
    first_s, longest_s : float
        Seconds of the first and of the longest pause; a pause is half of it at least.
    now : callable
        Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        first_s: float = FIRST_OPEN_S,
        longest_s: float = LONGEST_OPEN_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = failures
        self._first_s = first_s
        self._longest_s = longest_s
        self._now = now
        self._failures = 0
        self._openings = 0
        self._until: float | None = None
        self._trying = False
        self.asked = False

    def __repr__(self) -> str:
        return f"Breaker({self.state})"

    @property
    def state(self) -> State:
        """How it stands; half-open also while its one trial is under way."""
        if self._until is None:
            return "closed"
        return "open" if self._now() < self._until else "half-open"

    @property
    def left_s(self) -> float:
        """Seconds until a trial is let through; 0 where calls pass."""
        return 0.0 if self._until is None else max(0.0, self._until - self._now())

    @property
    def admits(self) -> bool:
        """Whether a call would be let through now."""
        return self._until is None or (not self._trying and self._now() >= self._until)

    def enter(self) -> bool:
        """Begin a call that it :attr:`admits`; whether the call is a trial, which its end says."""
        self._trying = self._until is not None
        return self._trying

    def heard(self, *, trial: bool) -> bool:
        """An answer has begun; whether the call still is a trial, which it is no more.

        Others may be asked with the same upstream now, but the next failure opens it again.
        """
        if trial:
            self._until = None
            self._trying = False
            self._failures = self._most - 1
        return False

    def succeeded(self, *, trial: bool) -> None:
        """A call has got its answer. One that began before it opened says nothing new."""
        if trial or self._until is None:
            self._until = None
            self._trying = False
            self._failures = self._openings = 0

    def failed(self, *, trial: bool, asked_s: float | None = None) -> None:
        """A call has failed by the upstream's fault, which asked for a pause of `asked_s` seconds.

        A pause that was asked for opens it at once.
        """
        if trial:
            self._trying = False
            self._open(asked_s)
        elif self._until is not None:
            if asked_s is not None:
                self._until = max(self._until, self._now() + self._kept_s(asked_s))
        else:
            self._failures += 1
            if asked_s is not None or self._failures >= self._most:
                self._open(asked_s)

    def abandoned(self, *, trial: bool) -> None:
        """A call has ended without saying anything of the upstream."""
        if trial:
            self._trying = False

    def _open(self, asked_s: float | None) -> None:
        ceiling = min(self._first_s * 2.0**self._openings, self._longest_s)
        pause = random.uniform(ceiling / 2, ceiling)
        if asked_s is not None:
            pause = max(pause, self._kept_s(asked_s))
        self.asked = asked_s is not None
        self._openings = min(self._openings + 1, 32)
        self._failures = 0
        self._until = self._now() + pause

    @staticmethod
    def _kept_s(asked_s: float) -> float:
        """At least as long as was asked for, and not all at the same moment."""
        return min(asked_s, LONGEST_ASKED_S) * random.uniform(1.0, 1.1)
