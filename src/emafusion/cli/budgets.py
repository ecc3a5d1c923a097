"""``emafusion budget``: what a key, a team or a model may cost."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from emafusion.cli.accounts import Place, check, opened
from emafusion.cli.console import note
from emafusion.cli.options import Config, Json
from emafusion.cli.statements import show_budgets, show_json

Holder = Annotated[
    str,
    typer.Argument(
        metavar="HOLDER", help="key:ID, key:NAME, team:NAME or model:NAME.", show_default=False
    ),
]
Per = Annotated[
    Literal["day", "month", "total"], typer.Option("--per", help="Days and months are UTC's.")
]

app = typer.Typer(help="What a key, a team or a model may cost.")


@app.command("set")
def set_budget(
    holder: Holder,
    usd: Annotated[float, typer.Argument(metavar="USD", show_default=False)],
    *,
    per: Per = "month",
    accounts: Place = None,
    config: Config = None,
) -> None:
    """Let a key, a team or a model cost so much and no more."""
    with opened(accounts, config) as registry:
        _check(registry.holder(holder), accounts, config)
        found = registry.set_budget(holder, per, usd)
    note(f"{found} may cost ${usd:,.2f} {_each(per)}")


@app.command("remove")
def remove(
    holder: Holder, *, per: Per = "month", accounts: Place = None, config: Config = None
) -> None:
    """Take a budget away."""
    with opened(accounts, config) as registry:
        told = registry.holder(holder)
        # A model that the settings have no longer may have a budget still.
        if all(one.holder != told for one in registry.spending()):
            _check(told, accounts, config)
        found = registry.set_budget(holder, per, None)
    note(f"{found} has no budget {_each(per)} any more")


@app.command("show")
def show(
    holder: Holder, *, accounts: Place = None, json: Json = False, config: Config = None
) -> None:
    """Show one holder's budgets."""
    with opened(accounts, config) as registry:
        told = registry.holder(holder)
        found = [one for one in registry.spending() if one.holder == told]
    if not found:
        _check(told, accounts, config)
        note(f"{told} has no budget")
    if json:
        show_json(found)
        return
    show_budgets(found)


@app.command("list")
def list_budgets(*, accounts: Place = None, json: Json = False, config: Config = None) -> None:
    """List the budgets and what has become of them."""
    with opened(accounts, config) as registry:
        found = registry.spending()
    if json:
        show_json(found)
        return
    show_budgets(found)


def _check(holder: str, accounts: Place, config: Config) -> None:
    kind, _, name = holder.partition(":")
    if kind == "model":
        check(accounts, config, models=(name,))


def _each(per: str) -> str:
    return "in all" if per == "total" else f"a {per}"
