"""``emafusion synthesise``: questions with known answers, from seed files or built-in families."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emafusion.cli.console import note, print_json
from emafusion.cli.options import Config, Json, open_settings, taking
from emafusion.errors import RequestError, UnknownModelError

if TYPE_CHECKING:
    from emafusion.learn.seeds import Report, Source
    from emafusion.learn.seeds.generator import Supply
    from emafusion.learn.synthesise import Synthesis


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesising:
    """The options of ``synthesise``."""

    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Gets their queries.parquet.")
    ]
    seeds: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SEEDS...",
            help="Seed files (.toml, .jsonl); without any, the built-in families.",
            show_default=False,
        ),
    ] = None
    count: Annotated[int, typer.Option(min=1, help="How many, all splits together.")] = 400
    seed: Annotated[int, typer.Option(help="Another seed, other questions.")] = 1
    generator: Annotated[
        str | None,
        typer.Option(
            "--generator", metavar="MODEL", help="Supplies slot values and further wordings."
        ),
    ] = None
    budget: Annotated[
        float | None,
        typer.Option("--budget", min=0, metavar="USD", help="What the generator may cost in all."),
    ] = None
    json: Json = False
    config: Config = None


@taking(Synthesising)
def synthesise(options: Synthesising) -> None:
    """Write questions with known answers, drawn from seed files or the built-in families."""
    from emafusion.learn.seeds import read
    from emafusion.learn.synthesise import synthesise as drawn

    if not options.seeds:
        if options.generator:
            raise RequestError("--generator extends seeds; name a seed file", "generator")
        _tell(options, drawn(options.count, seed=options.seed), None)
        return
    sources: Sequence[Source] = read(options.seeds)
    supplied = None
    if options.generator:
        sources, supplied = asyncio.run(_supplied(options, sources, generator=options.generator))
    _tell(options, asyncio.run(_masked(options, _from_seeds(options, sources))), supplied)


async def _masked(options: Synthesising, found: Synthesis) -> Synthesis:
    """`found` as it may be kept."""
    from dataclasses import replace

    from emafusion.config.protection import shield
    from emafusion.learn.masked import masked

    one = shield(open_settings(options.config).protect)
    try:
        return replace(found, questions=await masked(found.questions, one))
    finally:
        if one is not None:
            await one.aclose()


def _from_seeds(options: Synthesising, sources: Sequence[Source]) -> Synthesis:
    from emafusion.cli.learning import policy
    from emafusion.encoders import default
    from emafusion.learn.synthesise import from_seeds
    from emafusion.understand import FastClassifier

    arrays = policy(options.config).under("understand")
    classifier = FastClassifier.from_arrays(arrays, default())
    return from_seeds(sources, options.count, seed=options.seed, classifier=classifier.read_all)


async def _supplied(
    options: Synthesising, sources: Sequence[Source], *, generator: str
) -> tuple[Sequence[Source], Supply]:
    """The seeds with what the generator model supplies."""
    from emafusion.cli.learning import Bar
    from emafusion.cli.opening import opened, pull_missing
    from emafusion.learn.seeds.generator import supply

    settings = open_settings(options.config)
    async with opened(settings, [generator]) as (models, providers, _):
        if not models:
            raise UnknownModelError(
                f"no model {generator!r} is configured; `emafusion models` lists those that are",
                "generator",
            )
        (model,) = models
        if options.budget is None and (model.usd_per_mtok_in or model.usd_per_mtok_out):
            raise RequestError(
                f"{model.name!r} costs money; say how much it may cost with --budget", "budget"
            )
        await pull_missing(models, providers)
        with Bar("generating") as bar:
            return await supply(
                sources,
                model,
                providers=providers,
                folder=options.out,
                budget_usd=options.budget,
                progress=bar.show,
            )


def _tell(options: Synthesising, found: Synthesis, supplied: Supply | None) -> None:
    from emafusion.understand import Taxonomy

    path = found.write(options.out)
    sizes = {split: len(part) for split, part in found.questions.items()}
    if options.json:
        told: dict[str, object] = {"questions": sizes, "coverage": found.coverage()}
        if found.report is not None:
            taxonomy = Taxonomy.load()
            known = {str(axis): taxonomy.labels(axis) for axis in taxonomy.axes}
            told |= {"missing": found.missing(known), "seeds": found.report, "generator": supplied}
        print_json(told)
    if supplied is not None:
        _tell_supply(supplied)
    if found.report is not None:
        _tell_report(found.report)
    note(f"wrote {path}: {', '.join(f'{n} {split}' for split, n in sizes.items())}")


def _tell_supply(supplied: Supply) -> None:
    note(
        f"{supplied.model} gave {supplied.values} values and {supplied.wordings} wordings "
        f"({supplied.dropped} dropped) for ${supplied.spent_usd:.4f}"
    )
    if supplied.stopped:
        note(f"it was stopped: {supplied.stopped}")


def _tell_report(report: Report) -> None:
    if report.made < report.wanted:
        note(f"the seeds hold only {report.made} distinct questions of {report.wanted}")
    for name, lacking in report.short.items():
        note(f"seed {name!r} ran out, {lacking} short of its share: give its slots more values")
    for wording in report.shared:
        note(f"wording {wording!r} is in test and elsewhere: give that seed held_out wordings")
    leaks = report.leaks
    if leaks.prompts or leaks.items or leaks.rows or leaks.near:
        note(f"splits share {leaks.prompts} prompts, {leaks.items} items, {leaks.rows} rows")
