"""Who may come in, as an operator changes it: keys, teams and budgets, each change at once whole.

Every method is one transaction on the database it is given. A gateway reads what changed within
half a second; here is nothing of requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TypeVar

from msgspec import structs

from emafusion.databases import Connection
from emafusion.errors import ConfigError
from emafusion.gateway.accounts import books, leases, rows, tokens
from emafusion.gateway.accounts.books import Side, Spent
from emafusion.gateway.accounts.database import Database
from emafusion.gateway.accounts.terms import (
    HOLDERS,
    MOST_USD,
    USUAL_SCOPES,
    Key,
    Period,
    Spending,
    Team,
    Terms,
    nano,
)
from emafusion.gateway.callers import Scope

T = TypeVar("T")

LONGEST_NAME = 100


class Registry:
    """The keys, teams and budgets in `database`; `clock` gives seconds since 1970.

    Every method raises :class:`~emafusion.errors.StoreError` where the database does not answer,
    and :class:`~emafusion.errors.ConfigError` where a name is not there or cannot be one.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        name: str,
        *,
        team: str = "",
        scopes: frozenset[Scope] = USUAL_SCOPES,
        terms: Terms | None = None,
        expires: float | None = None,
    ) -> tuple[Key, str]:
        """A new key and its token, which cannot be had again."""
        secret = tokens.new_secret()
        key = Key(
            id=tokens.new_id(),
            name=_name(name),
            team=team,
            created=self._clock(),
            expires=expires,
            scopes=scopes,
            terms=terms or Terms(),
        )
        one = rows.Credential(key=key, digest=tokens.digest(secret), old=tokens.NOTHING)

        def work(connection: Connection) -> None:
            if team:
                _team(connection, team)
            rows.write_key(connection, one)

        self._change(work)
        return key, tokens.join(key.id, secret)

    def keys(self) -> list[Key]:
        """Every key, revoked ones too, the oldest first."""
        return [one.key for one in self._database.transact(rows.credentials)]

    def key(self, told: str) -> Key:
        """The key whose id, or whose name alone, is `told`."""
        return self._database.transact(lambda connection: _found(connection, told)).key

    def change(self, told: str, edit: Callable[[Key], Key]) -> Key:
        """Give the key the team, scopes, terms and end that `edit` gives it; its secret stays."""

        def work(connection: Connection) -> Key:
            one = _found(connection, told)
            if one.key.revoked is not None:
                raise ConfigError(f"key {one.key.id!r} is revoked: create another")
            edited = edit(one.key)
            if edited.team:
                _team(connection, edited.team)  # an expired one may have outlived its team
            key = structs.replace(
                one.key,
                team=edited.team,
                scopes=edited.scopes,
                terms=edited.terms,
                expires=edited.expires,
            )
            rows.write_key(connection, structs.replace(one, key=key))
            return key

        return self._change(work)

    def rotate(self, told: str, *, grace_s: float) -> tuple[Key, str]:
        """The key with a new secret, and the token; the old one goes on for `grace_s` seconds.

        With 0 it ends whatever any clock says; else it ends by the clock of whoever checks it.
        Of two rotations within the grace period the first one's old secret ends at the second.
        """
        secret = tokens.new_secret()

        def work(connection: Connection) -> Key:
            one = _found(connection, told)
            if not one.key.alive(self._clock()):
                raise ConfigError(f"key {one.key.id!r} is revoked or has expired: create another")
            key = structs.replace(one.key, old_until=self._clock() + grace_s)
            old = one.digest if grace_s > 0 else tokens.NOTHING
            fresh = rows.Credential(key=key, digest=tokens.digest(secret), old=old)
            rows.write_key(connection, fresh)
            return key

        key = self._change(work)
        return key, tokens.join(key.id, secret)

    def revoke(self, told: str) -> Key:
        """End the key, at once and for good."""

        def work(connection: Connection) -> Key:
            one = _found(connection, told)
            key = structs.replace(one.key, revoked=one.key.revoked or self._clock())
            rows.write_key(connection, structs.replace(one, key=key))
            return key

        return self._change(work)

    def create_team(self, name: str, terms: Terms) -> Team:
        """Make the team `name`, which must not be there yet."""
        team = Team(name=_name(name), created=self._clock(), terms=terms)

        def work(connection: Connection) -> None:
            if any(there and one.name == name for one, there in rows.teams(connection)):
                raise ConfigError(
                    f"there is a team {name!r} already: 'emafusion teams change' gives it other "
                    "terms"
                )
            rows.write_team(connection, team)

        self._change(work)
        return team

    def change_team(self, name: str, edit: Callable[[Terms], Terms]) -> Team:
        """Give the team `name` the terms that `edit` makes of those it has."""

        def work(connection: Connection) -> Team:
            one = _team(connection, name)
            team = structs.replace(one, terms=edit(one.terms))
            rows.write_team(connection, team)
            return team

        return self._change(work)

    def teams(self) -> list[Team]:
        """Every team."""
        found = self._database.transact(rows.teams)
        return [team for team, there in found if there]

    def team(self, name: str) -> Team:
        """The team `name`."""
        return self._database.transact(lambda connection: _team(connection, name))

    def remove_team(self, name: str) -> None:
        """Remove a team that no key belongs to any more."""

        def work(connection: Connection) -> None:
            team, now = _team(connection, name), self._clock()
            members = [
                one.key.id
                for one in rows.credentials(connection)
                if one.key.team == name and one.key.alive(now)
            ]
            if members:
                raise ConfigError(
                    f"team {name!r} has keys still: revoke {', '.join(sorted(members))} first"
                )
            rows.write_team(connection, team, removed=now)

        self._change(work)

    def holder(self, told: str) -> str:
        """Who `told`, ``key:ID``, ``key:NAME``, ``team:NAME`` or ``model:NAME``, is; keys by id.

        Which models there are is not known here.
        """
        return self._database.transact(lambda connection: _holder(connection, told))

    def set_budget(self, holder: str, period: Period, usd: float | None) -> str:
        """Let `holder` cost at most `usd` US dollars a period; ``None`` takes the budget away.

        `holder` is as for :meth:`holder`, whose answer is returned. Counting begins with the
        budget.
        """
        if usd is not None and not 0 <= usd <= MOST_USD:
            raise ConfigError(f"a budget is from 0 to {MOST_USD:,.0f} US dollars, not {usd}")
        most = None if usd is None else nano(usd)

        def work(connection: Connection) -> str:
            resolved = _holder(connection, holder)
            rows.write_budget(connection, rows.BudgetRow(resolved, period, most))
            return resolved

        return self._change(work)

    def spending(self) -> list[Spending]:
        """Every budget and what has become of it in its present window."""
        return self._database.transact(lambda one: leases.spending(one, self._clock()))

    def spent(self, by: Collection[Side], *, since: str, until: str) -> list[Spent]:
        """What was spent between two days, as :func:`books.spent`."""
        return self._database.read(lambda one: books.spent(one, by, since=since, until=until))

    def _change(self, work: Callable[[Connection], T]) -> T:
        """The result of `work`, which nobody else's change comes between: not even a revocation."""

        def alone(connection: Connection) -> T:
            rows.next_edition(connection)  # others wait here, before they read anything
            return work(connection)

        return self._database.transact(alone)


