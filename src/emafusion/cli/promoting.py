"""``emafusion policies``, ``compare``, ``promote`` and ``rollback``: which fitted policy serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from emafusion.cli.console import columns, console, note, print_json, say
from emafusion.cli.options import Config, Json, open_settings, taking
from emafusion.errors import ConfigError, DataError

if TYPE_CHECKING:
    from rich.table import Table

    from emafusion.artefacts import Artefact, Event, Serving, Versions
    from emafusion.config import Settings
    from emafusion.evaluate.recorded import Recorded
    from emafusion.learn.bootstrap import Estimate
    from emafusion.learn.compare import Comparison, Setup
    from emafusion.learn.served import Told
    from emafusion.types import Model

DEFAULT = "default"
CURRENT = "current"

Policies = Annotated[
    Path | None,
    typer.Option(
        "--policies",
        metavar="FOLDER",
        help="The folder of policies; by default the settings' [artefact] path.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="FOLDER", help="Recorded outcomes; their test rows are asked."),
]
Margin = Annotated[
    float, typer.Option(min=0, help="Quality that a policy may be worse by and still serve.")
]
Why = Annotated[str | None, typer.Option(metavar="TEXT", help="Goes into the history.")]

app = typer.Typer(help="List the fitted policies, and how they came to serve.")


@app.callback(invoke_without_command=True)
def policies(
    context: typer.Context, *, policies: Policies = None, json: Json = False, config: Config = None
) -> None:
    """List the fitted policies that are kept, and which of them serves."""
    if context.invoked_subcommand is not None:
        return
    versions = _versions(policies, config)
    serving, previous = versions.current(), versions.previous()
    manifests = {name: versions.manifest(name) for name in versions.ids()}
    if json:
        print_json({"serving": serving, "previous": previous, "policies": manifests})
        return
    table = _table("policy", "made", "queries", "models", "")
    for name, one in manifests.items():
        table.add_row(
            name,
            one.created,
            str(one.queries),
            str(len(one.pool)),
            _role(name, serving, previous),
        )
    console().print(table)


@app.command()
def history(*, policies: Policies = None, json: Json = False, config: Config = None) -> None:
    """Show what was promoted, tried and rolled back, and why; the last at the end."""
    events = _versions(policies, config).history()
    if json:
        print_json(events)
        return
    for event in events:
        say(_line(event))
        if event.why:
            say(f"    {event.why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """The options of ``compare``."""

    candidate: Annotated[
        str,
        typer.Argument(
            metavar="POLICY",
            help="An id, a fitted policy's folder, 'current' or 'default'.",
            show_default=False,
        ),
    ]
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FOLDER", help="Recorded outcomes: their test rows."),
    ] = None
    traffic: Annotated[
        bool, typer.Option("--traffic", help="Tell too what explored decisions on record say.")
    ] = False
    incumbent: Annotated[
        str, typer.Option("--with", metavar="POLICY", help="What it is compared with; named alike.")
    ] = CURRENT
    prefer: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="By default the settings', else the whole dial."),
    ] = None
    frontier: Annotated[
        bool, typer.Option("--frontier", help="Replay the whole dial too, for the policies' AIQ.")
    ] = False
    margin: Margin = 0.0
    policies: Policies = None
    json: Json = False
    config: Config = None


@taking(Comparing)
def compare(options: Comparing) -> None:
    """Replay two policies on held-out outcomes: which is better, and how sure that is."""
    from emafusion.learn.compare import compare as compared

    if options.data is None and not options.traffic:
        raise ConfigError(
            "compare replays held-out rows: name their folder with --data; or have it read the "
            "decisions on record, with --traffic"
        )
    versions = _versions(options.policies, options.config, needed=False)
    incumbent = _policy(options.incumbent, versions)
    candidate = _policy(options.candidate, versions)
    setup = _setup(options.config, options.margin, prefer=options.prefer, frontier=options.frontier)
    found = told = None
    if options.data is not None:
        found = compared(incumbent, candidate, recorded=_held_out(options.data), setup=setup)
    if options.traffic:
        told = _served((incumbent, candidate), open_settings(options.config), setup)
    if options.json:
        print_json({"replayed": found, "served": told} if told else found)
        return
    names = (options.incumbent, options.candidate)
    if found is not None:
        _show(found, names)
    if told is not None:
        show_served(told, names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoting:
    """The options of ``promote``."""

    policy: Annotated[
        str, typer.Argument(help="An id, or a fitted policy's folder.", show_default=False)
    ]
    data: Data = None
    canary: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Try it on this share of the requests.")
    ] = None
    margin: Margin = 0.0
    force: Annotated[bool, typer.Option("--force", help="Without comparing; needs --why.")] = False
    why: Why = None
    policies: Policies = None
    json: Json = False
    config: Config = None


@taking(Promoting)
def promote(options: Promoting) -> None:
    """Let a policy serve, if it is better than the one that does: exit code 1 if it is not."""
    from emafusion.config.build import shipped
    from emafusion.learn.promote import Promotion, consider

    if options.force == (options.data is not None) or (options.force and not options.why):
        raise ConfigError(
            "promote compares on held-out rows: name their folder with --data; "
            "or promote without comparing, with --force --why TEXT"
        )
    versions = _versions(options.policies, options.config)
    name = _kept(options.policy, versions)
    if options.data is not None:
        setup = _setup(options.config, options.margin)
        done = consider(
            versions,
            name,
            held_out=_held_out(options.data),
            default=shipped(),
            setup=setup,
            canary=options.canary,
        )
    else:
        why = options.why or ""
        share = options.canary
        if share is None:
            versions.promote(name, why=why)
        else:
            versions.canary(name, share, why=why)
        done = Promotion(id=name, promoted=True, why=why, share=share or 1.0)
    if options.json:
        print_json(done)
    if done.promoted:
        served = "all requests" if done.share == 1.0 else f"{done.share:.0%} of the requests"
        note(f"{name} serves {served}: {done.why}")
        return
    note(f"{name} is not promoted: {done.why}")
    raise typer.Exit(1)


def rollback(
    *,
    candidate: Annotated[
        bool, typer.Option("--candidate", help="Only end the trial of a canary.")
    ] = False,
    why: Why = None,
    policies: Policies = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """Let the policy serve again that served before; a canary's trial ends."""
    versions = _versions(policies, config)
    back = versions.withdraw if candidate else versions.rollback
    serving = back(why=why or "")
    if json:
        print_json(serving)
    note(f"{serving.id} serves all requests")


