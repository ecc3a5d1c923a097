"""What was spent, as the database keeps it: a row for each UTC day, key, team and model.

Workers tell what came since they last told, in numbered messages: one that is sent again, because
its answer was lost, is not entered twice. Knows SQL; no request and no budget.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

from msgspec import UNSET, Struct, UnsetType

from emafusion.databases import Connection
from emafusion.gateway.accounts.terms import NANO

Place = tuple[str, str, str, str]
"""A UTC day, a key's id (the operators' own has none), its team's name if any, and a model's."""
Side = Literal["day", "key", "team", "model"]
"""What sums can be told apart by."""
SIDES: tuple[Side, ...] = get_args(Side)


class Sums(Struct):
    """What requests came to; ``spent`` is in billionths of a US dollar.

    A request with several calls counts once.
    """

    requests: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    spent: int = 0


class Message(Struct, frozen=True, kw_only=True):
    """What came since the message before; a worker's first is number 1."""

    number: int
    rows: tuple[tuple[Place, Sums], ...]


class Spent(Struct, frozen=True, kw_only=True):
    """What one part of the traffic came to, told apart by the sides that were asked for.

    ``name`` is that of the key; ``key``, ``name`` and ``team`` are empty where there is none.
    ``requests`` are counted at the model that answered, everything else at the model called.
    """

    day: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    team: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    requests: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    spent_usd: float


class _Row(Struct, frozen=True, array_like=True):
    day: str
    key: str
    team: str
    model: str
    requests: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    spent: int


def enter(connection: Connection, worker: str, message: Message) -> None:
    """Add `message` of `worker`, who must have been heard of, unless it is there already."""
    fresh = connection.run(
        "UPDATE emf_workers SET told = $2 WHERE id = $1 AND told < $2", worker, message.number
    )
    if not fresh:
        return
    connection.run_all(
        "INSERT INTO emf_spent (day, key, team, model, requests, calls, prompt_tokens,"
        " completion_tokens, spent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        " ON CONFLICT (day, key, team, model) DO UPDATE SET"
        " requests = emf_spent.requests + excluded.requests,"
        " calls = emf_spent.calls + excluded.calls,"
        " prompt_tokens = emf_spent.prompt_tokens + excluded.prompt_tokens,"
        " completion_tokens = emf_spent.completion_tokens + excluded.completion_tokens,"
        " spent = emf_spent.spent + excluded.spent",
        [
            (
                *place,
                sums.requests,
                sums.calls,
                sums.prompt_tokens,
                sums.completion_tokens,
                sums.spent,
            )
            for place, sums in message.rows
        ],
    )


def spent(
    connection: Connection, by: Collection[Side], *, since: str = "", until: str = "9999-12-31"
) -> list[Spent]:
    """What was spent from the day `since` to the day `until`, both included, by some sides.

    There must be one at least. The earliest day comes first, then what cost most.
    """
    told = ", ".join(side if side in by else f"'' AS {side}" for side in SIDES)
    sums = ", ".join(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in Sums.__struct_fields__)
    grouped = ", ".join(side for side in SIDES if side in by)
    found = connection.rows(
        _Row,
        f"SELECT {told}, {sums} FROM emf_spent"  # noqa: S608 - names of columns alone
        f" WHERE day >= $1 AND day <= $2 GROUP BY {grouped}",
        since,
        until,
    )
    names = dict(connection.rows(tuple[str, str], "SELECT id, name FROM emf_keys"))
    found.sort(key=lambda row: (row.day, -row.spent, -row.requests, row.key, row.team, row.model))
    return [
        Spent(
            day=row.day if "day" in by else UNSET,
            key=row.key if "key" in by else UNSET,
            name=names.get(row.key, "") if "key" in by else UNSET,
            team=row.team if "team" in by else UNSET,
            model=row.model if "model" in by else UNSET,
            requests=row.requests,
            calls=row.calls,
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            spent_usd=row.spent / NANO,
        )
        for row in found
    ]
