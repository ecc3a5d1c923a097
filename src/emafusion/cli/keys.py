"""``emafusion keys``, ``teams`` and ``budget``: who may call the gateway, and for how much.

Knows options and tables; what a key is and where it is kept, :mod:`emafusion.gateway.accounts`
knows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from emafusion.cli.console import columns, console, note, print_json, say
from emafusion.cli.options import Config, Json, open_settings, taking
from emafusion.errors import ConfigError

if TYPE_CHECKING:
    from emafusion.gateway.accounts import Key, Registry, Spending, Team, Terms
    from emafusion.gateway.callers import Scope

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

Place = Annotated[
    str | None,
    typer.Option(
        "--accounts",
        metavar="PLACE",
        help="Where keys are kept: a file, or env:NAME with a postgresql:// address.",
    ),
]
Which = Annotated[str, typer.Argument(metavar="KEY", help="Its id or name.", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
Names = Annotated[str | None, typer.Option(metavar="A,B", help="By default all.")]
Dial = Annotated[float | None, typer.Option(metavar="0…1", min=0, max=1)]
Classed = Annotated[
    Literal["public", "internal", "confidential", "restricted"] | None,
    typer.Option("--class", help="The least class of what it sends."),
]
Count = Annotated[int | None, typer.Option(min=1)]
Usd = Annotated[float | None, typer.Option(min=1e-9)]

keys = typer.Typer(help="Make, list, rotate and revoke the keys that callers send.")
teams = typer.Typer(help="Keys that share budgets, rates and terms.")
budget = typer.Typer(help="What a key, a team or a model may cost.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The options that keys and teams share."""

    models: Names = None
    policies: Names = None
    prefer: Dial = None
    min_quality: Dial = None
    data_class: Classed = None
    requests_per_minute: Count = None
    tokens_per_minute: Count = None
    usd_per_minute: Usd = None
    accounts: Place = None
    json: Json = False
    config: Config = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Creating(Bounds):
    """The options of ``keys create``."""

    name: Name
    team: Annotated[str, typer.Option(help="The team it belongs to.")] = ""
    scopes: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="What it may be used for; by default callers' things."),
    ] = None
    expires: Annotated[
        str | None, typer.Option(metavar="30d", help="How long it is good: 12h, 30d, 52w.")
    ] = None


@keys.command("create")
@taking(Creating)
def create(options: Creating) -> None:
    """Make a key, and show its token: this once."""
    ends = None if options.expires is None else time.time() + _seconds(options.expires)
    with _opened(options.accounts, options.config) as registry:
        key, token = registry.create(
            options.name,
            team=options.team,
            scopes=_scopes(options.scopes),
            terms=_terms(options),
            expires=ends,
        )
    _show_token(key, token, json=options.json)


