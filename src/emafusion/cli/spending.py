"""``emafusion spend``: what keys, teams and models cost in a span of days.

Knows options, days and how sums are shown; what was spent, :mod:`emafusion.gateway.accounts` knows.
"""

from __future__ import annotations

import csv
import datetime
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from emafusion.cli.accounts import Place, opened
from emafusion.cli.console import columns, console, note, print_json
from emafusion.cli.options import Config, Json, taking
from emafusion.errors import ConfigError

if TYPE_CHECKING:
    from emafusion.gateway.accounts.books import Side, Spent

FIGURES = ("requests", "calls", "prompt_tokens", "completion_tokens", "spent_usd")
NOBODY = "–"
"""Stands for the team of keys that have none, and for the id of the operators' own key."""
OPERATORS = "operators"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """The options of ``spend``."""

    by: Annotated[
        str, typer.Option(metavar="A,B", help="What to tell apart: day, key, team, model.")
    ] = "key"
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="The first day, UTC; else the month's first.")
    ] = None
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The last day, UTC; else today.")
    ] = None
    accounts: Place = None
    json: Json = False
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")] = False
    config: Config = None


@taking(Spending)
def spend(options: Spending) -> None:
    """Show what was spent, limited or not, by key, team, model or day."""
    by = _sides(options.by)
    since, until = _days(options.since, options.until)
    if options.json and options.as_csv:
        raise ConfigError("--json and --csv are two answers: ask for one of them")
    with opened(options.accounts, options.config) as registry:
        found = registry.spent(by, since=since, until=until)
    if options.json:
        print_json({"since": since, "until": until, "spent": found, "total": _total(found)})
    elif options.as_csv:
        _write(by, found)
    else:
        _show(by, found)
        note(f"{since} to {until}, UTC")


def _sides(told: str) -> tuple[Side, ...]:
    from emafusion.gateway.accounts.books import SIDES

    named = {one.strip() for one in told.split(",")}
    if not named <= {*SIDES}:
        raise ConfigError(f"--by {told!r}: it can be any of {', '.join(SIDES)}, with commas")
    return tuple(side for side in SIDES if side in named)


def _days(since: str | None, until: str | None) -> tuple[str, str]:
    today = datetime.datetime.now(datetime.UTC).date()
    last = today if until is None else _day("--until", until)
    first = last.replace(day=1) if since is None else _day("--since", since)
    if first > last:
        raise ConfigError(f"--since {first} is later than {last}, the last day")
    return first.isoformat(), last.isoformat()


def _day(option: str, told: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(told)
    except ValueError:
        raise ConfigError(f"{option} {told!r} is no day: write it as 2026-01-31") from None


def _total(found: Sequence[Spent]) -> Spent:
    from emafusion.gateway.accounts.books import Spent

    return Spent(
        requests=sum(one.requests for one in found),
        calls=sum(one.calls for one in found),
        prompt_tokens=sum(one.prompt_tokens for one in found),
        completion_tokens=sum(one.completion_tokens for one in found),
        spent_usd=math.fsum(one.spent_usd for one in found),
    )


def _heads(by: Sequence[Side]) -> list[str]:
    """The columns that say of what a row is: beside a key's id stands its name."""
    return [name for side in by for name in ((side, "name") if side == "key" else (side,))]


def _write(by: Sequence[Side], found: Sequence[Spent]) -> None:
    names = [*_heads(by), *FIGURES]
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(names)
    rows.writerows([getattr(one, name) for name in names] for one in found)


def _show(by: Sequence[Side], found: Sequence[Spent]) -> None:
    heads = _heads(by)
    # Beside three names there is no room for the tokens.
    figures = ("requests", "tokens in", "out", "US$") if len(by) < 3 else ("requests", "US$")
    table = columns()
    for name in heads:
        table.add_column(name, no_wrap=name in {"day", "key"}, overflow="fold")
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        told = _figures(one)
        table.add_row(*(_shown(one, name) for name in heads), *(told[name] for name in figures))
    told = _figures(_total(found))
    rest = [""] * (len(heads) - 1)
    table.add_row("total", *rest, *(told[name] for name in figures), style="bold")
    console().print(table)


def _shown(one: Spent, name: str) -> str:
    if name == "name" and not one.key:
        return OPERATORS
    return getattr(one, name) or NOBODY


def _figures(one: Spent) -> Mapping[str, str]:
    return {
        "requests": _short(one.requests),
        "tokens in": _short(one.prompt_tokens),
        "out": _short(one.completion_tokens),
        "US$": f"{one.spent_usd:,.4f}",
    }


def _short(count: int) -> str:
    """`count`, a large one in three digits at least: ``1.23M``."""
    for size, letter in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= max(size, 10**5):
            return f"{count / size:.2f}{letter}"
    return f"{count:,}"
