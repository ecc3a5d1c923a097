"""``emafusion keys``: who may call the gateway.

Knows options and what is printed; what a key is and where it is kept,
:mod:`emafusion.gateway.accounts` knows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from emafusion.cli import terms
from emafusion.cli.accounts import Place, opened
from emafusion.cli.console import note, say
from emafusion.cli.options import Config, Json, taking
from emafusion.cli.statements import (
    bounds,
    day,
    moment,
    show_budgets,
    show_facts,
    show_json,
    show_table,
    state,
)
from emafusion.cli.terms import Bounds, Unset
from emafusion.errors import ConfigError

if TYPE_CHECKING:
    from emafusion.gateway.accounts import Key
    from emafusion.gateway.callers import Scope

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

Which = Annotated[str, typer.Argument(metavar="KEY", help="Its id or name.", show_default=False)]
Scopes = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="What it may be used for; by default callers' things."),
]

app = typer.Typer(help="Make, list, change, rotate and revoke the keys that callers send.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Creating(Bounds):
    """The options of ``keys create``."""

    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
    team: Annotated[str, typer.Option(help="The team it belongs to.")] = ""
    scopes: Scopes = None
    expires: Annotated[
        str | None, typer.Option(metavar="30d", help="How long it is good: 12h, 30d, 52w.")
    ] = None


@app.command("create")
@taking(Creating)
def create(options: Creating) -> None:
    """Make a key, and show its token: this once."""
    from emafusion.gateway.accounts.terms import USUAL_SCOPES

    ends = _end(options.expires)
    scopes = _scopes(options.scopes) or USUAL_SCOPES
    with opened(options.accounts, options.config, making=True) as registry:
        key, token = registry.create(
            options.name,
            team=options.team,
            scopes=scopes,
            terms=terms.told(options),
            expires=ends,
        )
    _show_token(key, token, json=options.json)


@app.command("list")
def list_keys(
    *,
    ended: Annotated[bool, typer.Option("--all", help="Revoked and expired ones, too.")] = False,
    accounts: Place = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """List the keys."""
    with opened(accounts, config) as registry:
        everyone = registry.keys()
    found = [one for one in everyone if ended or one.alive(time.time())]
    if json:
        show_json(found)
        return
    rows = [(one.id, one.name, one.team, day(one.created), state(one)) for one in found]
    show_table(("id", "name", "team", "created", ""), rows)


@app.command("show")
def show(key: Which, *, accounts: Place = None, json: Json = False, config: Config = None) -> None:
    """Show a key's terms and budgets."""
    with opened(accounts, config) as registry:
        one = registry.key(key)
        held = [each for each in registry.spending() if each.holder == f"key:{one.id}"]
    if json:
        show_json({"key": one, "budgets": held})
        return
    told = [("id", one.id), ("name", one.name), ("team", one.team), ("state", state(one))]
    told += [("created", moment(one.created)), ("scopes", ", ".join(sorted(one.scopes)))]
    if one.old_until > time.time():
        told.append(("old secret until", moment(one.old_until)))
    show_facts([*told, *bounds(one.terms)])
    show_budgets(held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changing(Bounds):
    """The options of ``keys change``."""

    key: Which
    team: Annotated[str | None, typer.Option(help="The team it belongs to from now on.")] = None
    scopes: Annotated[
        str | None, typer.Option(metavar="A,B", help="What it may be used for from now on.")
    ] = None
    expires: Annotated[
        str | None, typer.Option(metavar="30d", help="How long it is good from now on.")
    ] = None
    unset: Unset = None


@app.command("change")
@taking(Changing)
def change(options: Changing) -> None:
    """Change what a key may do, and leave the rest and its token as they are."""
    from msgspec import structs

    gone = terms.unset(options.unset, beside=("expires", "team"))
    fresh = _fresh(options, gone)
    with opened(options.accounts, options.config) as registry:
        bound = terms.changes(options, gone)
        if not (fresh or bound):
            raise ConfigError("say what shall change: --models, --scopes, --expires, --unset, …")

        def edit(key: Key) -> Key:
            return structs.replace(key, terms=structs.replace(key.terms, **bound), **fresh)

        one = registry.change(options.key, edit)
    if options.json:
        show_json(one)
    note(f"key {one.id} ({one.name}) is changed; running servers know within a second")


@app.command("rotate")
def rotate(
    key: Which,
    *,
    grace: Annotated[
        str, typer.Option(metavar="24h", help="How long the old secret goes on.")
    ] = "24h",
    accounts: Place = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """Give a key a new secret; the old one goes on for a while."""
    with opened(accounts, config) as registry:
        one, token = registry.rotate(key, grace_s=_seconds(grace))
    _show_token(one, token, json=json)


@app.command("revoke")
def revoke(
    key: Which, *, accounts: Place = None, json: Json = False, config: Config = None
) -> None:
    """End a key for good; running servers refuse it within a second."""
    with opened(accounts, config) as registry:
        one = registry.revoke(key)
    if json:
        show_json(one)
    note(f"key {one.id} ({one.name}) is revoked")


def _fresh(options: Changing, gone: Collection[str]) -> dict[str, object]:
    """What becomes of the key's own fields, its terms apart."""
    fresh: dict[str, object] = {}
    if options.team is not None or "team" in gone:
        fresh["team"] = options.team or ""
    if options.scopes is not None:
        fresh["scopes"] = _scopes(options.scopes)
    if options.expires is not None or "expires" in gone:
        fresh["expires"] = _end(options.expires)
    return fresh


def _scopes(told: str | None) -> frozenset[Scope] | None:
    import msgspec

    from emafusion.gateway.callers import EVERY_SCOPE, Scope

    if told is None:
        return None
    try:
        return msgspec.convert([one.strip() for one in told.split(",")], frozenset[Scope])
    except msgspec.ValidationError as error:
        known = ", ".join(sorted(EVERY_SCOPE))
        raise ConfigError(f"--scopes {told!r}: a scope is one of {known}") from error


def _end(told: str | None) -> float | None:
    """The moment that is `told` from now, seconds since 1970."""
    return None if told is None else time.time() + _seconds(told)


def _seconds(told: str) -> float:
    """The seconds in ``30d``."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smhdw])", told.strip())
    if found is None:
        raise ConfigError(f"{told!r} is no time: write 90m, 12h, 30d or 52w")
    return float(found[1]) * SECONDS[found[2]]


def _show_token(key: Key, token: str, *, json: bool) -> None:
    if json:
        show_json({"token": token, "key": key})
    else:
        say(token)
    note(f"key {key.id} ({key.name}): keep the token, it cannot be shown again")
