"""Keys, teams and budgets ↔ rows. Knows the tables' columns, and runs no transaction of its own."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from emafusion.databases import Connection
from emafusion.gateway.accounts.terms import Budget, Key, Period, Team, Terms
from emafusion.gateway.accounts.tokens import Digest
from emafusion.gateway.callers import Scope


class Credential(Struct, frozen=True, kw_only=True):
    """A key and what is stored of its secret, and of the one before."""

    key: Key
    digest: Digest
    old: Digest


class _KeyRow(Struct, frozen=True, array_like=True):
    id: str
    name: str
    team: str
    created: float
    expires: float | None
    revoked: float | None
    scopes: str
    terms: str
    salt: str
    digest: str
    old_salt: str
    old_digest: str
    old_until: float


class _TeamRow(Struct, frozen=True, array_like=True):
    name: str
    created: float
    removed: float | None
    terms: str


class BudgetRow(Struct, frozen=True, array_like=True):
    """A budget as stored; one that was taken away has no ``most``."""

    holder: str
    period: Period
    most: int | None


def edition(connection: Connection) -> int:
    """The number of the last change."""
    [(number,)] = connection.rows(tuple[int], "SELECT number FROM emf_edition")
    return number


def next_edition(connection: Connection) -> int:
    """A number for the change that is being made; other changes wait until this one is committed.

    So whoever has read edition `n` has read every change up to it.
    """
    [(number,)] = connection.rows(
        tuple[int], "UPDATE emf_edition SET number = number + 1 RETURNING number"
    )
    return number


def credentials(connection: Connection, after: int = 0) -> list[Credential]:
    """The keys changed since edition `after`, revoked ones too, the oldest first."""
    found = connection.rows(
        _KeyRow,
        "SELECT id, name, team, created, expires, revoked, scopes, terms, salt, digest, old_salt,"
        " old_digest, old_until FROM emf_keys WHERE changed > $1 ORDER BY created, id",
        after,
    )
    return [_credential(row) for row in found]


def teams(connection: Connection, after: int = 0) -> list[tuple[Team, bool]]:
    """The teams changed since edition `after`, and whether each is there still."""
    found = connection.rows(
        _TeamRow,
        "SELECT name, created, removed, terms FROM emf_teams WHERE changed > $1 ORDER BY name",
        after,
    )
    return [
        (
            Team(name=row.name, created=row.created, terms=_terms(row.terms)),
            row.removed is None,
        )
        for row in found
    ]


def budgets(connection: Connection, after: int = 0) -> list[BudgetRow]:
    """The budgets changed since edition `after`."""
    return connection.rows(
        BudgetRow,
        "SELECT holder, period, most FROM emf_budgets WHERE changed > $1 ORDER BY holder, period",
        after,
    )


def write_key(connection: Connection, one: Credential) -> None:
    """Make or replace the key."""
    key = one.key
    connection.run(
        "INSERT INTO emf_keys (id, name, team, created, expires, revoked, scopes, terms, salt,"
        " digest, old_salt, old_digest, old_until, changed)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, team = excluded.team,"
        " expires = excluded.expires, revoked = excluded.revoked, scopes = excluded.scopes,"
        " terms = excluded.terms, salt = excluded.salt, digest = excluded.digest,"
        " old_salt = excluded.old_salt, old_digest = excluded.old_digest,"
        " old_until = excluded.old_until, changed = excluded.changed",
        key.id,
        key.name,
        key.team,
        key.created,
        key.expires,
        key.revoked,
        " ".join(sorted(key.scopes)),
        _written(key.terms),
        one.digest.salt.hex(),
        one.digest.value.hex(),
        one.old.salt.hex(),
        one.old.value.hex(),
        key.old_until,
        next_edition(connection),
    )


def write_team(connection: Connection, team: Team, *, removed: float | None = None) -> None:
    """Make, replace or remove the team."""
    connection.run(
        "INSERT INTO emf_teams (name, created, removed, terms, changed) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (name) DO UPDATE SET removed = excluded.removed, terms = excluded.terms,"
        " changed = excluded.changed",
        team.name,
        team.created,
        removed,
        _written(team.terms),
        next_edition(connection),
    )


def write_budget(connection: Connection, row: BudgetRow) -> None:
    """Set the budget, or take it away."""
    connection.run(
        "INSERT INTO emf_budgets (holder, period, most, changed) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (holder, period) DO UPDATE SET most = excluded.most,"
        " changed = excluded.changed",
        row.holder,
        row.period,
        row.most,
        next_edition(connection),
    )


def kept(row: BudgetRow) -> Budget | None:
    """The budget of `row`, unless it was taken away."""
    if row.most is None:
        return None
    return Budget(holder=row.holder, period=row.period, limit=row.most)


def _credential(row: _KeyRow) -> Credential:
    scopes = msgspec.convert(row.scopes.split(), frozenset[Scope])
    key = Key(
        id=row.id,
        name=row.name,
        team=row.team,
        created=row.created,
        expires=row.expires,
        revoked=row.revoked,
        old_until=row.old_until,
        scopes=scopes,
        terms=_terms(row.terms),
    )
    return Credential(
        key=key,
        digest=Digest(bytes.fromhex(row.salt), bytes.fromhex(row.digest)),
        old=Digest(bytes.fromhex(row.old_salt), bytes.fromhex(row.old_digest)),
    )


def _terms(json: str) -> Terms:
    return msgspec.json.decode(json, type=Terms)


def _written(terms: Terms) -> str:
    return msgspec.json.encode(terms, order="deterministic").decode()
