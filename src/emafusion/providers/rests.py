"""Until when upstreams asked to be left alone (``Retry-After``), for those who could ask another.

It knows upstreams' names and a clock that never goes back. Who was told to wait does so himself.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_ASKED_S = 5.0
"""An upstream that asks for a longer wait is left to the caller, who may have another model."""


class Rests:
    """The waits that a vendor's models have asked for.

    Parameters
    ----------
    now : callable
        Seconds of a clock that never goes back.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until: dict[str, float] = {}

    def ask(self, upstream: str, wait_s: float) -> None:
        """`upstream` asks for `wait_s` seconds; of a longer wait its breaker knows the rest."""
        until = self._now() + min(wait_s, LONGEST_ASKED_S)
        self._until[upstream] = max(until, self._until.get(upstream, until))

    def over(self, upstream: str) -> bool:
        """Whether `upstream` asks for no wait now."""
        until = self._until.get(upstream)
        return until is None or self._now() >= until
