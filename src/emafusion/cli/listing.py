"""``emafusion models``: the catalog as configured, changing it, and fetching local models."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from emafusion.cli.console import columns, console, note, print_json, say
from emafusion.cli.options import Config, Json, open_models, open_settings, taking

if TYPE_CHECKING:
    from emafusion.protocols import Provider
    from emafusion.types import Model

HEALTH_TIMEOUT_S = 5.0
FEWEST_PROBES = 10

State = Literal["ready", "loading", "not ready"]
"""Whether a model can be asked now; ``loading`` means that its file is being fetched."""

app = typer.Typer(help="List, add, remove and fetch models.")


@app.callback(invoke_without_command=True)
def models(context: typer.Context, *, json: Json = False, config: Config = None) -> None:
    """List the configured models: prices in US dollars per million tokens, and health."""
    if context.invoked_subcommand is not None:
        return
    known, providers = open_models(open_settings(config))
    loading = _loading(known, providers)
    health = asyncio.run(_health(known, providers))
    if json:
        tables = [_table(model, healthy=health[model.name]) for model in known]
        print_json([{**table, "loading": table["name"] in loading} for table in tables])
    else:
        _show(known, {name: _state(name, well, loading) for name, well in health.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Adding:
    """The options of ``models add``."""

    name: Annotated[str, typer.Argument(help="What you will call it.", show_default=False)]
    provider: Annotated[
        str,
        typer.Option(metavar="NAME", help="A configured provider, or a new one's name."),
    ] = "openai"
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", metavar="URL", help="A new OpenAI-compatible endpoint."),
    ] = None
    vendor: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A new provider with its vendor's own wire format."),
    ] = None
    api_key_env: Annotated[
        str | None,
        typer.Option("--api-key-env", metavar="NAME", help="The variable that holds the key."),
    ] = None
    upstream: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the provider calls it.")
    ] = None
    price_in: Annotated[
        float | None, typer.Option("--price-in", min=0, help="US dollars per million tokens.")
    ] = None
    price_out: Annotated[
        float | None, typer.Option("--price-out", min=0, help="US dollars per million tokens.")
    ] = None
    context: Annotated[
        int | None, typer.Option("--context", min=1, help="Its context window, tokens.")
    ] = None
    private: Annotated[bool, typer.Option("--private", help="It may see confidential text.")] = (
        False
    )
    probe: Annotated[
        int | None,
        typer.Option(
            "--probe", min=FEWEST_PROBES, metavar="N", help="Ask it N questions and let it join."
        ),
    ] = None
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FOLDER", help="The outcomes the policy was fitted on."),
    ] = None
    budget: Annotated[
        float | None,
        typer.Option("--budget", min=0, metavar="USD", help="What the probes may cost in all."),
    ] = None
    json: Json = False
    config: Config = None


@app.command()
@taking(Adding)
def add(options: Adding) -> None:
    """Add a model to the settings file, and its provider where that is new.

    With --probe it also answers a few questions, and the policy routes to it at once.
    """
    if options.probe is None:
        _add(options)
        return
    from emafusion.cli.probing import Wish, check, probe

    data = check(options.config, options.data, options.name)
    # A probe that was stopped has added the model already, and goes on.
    if options.name not in open_settings(options.config).models:
        _add(options)
    probe(
        Wish(
            model=options.name,
            count=options.probe,
            data=data,
            budget_usd=options.budget,
            config=options.config,
            json=options.json,
        )
    )


def _add(options: Adding) -> None:
    from emafusion.cli.editing import SettingsFile, model_table, provider_table

    file = SettingsFile.open(options.config)
    provider = provider_table(
        base_url=options.base_url, vendor=options.vendor, api_key_env=options.api_key_env
    )
    table = model_table(
        {
            "provider": options.provider,
            "upstream": options.upstream,
            "usd_per_mtok_in": options.price_in,
            "usd_per_mtok_out": options.price_out,
            "context_window": options.context,
            "visibility": "private" if options.private else None,
        }
    )
    file.add(options.name, table, provider=provider)
    note(f"added {options.name!r} to {file.path}")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The model's name.", show_default=False)],
    config: Config = None,
) -> None:
    """Remove a model from the settings file; its provider stays."""
    from emafusion.cli.editing import SettingsFile

    file = SettingsFile.open(config)
    file.remove(name)
    note(f"removed {name!r} from {file.path}")


@app.command()
def pull(
    small: Annotated[
        bool, typer.Option("--small", help="Only the small ones: 0.6 GB, not 1.7.")
    ] = False,
    config: Config = None,
) -> None:
    """Fetch the files of the local models; one that was interrupted goes on where it stopped."""
    from emafusion.cli.opening import pull as fetch
    from emafusion.demo import weights

    local = weights.local_models(*open_models(open_settings(config)))
    wanted = weights.small(local) if small else local
    if not wanted:
        note("no configured model runs from a file")
        return
    problems = asyncio.run(fetch(wanted))
    for one in wanted:
        name = one.model.name
        say(f"{name}: {problems.get(name, 'here')}")
    if problems:
        raise typer.Exit(1)


def _loading(models: Sequence[Model], providers: Mapping[str, Provider]) -> frozenset[str]:
    """The local models whose files are on their way, whoever fetches them."""
    from emafusion.demo.weights import local_models

    local = local_models(models, providers)
    return frozenset(one.model.name for one in local if one.weights.arriving(one.model.upstream))


def _state(name: str, well: bool, loading: Container[str]) -> State:
    if well:
        return "ready"
    return "loading" if name in loading else "not ready"


async def _health(models: Sequence[Model], providers: Mapping[str, Provider]) -> dict[str, bool]:
    """Whether each model could be asked now; one that does not say so in time could not."""

    async def healthy(model: Model) -> bool:
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                return await providers[model.provider].healthy(model)
        except TimeoutError:
            return False

    try:
        found = await asyncio.gather(*(healthy(model) for model in models))
    finally:
        for provider in providers.values():
            await provider.aclose()
    return {model.name: well for model, well in zip(models, found, strict=True)}


def _table(model: Model, *, healthy: bool) -> dict[str, object]:
    return {
        "name": model.name,
        "provider": model.provider,
        "upstream": model.upstream,
        "usd_per_mtok_in": model.usd_per_mtok_in,
        "usd_per_mtok_out": model.usd_per_mtok_out,
        "context_window": model.context_window,
        "max_output": model.max_output,
        "capabilities": sorted(model.capabilities),
        "visibility": model.visibility,
        "healthy": healthy,
    }


def _show(models: list[Model], states: dict[str, State]) -> None:
    from rich.text import Text

    table = columns()
    table.add_column("name", overflow="fold")
    table.add_column("provider", overflow="ellipsis", no_wrap=True)
    for name in ("context", "in", "out"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("seen by", no_wrap=True)
    table.add_column("health", no_wrap=True)
    for model in models:
        state = states[model.name]
        table.add_row(
            model.name,
            model.provider,
            str(model.context_window),
            f"{model.usd_per_mtok_in:g}",
            f"{model.usd_per_mtok_out:g}",
            model.visibility,
            Text(state, style="green" if state == "ready" else "yellow"),
        )
    console().print(table)