def _versions(folder: Path | None, config: Path | None, *, needed: bool = True) -> Versions:
    """The policies of ``--policies``, else of the settings; ConfigError where there are none."""
    from emafusion.artefacts import Versions
    from emafusion.artefacts.versions import is_one

    path = open_settings(config).artefact.path
    place = folder or (None if path is None else Path(path).expanduser())
    if place is not None and (is_one(place) or folder is not None):
        return Versions(place)
    if needed:
        raise ConfigError(
            "there is no folder of policies: name one with --policies FOLDER, or in the settings "
            "as path under [artefact]"
        )
    return Versions(place or Path())


def _policy(told: str, versions: Versions) -> Artefact:
    """The policy that an id, a folder, ``current`` or ``default`` stands for."""
    from emafusion import artefacts
    from emafusion.config.build import shipped

    if told == DEFAULT:
        return shipped()
    if told == CURRENT:
        serving = versions.current()
        return shipped() if serving is None else versions.read(serving.id)
    return versions.read(told) if told in versions.ids() else artefacts.read(Path(told))


def _kept(told: str, versions: Versions) -> str:
    """The id of `told`; a policy from elsewhere joins those that are kept."""
    from emafusion import artefacts

    if told in versions.ids():
        return told
    return versions.add(artefacts.read(Path(told)))


def _setup(
    config: Path | None, margin: float, *, prefer: float | None = None, frontier: bool = False
) -> Setup:
    from emafusion.config.build import replaying
    from emafusion.learn.compare import Rule, Setup

    configured = open_settings(config).policy.prefer
    return Setup(
        build=replaying,
        prefer=configured if prefer is None else prefer,
        frontier=frontier,
        rule=Rule(margin=margin),
    )


