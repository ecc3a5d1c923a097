"""What a key, a team and a budget are; money and the periods it is counted in.

Knows no database and no secret: what is here may be shown.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, structs

from emafusion.gateway.callers import EVERY_SCOPE, Scope
from emafusion.types import DataClass, Probability, highest

Period = Literal["day", "month", "total"]
PERIODS: tuple[Period, ...] = ("day", "month", "total")
USUAL_SCOPES: frozenset[Scope] = EVERY_SCOPE - {"metrics", "admin"}
"""What a key is for that was made without saying so: an operator's scopes must be asked for."""
HOLDERS = ("key", "team", "model")

NANO = 1_000_000_000
"""Money is counted in whole billionths of a US dollar: sums are exact in any order."""
MOST_USD = 1e9
"""A larger sum would not fit the databases' integers."""

Positive = Annotated[float, Meta(gt=0.0)]
Count = Annotated[int, Meta(ge=1)]


class Terms(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a key or a team may do; ``None`` is no bound.

    ``models`` and ``policies`` are names; ``prefer`` is the dial of requests that do not set it,
    ``min_quality`` the least they get, ``data_class`` the least class of what they send. The rates
    are per minute, of requests, tokens and US dollars.
    """

    models: frozenset[str] | None = None
    policies: frozenset[str] | None = None
    prefer: Probability | None = None
    min_quality: Probability | None = None
    data_class: DataClass | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    usd_per_minute: Positive | None = None

    def within(self, wider: Terms) -> Terms:
        """These terms where both hold: what both allow, the higher floor and class, the near dial.

        The rates stay this side's own: each side's are counted apart.
        """
        floors = [one for one in (self.min_quality, wider.min_quality) if one is not None]
        classes = [one for one in (self.data_class, wider.data_class) if one is not None]
        return structs.replace(
            self,
            models=_both(self.models, wider.models),
            policies=_both(self.policies, wider.policies),
            prefer=wider.prefer if self.prefer is None else self.prefer,
            min_quality=max(floors, default=None),
            data_class=highest(*classes) if classes else None,
        )


class Key(Struct, frozen=True, kw_only=True):
    """A virtual key without its secret; times in seconds since 1970.

    ``old_until`` is when the secret before the last rotation ends.
    """

    id: str
    name: str
    team: str = ""
    created: float = 0.0
    expires: float | None = None
    revoked: float | None = None
    old_until: float = 0.0
    scopes: frozenset[Scope] = USUAL_SCOPES
    terms: Terms = Terms()

    def alive(self, now: float) -> bool:
        """Whether it is neither revoked nor expired at `now`."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class Team(Struct, frozen=True, kw_only=True):
    """Keys that share budgets, rates and terms."""

    name: str
    created: float = 0.0
    terms: Terms = Terms()


class Budget(Struct, frozen=True, kw_only=True):
    """The most that a key, a team or a model may cost in a period.

    ``holder`` is ``key:ID``, ``team:NAME`` or ``model:NAME``, ``limit`` billionths of a US dollar.
    """

    holder: str
    period: Period
    limit: int


class Spending(Struct, frozen=True, kw_only=True):
    """A budget and what has become of it in its present window, in US dollars.

    ``held_usd`` is reserved: by requests under way, by workers for the next ones, or by workers
    that died (``lost_usd`` of it), and counts as spent until it comes back.
    """

    holder: str
    period: Period
    limit_usd: float
    spent_usd: float
    held_usd: float
    lost_usd: float
    left_usd: float
    renews: float | None


class Window(Struct, frozen=True, kw_only=True):
    """One calendar day or month, UTC, or all time: its name and its bounds, seconds since 1970."""

    since: str
    begins: float
    ends: float | None


def window(period: Period, now: float) -> Window:
    """The window of `period` that `now`, seconds since 1970, lies in."""
    if period == "total":
        return Window(since="", begins=float("-inf"), ends=None)
    day = datetime.datetime.fromtimestamp(now, datetime.UTC)
    day = day.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return Window(
            since=day.strftime("%Y-%m-%d"),
            begins=day.timestamp(),
            ends=(day + datetime.timedelta(days=1)).timestamp(),
        )
    first = day.replace(day=1)
    following = (first + datetime.timedelta(days=31)).replace(day=1)
    return Window(
        since=first.strftime("%Y-%m"), begins=first.timestamp(), ends=following.timestamp()
    )


def nano(usd: float) -> int:
    """`usd` in billionths, to the nearest."""
    return round(usd * NANO)


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