@keys.command("list")
def list_keys(
    *,
    ended: Annotated[bool, typer.Option("--all", help="Revoked and expired ones, too.")] = False,
    accounts: Place = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """List the keys."""
    with _opened(accounts, config) as registry:
        everyone = registry.keys()
    found = [one for one in everyone if ended or one.alive(time.time())]
    if json:
        print_json(found)
        return
    rows = [(one.id, one.name, one.team, _day(one.created), _state(one)) for one in found]
    _table(("id", "name", "team", "created", ""), rows)


@keys.command("show")
def show_key(
    key: Which, *, accounts: Place = None, json: Json = False, config: Config = None
) -> None:
    """Show a key's terms and budgets."""
    with _opened(accounts, config) as registry:
        one = registry.key(key)
        held = [each for each in registry.spending() if each.holder == f"key:{one.id}"]
    if json:
        print_json({"key": one, "budgets": held})
        return
    told = [("id", one.id), ("name", one.name), ("team", one.team), ("state", _state(one))]
    told += [("created", _moment(one.created)), ("scopes", ", ".join(sorted(one.scopes)))]
    if one.old_until > time.time():
        told.append(("old secret until", _moment(one.old_until)))
    _facts([*told, *_bounds(one.terms)])
    _budgets(held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changing(Bounds):
    """The options of ``keys change``."""

    key: Which
    expires: Annotated[
        str | None, typer.Option(metavar="30d", help="How long it is good from now on.")
    ] = None
    unset: Annotated[
        str | None, typer.Option(metavar="A,B", help="What it shall no longer have: models, …")
    ] = None


@keys.command("change")
@taking(Changing)
def change(options: Changing) -> None:
    """Change what a key may do, and leave the rest and its token as they are."""
    import msgspec

    given = {k: v for k, v in msgspec.structs.asdict(_terms(options)).items() if v is not None}
    ends = None if options.expires is None else time.time() + _seconds(options.expires)
    gone = _unset(options.unset)
    fresh = {**dict.fromkeys(gone - {"expires"}), **given}

    def edit(key: Key) -> Key:
        expires = None if "expires" in gone else key.expires
        return msgspec.structs.replace(
            key,
            terms=msgspec.structs.replace(key.terms, **fresh),
            expires=expires if ends is None else ends,
        )

    if not (fresh or gone or ends):
        raise ConfigError("say what shall change: --models, --prefer, --expires, --unset, …")
    with _opened(options.accounts, options.config) as registry:
        one = registry.change(options.key, edit)
    if options.json:
        print_json(one)
    note(f"key {one.id} ({one.name}) is changed; running servers know within a second")


@keys.command("rotate")
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
    with _opened(accounts, config) as registry:
        one, token = registry.rotate(key, grace_s=_seconds(grace))
    _show_token(one, token, json=json)


@keys.command("revoke")
def revoke(
    key: Which, *, accounts: Place = None, json: Json = False, config: Config = None
) -> None:
    """End a key for good; running servers refuse it within a second."""
    with _opened(accounts, config) as registry:
        one = registry.revoke(key)
    if json:
        print_json(one)
    note(f"key {one.id} ({one.name}) is revoked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaming(Bounds):
    """The options of ``teams create``."""

    name: Name


@teams.command("create")
@taking(Teaming)
def create_team(options: Teaming) -> None:
    """Make a team, or give it other terms."""
    with _opened(options.accounts, options.config) as registry:
        team = registry.put_team(options.name, _terms(options))
    if options.json:
        print_json(team)
    note(f"team {team.name}: its keys are bound by these terms within a second")


@teams.command("list")
def list_teams(*, accounts: Place = None, json: Json = False, config: Config = None) -> None:
    """List the teams."""
    with _opened(accounts, config) as registry:
        found, members = registry.teams(), registry.keys()
    if json:
        print_json(found)
        return
    now = time.time()
    alive = [one.team for one in members if one.alive(now)]
    _table(("team", "keys"), [(team.name, str(alive.count(team.name))) for team in found])


@teams.command("show")
def show_team(
    name: Name, *, accounts: Place = None, json: Json = False, config: Config = None
) -> None:
    """Show a team's terms, keys and budgets."""
    with _opened(accounts, config) as registry:
        team: Team = registry.team(name)
        held = [one for one in registry.spending() if one.holder == f"team:{name}"]
        everyone = registry.keys()
    members = [one for one in everyone if one.team == name and one.alive(time.time())]
    if json:
        print_json({"team": team, "keys": members, "budgets": held})
        return
    names = ", ".join(f"{one.name} ({one.id})" for one in members)
    _facts([("team", team.name), ("keys", names), *_bounds(team.terms)])
    _budgets(held)


@teams.command("remove")
def remove_team(name: Name, *, accounts: Place = None, config: Config = None) -> None:
    """Remove a team that has no keys any more."""
    with _opened(accounts, config) as registry:
        registry.remove_team(name)
    note(f"team {name} is removed")


Holder = Annotated[
    str,
    typer.Argument(
        metavar="HOLDER", help="key:ID, key:NAME, team:NAME or model:NAME.", show_default=False
    ),
]
Per = Annotated[
    Literal["day", "month", "total"], typer.Option("--per", help="Days and months are UTC's.")
]


@budget.command("set")
def set_budget(
    holder: Holder,
    usd: Annotated[float, typer.Argument(metavar="USD", show_default=False)],
    *,
    per: Per = "month",
    accounts: Place = None,
    config: Config = None,
) -> None:
    """Let a key, a team or a model cost so much and no more."""
    with _opened(accounts, config) as registry:
        found = registry.set_budget(holder, per, usd)
    note(f"{found} may cost ${usd:,.2f} {_each(per)}")


@budget.command("remove")
def remove_budget(
    holder: Holder, *, per: Per = "month", accounts: Place = None, config: Config = None
) -> None:
    """Take a budget away."""
    with _opened(accounts, config) as registry:
        found = registry.set_budget(holder, per, None)
    note(f"{found} has no budget {_each(per)} any more")


@budget.command("show")
def show_budget(
    holder: Holder, *, accounts: Place = None, json: Json = False, config: Config = None
) -> None:
    """Show one holder's budgets."""
    with _opened(accounts, config) as registry:
        told = holder
        if holder.startswith("key:"):
            told = f"key:{registry.key(holder.removeprefix('key:')).id}"
        found = [one for one in registry.spending() if one.holder == told]
    if json:
        print_json(found)
        return
    _budgets(found)


@budget.command("list")
def list_budgets(*, accounts: Place = None, json: Json = False, config: Config = None) -> None:
    """List the budgets and what has become of them."""
    with _opened(accounts, config) as registry:
        found = registry.spending()
    if json:
        print_json(found)
        return
    _budgets(found)


@contextmanager
def _opened(accounts: str | None, config: Path | None) -> Iterator[Registry]:
    from emafusion.config.load import address
    from emafusion.gateway.accounts import Registry, database

    told = accounts or open_settings(config).gateway.accounts
    place = address(told, "--accounts" if accounts else "gateway.accounts")
    if place is None:
        raise ConfigError(
            "say where the keys are kept: accounts under [gateway] in the settings, or --accounts "
            "with a file or env:NAME"
        )
    one = database(place)
    try:
        yield Registry(one)
    finally:
        one.close()


def _terms(options: Bounds) -> Terms:
    from emafusion.gateway.accounts import Terms

    return Terms(
        models=_set(options.models),
        policies=_set(options.policies),
        prefer=options.prefer,
        min_quality=options.min_quality,
        data_class=options.data_class,
        requests_per_minute=options.requests_per_minute,
        tokens_per_minute=options.tokens_per_minute,
        usd_per_minute=options.usd_per_minute,
    )


def _set(told: str | None) -> frozenset[str] | None:
    return None if told is None else frozenset(one.strip() for one in told.split(","))


def _unset(told: str | None) -> frozenset[str]:
    from emafusion.gateway.accounts import Terms

    known = {"expires", *Terms.__struct_fields__}
    told_names = (one.replace("-", "_") for one in _set(told) or ())
    names = frozenset("data_class" if one == "class" else one for one in told_names)
    if not names <= known:
        shown = ", ".join(sorted(one.removeprefix("data_").replace("_", "-") for one in known))
        raise ConfigError(f"--unset {told!r}: it can be any of {shown}")
    return names


def _scopes(told: str | None) -> frozenset[Scope]:
    import msgspec

    from emafusion.gateway.accounts.terms import USUAL_SCOPES
    from emafusion.gateway.callers import EVERY_SCOPE, Scope

    if told is None:
        return USUAL_SCOPES
    try:
        return msgspec.convert([one.strip() for one in told.split(",")], frozenset[Scope])
    except msgspec.ValidationError as error:
        known = ", ".join(sorted(EVERY_SCOPE))
        raise ConfigError(f"--scopes {told!r}: a scope is one of {known}") from error


def _seconds(told: str) -> float:
    """The seconds in ``30d``."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smhdw])", told.strip())
    if found is None:
        raise ConfigError(f"{told!r} is no time: write 90m, 12h, 30d or 52w")
    return float(found[1]) * SECONDS[found[2]]


def _show_token(key: Key, token: str, *, json: bool) -> None:
    if json:
        print_json({"token": token, "key": key})
    else:
        say(token)
    note(f"key {key.id} ({key.name}): keep the token, it cannot be shown again")


def _state(key: Key) -> str:
    now = time.time()
    if key.revoked is not None:
        return f"revoked {_day(key.revoked)}"
    if key.expires is None:
        return ""
    return f"expire{'s' if key.alive(now) else 'd'} {_day(key.expires)}"


def _bounds(terms: Terms) -> list[tuple[str, str]]:
    import msgspec

    told = []
    for name, value in msgspec.structs.asdict(terms).items():
        if value is not None:
            told.append((name.replace("_", " "), _shown(value)))
    return told


def _shown(value: object) -> str:
    if isinstance(value, frozenset):
        return ", ".join(sorted(value))
    return value if isinstance(value, str) else f"{value:g}"


def _budgets(found: Sequence[Spending]) -> None:
    rows = [
        (
            one.holder,
            one.period,
            f"{one.limit_usd:,.2f}",
            f"{one.spent_usd:,.4f}",
            f"{one.held_usd:,.4f}",
            f"{one.left_usd:,.4f}",
            "" if one.renews is None else _day(one.renews),
        )
        for one in found
    ]
    if rows:
        _table(("budget (US$)", "per", "limit", "spent", "held", "left", "renews"), rows)


def _facts(rows: Sequence[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows) + 2
    for name, told in rows:
        if told:
            say(f"{name:<{width}}{told}")


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = columns()
    for name in names:
        right = name in {"limit", "spent", "held", "left", "keys"}
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def _each(per: str) -> str:
    return "in all" if per == "total" else f"a {per}"


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
