"""How keys, teams and budgets are shown: as tables, as facts, as JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from emafusion.cli.console import columns, console, print_json, say

if TYPE_CHECKING:
    from emafusion.gateway.accounts import Key, Spending, Terms

FIGURES = frozenset({"limit", "spent", "held", "left", "keys"})
"""The columns that stand to the right."""


def show_json(value: object) -> None:
    """`value` as JSON, in the same order each time: sets sorted, tables by name."""
    import msgspec

    print_json(msgspec.Raw(msgspec.json.encode(value, order="deterministic")))


def show_facts(rows: Sequence[tuple[str, str]]) -> None:
    """What is so, one fact a line; those with nothing to say are left out."""
    width = max(len(name) for name, _ in rows) + 2
    for name, told in rows:
        if told:
            say(f"{name:<{width}}{told}")


def show_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """`rows` under the heads `names`."""
    table = columns()
    for name in names:
        table.add_column(name, justify="right" if name in FIGURES else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def show_budgets(found: Sequence[Spending]) -> None:
    """The budgets and what has become of them; nothing where there is none."""
    rows = [
        (
            one.holder,
            one.period,
            f"{one.limit_usd:,.2f}",
            f"{one.spent_usd:,.4f}",
            f"{one.held_usd:,.4f}",
            f"{one.left_usd:,.4f}",
            "" if one.renews is None else day(one.renews),
        )
        for one in found
    ]
    if rows:
        show_table(("budget (US$)", "per", "limit", "spent", "held", "left", "renews"), rows)


def bounds(terms: Terms) -> list[tuple[str, str]]:
    """The facts of `terms`, where anything is bounded."""
    import msgspec

    told = []
    for name, value in msgspec.structs.asdict(terms).items():
        if value is not None:
            told.append((name.replace("_", " "), _shown(value)))
    return told


def state(key: Key) -> str:
    """Whether and when `key` ends or ended."""
    if key.revoked is not None:
        return f"revoked {day(key.revoked)}"
    if key.expires is None:
        return ""
    return f"expire{'s' if key.alive(time.time()) else 'd'} {day(key.expires)}"


def day(at: float) -> str:
    """The day, UTC, of seconds since 1970."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def moment(at: float) -> str:
    """The minute, UTC, of seconds since 1970."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _shown(value: object) -> str:
    if isinstance(value, frozenset):
        return ", ".join(sorted(value))
    return value if isinstance(value, str) else f"{value:g}"
