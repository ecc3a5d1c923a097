"""``emafusion learn``: from a few seed templates to a fitted, measured and promoted policy."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from emafusion.cli.console import columns, console, note, print_json, say
from emafusion.cli.learning import Bar
from emafusion.cli.options import (
    Config,
    Json,
    Models,
    labels,
    names,
    open_settings,
    taking,
)
from emafusion.cli.promoting import show_served

if TYPE_CHECKING:
    from emafusion.config import Settings
    from emafusion.learn.loop import Course, Learned, Parts
    from emafusion.learn.seeds import Source
    from emafusion.protocols import Provider
    from emafusion.types import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """The options of ``learn``."""

    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Keeps everything; run again to go on.")
    ]
    seeds: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SEEDS...",
            help="Seed files (.toml, .jsonl); needed at first, later they add to what is there.",
            show_default=False,
        ),
    ] = None
    count: Annotated[int, typer.Option(min=1, help="Questions, all splits together.")] = 200
    models: Models = None
    budget: Annotated[
        float | None,
        typer.Option("--budget", min=0, metavar="USD", help="What asking may cost in all."),
    ] = None
    labels: Annotated[
        str,
        typer.Option(help="Who says what is right: 'reference' (and graders), or 'consensus'."),
    ] = "reference"
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            metavar="A,B",
            help="Configured models that compare answers which have no grader; never their own.",
        ),
    ] = None
    traffic: Annotated[
        bool, typer.Option("--traffic", help="Learn from the decisions on record too.")
    ] = False
    canary: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="A better policy gets this share of requests at first."),
    ] = None
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, help="The longest answer, tokens.")
    ] = 96
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, help="Calls of one model at a time.")
    ] = 1
    seed: Annotated[int, typer.Option(help="Of whatever is drawn at random.")] = 1
    json: Json = False
    config: Config = None


@taking(Learning)
def learn(options: Learning) -> None:
    """Make a policy of a few prompt templates, and let it serve if it is better.

    Draws questions from the seeds, asks the models, fits, and compares on questions held out.

    Stop it whenever you like: run again, it goes on. Exit code 1 if nothing better came of it.
    """
    from emafusion.learn.seeds import read

    settings = open_settings(options.config)
    sources: Sequence[Source] = read(options.seeds) if options.seeds else ()
    found = asyncio.run(_learnt(options, settings, sources))
    if options.json:
        print_json(found)
    else:
        _show(found, options.out)
    if not found.promotion.promoted:
        raise typer.Exit(1)


async def _learnt(options: Learning, settings: Settings, sources: Sequence[Source]) -> Learned:
    from emafusion.cli.opening import opened, pull_missing
    from emafusion.learn.loop import Watcher, run

    course = _course(options)
    chosen = names(options.models, settings.models) or tuple(settings.models)
    judges = names(options.judge, settings.models) or ()
    async with opened(settings, {*chosen, *judges}) as (models, providers, shield):
        problems = await pull_missing(models, providers)
        for name, problem in problems.items():
            note(f"going on without {name}: {problem}")
        here = [one for one in models if one.name not in problems]
        parts = msgspec.structs.replace(
            _parts(
                options,
                settings,
                models=[one for one in here if one.name in chosen],
                providers=providers,
            ),
            judges=[one for one in here if one.name in judges],
            shield=shield,
        )
        with Bar("asking") as bar:
            watcher = Watcher(step=note, cell=bar.show, note=note)
            return await run(options.out, sources, parts=parts, course=course, watcher=watcher)


def _course(options: Learning) -> Course:
    from emafusion.learn.bounds import Bounds
    from emafusion.learn.loop import Course

    return Course(
        count=options.count,
        seed=options.seed,
        bounds=Bounds(
            budget_usd=options.budget,
            per_model=options.concurrency,
            max_tokens=options.max_tokens,
            choose="all" if options.budget is None else "auto",
        ),
        labels=labels(options.labels),
        canary=options.canary,
    )


def _parts(
    options: Learning,
    settings: Settings,
    *,
    models: Sequence[Model],
    providers: Mapping[str, Provider],
) -> Parts:
    from emafusion.config.build import diary, replaying, shipped
    from emafusion.config.stale import Stale
    from emafusion.encoders import Remembered, default
    from emafusion.learn.compare import Setup
    from emafusion.learn.loop import Parts
    from emafusion.understand import FastClassifier

    policy = shipped()
    kept = diary(settings.record) if options.traffic else None
    return Parts(
        models=models,
        providers=providers,
        classifier=FastClassifier.from_arrays(
            policy.under("understand"), Remembered(default(), size=50_000)
        ),
        default=policy,
        setup=Setup(build=replaying, prefer=settings.policy.prefer),
        diary=kept,
        stale={} if kept is None else Stale(kept.path, kept.address).read(),
    )


def _show(found: Learned, folder: Path) -> None:
    table = columns()
    table.add_column("on held-out questions", overflow="fold")
    for name in ("score", "US$ per 1000"):
        table.add_column(name, justify="right", no_wrap=True)
    compared = found.promotion.comparison
    if compared is not None:
        for name, one in (("before", compared.incumbent), ("now", compared.candidate)):
            table.add_row(name, f"{one.accuracy:.1%}", f"{1000 * one.cost_usd:.5f}")
        console().print(table)
    say(f"{found.collected.answered} answers for ${found.collected.spent_usd:.6f} in all")
    if found.judged is not None:
        say(f"judges were paid ${found.judged.spent_usd:.6f} in all")
        for name, reason in found.judged.stopped.items():
            note(f"{name} was stopped as a judge: {reason}")
    if found.served is not None:
        show_served(found.served, ("before", "now"))
    word = "serves" if found.promotion.promoted else "is not promoted"
    say(f"policy {found.promotion.id} {word}: {found.promotion.why}")
    if not found.promotion.promoted:
        return
    place = folder / "policies"
    note(f"to use it, set path = {str(place)!r} under [artefact] in the settings")
