"""``emafusion teams``: keys that share budgets, rates and terms."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

import typer

from emafusion.cli import terms
from emafusion.cli.accounts import Place, opened
from emafusion.cli.console import note
from emafusion.cli.options import Config, Json, taking
from emafusion.cli.statements import bounds, show_budgets, show_facts, show_json, show_table
from emafusion.cli.terms import Bounds, Unset
from emafusion.errors import ConfigError

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]

app = typer.Typer(help="Keys that share budgets, rates and terms.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Creating(Bounds):
    """The options of ``teams create``."""

    name: Name


@app.command("create")
@taking(Creating)
def create(options: Creating) -> None:
    """Make a team."""
    with opened(options.accounts, options.config, making=True) as registry:
        team = registry.create_team(options.name, terms.told(options))
    if options.json:
        show_json(team)
    note(f"team {team.name} is made: keys created with --team {team.name} are bound by its terms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changing(Bounds):
    """The options of ``teams change``."""

    name: Name
    unset: Unset = None


@app.command("change")
@taking(Changing)
def change(options: Changing) -> None:
    """Change what a team's keys may do, and leave the rest as it is."""
    from msgspec import structs

    gone = terms.unset(options.unset)
    with opened(options.accounts, options.config) as registry:
        fresh = terms.changes(options, gone)
        if not fresh:
            raise ConfigError("say what shall change: --models, --prefer, --unset, …")
        team = registry.change_team(options.name, lambda old: structs.replace(old, **fresh))
    if options.json:
        show_json(team)
    note(f"team {team.name} is changed: its keys are bound by these terms within a second")


@app.command("list")
def list_teams(*, accounts: Place = None, json: Json = False, config: Config = None) -> None:
    """List the teams."""
    with opened(accounts, config) as registry:
        found, members = registry.teams(), registry.keys()
    if json:
        show_json(found)
        return
    now = time.time()
    alive = [one.team for one in members if one.alive(now)]
    show_table(("team", "keys"), [(team.name, str(alive.count(team.name))) for team in found])


@app.command("show")
def show(name: Name, *, accounts: Place = None, json: Json = False, config: Config = None) -> None:
    """Show a team's terms, keys and budgets."""
    with opened(accounts, config) as registry:
        team = registry.team(name)
        held = [one for one in registry.spending() if one.holder == f"team:{name}"]
        everyone = registry.keys()
    members = [one for one in everyone if one.team == name and one.alive(time.time())]
    if json:
        show_json({"team": team, "keys": members, "budgets": held})
        return
    names = ", ".join(f"{one.name} ({one.id})" for one in members)
    show_facts([("team", team.name), ("keys", names), *bounds(team.terms)])
    show_budgets(held)


@app.command("remove")
def remove(name: Name, *, accounts: Place = None, config: Config = None) -> None:
    """Remove a team that has no keys any more."""
    with opened(accounts, config) as registry:
        registry.remove_team(name)
    note(f"team {name} is removed")