def _name(name: str) -> str:
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise ConfigError(f"{name[:LONGEST_NAME]!r} cannot be a name: use 1 to 100 characters")
    return name


def _found(connection: Connection, told: str) -> rows.Credential:
    told = tokens.split(told)[0] or told  # whoever found a token somewhere wants it revoked
    everyone = rows.credentials(connection)
    by_id = [one for one in everyone if one.key.id == told]
    named = [one for one in everyone if one.key.name == told and one.key.revoked is None]
    found = by_id or named
    if not found:
        raise ConfigError(
            f"there is no key {told[:LONGEST_NAME]!r}: 'emafusion keys list' shows them"
        )
    if len(found) > 1:
        ids = ", ".join(sorted(one.key.id for one in found))
        raise ConfigError(f"several keys are named {told!r}: give an id, one of {ids}")
    return found[0]


def _team(connection: Connection, name: str) -> Team:
    for team, there in rows.teams(connection):
        if there and team.name == name:
            return team
    raise ConfigError(
        f"there is no team {name[:LONGEST_NAME]!r}: 'emafusion teams list' shows them"
    )


def _holder(connection: Connection, told: str) -> str:
    kind, _, name = told.partition(":")
    if kind not in HOLDERS or not name:
        raise ConfigError(
            f"{told[:LONGEST_NAME]!r} holds no budget: write key:ID, key:NAME, team:NAME or "
            "model:NAME"
        )
    if kind == "key":
        return f"key:{_found(connection, name).key.id}"
    if kind == "team":
        return f"team:{_team(connection, name).name}"
    return told