def _held_out(folder: Path) -> Recorded:
    """The test rows of `folder`, marked as `learn` marks them: `fit` sees the others."""
    from emafusion.evaluate.recorded import read
    from emafusion.learn.benchmark.rows import complete
    from emafusion.learn.labelling.unmarked import voted

    # Voters are judged by all rows, not by the few that were held out.
    found = voted(read(folder)).where(("test",))
    if not found.queries:
        raise DataError(f"{str(folder)!r} has no rows of split 'test' to compare policies on")
    nobody = len(complete(found, scored=False).queries) - len(complete(found).queries)
    if nobody:
        note(f"{nobody} held-out questions that nobody marks are not compared on")
    return found


def _served(policies: tuple[Artefact, Artefact], settings: Settings, setup: Setup) -> Told:
    """What the record of `settings` says of the incumbent and the candidate."""
    import asyncio

    from emafusion.config.build import diary
    from emafusion.config.stale import Stale
    from emafusion.learn.served import Drawn, drawn, weigh

    async def read() -> tuple[Drawn, ...]:
        kept = diary(settings.record)
        try:
            return await drawn(kept, stale=Stale(kept.path, kept.address).read())
        finally:
            await kept.aclose()

    log = asyncio.run(read())
    return weigh(*policies, log=log, models=_priced(settings), setup=setup)


def _priced(settings: Settings) -> list[Model]:
    """The configured models with their prices; no provider is opened, no key is needed."""
    from emafusion.catalog import resolve
    from emafusion.config.settings import written

    return [
        resolve(
            name,
            one.provider,
            upstream=one.upstream,
            base_url=getattr(settings.providers.get(one.provider), "base_url", None),
            **written(one),
        )
        for name, one in settings.models.items()
    ]


def _role(
    name: str, serving: Serving | None, previous: str | None
) -> Literal["serves", "is tried", "served before", ""]:
    if serving is not None and name == serving.id:
        return "serves"
    if serving is not None and name == serving.candidate:
        return "is tried"
    return "served before" if name == previous else ""


def _line(event: Event) -> str:
    share = f" to {event.share:.0%}" if event.share else ""
    before = f" (before: {event.before})" if event.before and event.what != "canary" else ""
    return f"{event.at}  {event.what} {event.id}{share}{before}"


def _show(found: Comparison, names: Sequence[str]) -> None:
    from emafusion.learn.promote import explained

    table = _table("policy", "score", "US$ per 1000", "utility", "AIQ")
    for name, one in zip(names, (found.incumbent, found.candidate), strict=True):
        table.add_row(
            name,
            f"{one.accuracy:.4f}",
            f"{1000 * one.cost_usd:.4f}",
            f"{one.utility:.4f}",
            "" if one.aiq is None else f"{one.aiq:.4f}",
        )
    console().print(table)
    say(explained(found))


def show_served(told: Told, names: Sequence[str]) -> None:
    """What traffic says of the incumbent and the candidate, named so."""
    if told.incumbent is not None or told.candidate is not None:
        table = _table("by what was served", "inverse propensity", "doubly robust", "worth rows")
        for name, one in zip(names, (told.incumbent, told.candidate), strict=True):
            if one is not None:
                ips, robust = (_interval(one.estimates[kind]) for kind in ("ips", "dr"))
                table.add_row(name, ips, robust, f"{one.effective:.0f}")
        console().print(table)
    if told.gain is not None:
        say(
            f"as served, {told.rows} decisions at prefer {told.prefer:g}: utility "
            f"{told.gain.value:+.4f} (95 % {told.gain.low:+.4f} … {told.gain.high:+.4f}) by the "
            "doubly robust estimates; they inform, what is replayed decides"
        )
    for why in told.why:
        say(f"the record does not tell {why}")


def _interval(one: Estimate) -> str:
    return f"{one.value:.3f} ({one.low:.3f} … {one.high:.3f})"


def _table(*names: str) -> Table:
    table = columns()
    for place, name in enumerate(names):
        table.add_column(name, justify="left" if place in (0, 4) else "right", overflow="fold")
    return table
