"""A rate and the bucket that keeps it: how much may pass at once, and how fast it fills again.

Arithmetic only: no clock, no storage, no request.
"""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct

from emafusion.errors import ConfigError

Unit = Literal["requests", "tokens", "usd"]
MINUTE = 60.0
DAY = 86_400.0
_PERIODS = {MINUTE: "per minute", DAY: "per day"}


class Rate(Struct, frozen=True, kw_only=True):
    """At most ``amount`` of ``unit`` at once, refilled evenly over ``period_s`` seconds.

    In any span of t seconds at most ``amount × (1 + t / period_s)`` passes. Raises
    :class:`~emafusion.errors.ConfigError` where either is not a positive number.
    """

    unit: Unit
    amount: float
    period_s: float = MINUTE

    def __post_init__(self) -> None:
        if not all(0.0 < value < math.inf for value in (self.amount, self.period_s)):
            raise ConfigError(
                f"a rate of {self.amount!r} {self.unit} in {self.period_s!r} s lets nothing or "
                "everything through; both must be positive numbers"
            )

    def __str__(self) -> str:
        period = _PERIODS.get(self.period_s, f"in {self.period_s:g} s")
        return f"${self.amount:g} {period}" if self.unit == "usd" else f"{self._counted} {period}"

    @property
    def _counted(self) -> str:
        unit = self.unit if self.amount != 1.0 else self.unit.removesuffix("s")
        return f"{self.amount:,.12g} {unit}"


class Allowance(Struct, frozen=True, kw_only=True):
    """The rates of one holder, a key or a team; every request of theirs must keep all of them."""

    holder: str
    rates: tuple[Rate, ...]


class Demand(Struct, frozen=True):
    """What one request wants of one bucket, in seconds of refilling; less than 0 gives back.

    ``period_s`` is how long the whole bucket takes to fill.
    """

    bucket: str
    price_s: float
    period_s: float


class Level(Struct, frozen=True):
    """How a bucket stands: seconds until it is full again, and until the demand would pass."""

    full_s: float
    wait_s: float = 0.0


def demand(bucket: str, rate: Rate, cost: float) -> Demand:
    """What `cost`, in the rate's unit, is to `bucket`."""
    return Demand(bucket, cost * rate.period_s / rate.amount, rate.period_s)


def wait(full_s: float, wanted: Demand) -> float:
    """Seconds until a bucket that is full in `full_s` has room for what is `wanted`.

    A demand larger than the bucket passes when it is full, and leaves a debt: the next one waits
    until that is refilled. Else it could never pass.

    References
    ----------
    The generic cell rate algorithm (ITU-T I.371, annex A), with several cells at once.
    """
    period_s = wanted.period_s
    excess = full_s + min(wanted.price_s, period_s) - period_s
    return excess if excess > _ROUNDING * period_s else 0.0


_ROUNDING = 1e-9


def remaining(rate: Rate, full_s: float) -> float:
    """What is left in a bucket that is full in `full_s`; 0 where it is in debt."""
    return max(0.0, rate.amount * (1.0 - full_s / rate.period_s))
