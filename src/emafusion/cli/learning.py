"""``emafusion collect`` and ``fit``: from questions to a fitted policy."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emafusion.cli.console import columns, console, note, print_json, say
from emafusion.cli.options import (
    Config,
    Json,
    Models,
    names,
    open_settings,
    taking,
)
from emafusion.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emafusion.artefacts import Artefact
    from emafusion.config import Settings
    from emafusion.learn.collect import Bounds, Progress, Report
    from emafusion.types import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Collecting:
    """The options of ``collect``."""

    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="The folder of recorded outcomes.")
    ]
    questions: Annotated[
        Path | None,
        typer.Option(
            "--questions", metavar="FOLDER", help="What `synthesise` wrote; by default --out."
        ),
    ] = None
    models: Models = None
    budget: Annotated[
        float | None,
        typer.Option("--budget", min=0, metavar="USD", help="What the folder may cost in all."),
    ] = None
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, help="Calls of one model at a time.")
    ] = 1
    models_at_once: Annotated[
        int, typer.Option("--models-at-once", min=1, help="Models asked at a time.")
    ] = 1
    samples: Annotated[int, typer.Option(min=1, help="Answers of a model to a question.")] = 1
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, help="The longest answer, tokens.")
    ] = 220
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again what was refused for good.")
    ] = False
    choose: Annotated[
        str,
        typer.Option(
            help="What a short budget buys: 'auto', what a fit can use, or 'all' in order."
        ),
    ] = "auto"
    per_minute: Annotated[
        int | None, typer.Option("--per-minute", min=1, help="Calls a minute of one provider.")
    ] = None
    json: Json = False
    config: Config = None


@taking(Collecting)
def collect(options: Collecting) -> None:
    """Record what each model answers to each question; run it again to go on."""
    from emafusion.learn.collect import Bounds

    if options.choose not in ("auto", "all"):
        raise ConfigError(f"--choose is 'auto' or 'all', not {options.choose!r}")
    settings = open_settings(options.config)
    chosen = names(options.models, settings.models) or tuple(settings.models)
    bounds = Bounds(
        budget_usd=options.budget,
        per_model=options.concurrency,
        models_at_once=options.models_at_once,
        samples=options.samples,
        max_tokens=options.max_tokens,
        retry_failed=options.retry_failed,
        choose="all" if options.choose == "all" else "auto",
        per_minute=options.per_minute,
    )
    report = asyncio.run(_collect(options, settings, chosen, bounds=bounds))
    if options.json:
        print_json(report)
    else:
        _show(report, options.out)
    if report.answered < report.total:
        raise typer.Exit(1)


def fit(
    folder: Annotated[
        Path, typer.Argument(help="The folder of recorded outcomes.", show_default=False)
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The fitted policy.")],
    seed: Annotated[int, typer.Option(help="Of whatever is drawn at random.")] = 0,
    fresh_classifier: Annotated[
        bool, typer.Option("--fresh-classifier", help="Fit the classifier anew too.")
    ] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Fit a policy to recorded outcomes; its classifier is that of the policy in use."""
    from emafusion.artefacts import check_place
    from emafusion.encoders import default
    from emafusion.learn.fit import fit as fitted
    from emafusion.understand import FastClassifier

    check_place(out)  # before the work, not after it
    encoder = default()
    if fresh_classifier:
        from emafusion.learn.fit_understand import fit as taught

        note("fitting the classifier")
        arrays: Mapping[str, NDArray[np.generic]] = taught(seed=seed, encoder=encoder)
    else:
        arrays = policy(config).under("understand")
    classifier = FastClassifier.from_arrays(arrays, encoder)
    models = _named(open_settings(config))
    made = fitted(folder, out, classifier=classifier, models=models, seed=seed, progress=note)
    if json:
        print_json(made.manifest)
    note(f"wrote {out}; to use it, set path = {str(out)!r} under [artefact] in the settings")


def _named(settings: Settings) -> list[Model]:
    """Which model each configured name stands for; no provider is opened, no key is needed."""
    from emafusion.catalog import resolve

    return [
        resolve(
            name,
            one.provider,
            upstream=one.upstream,
            usd_per_mtok_in=0.0,
            usd_per_mtok_out=0.0,
        )
        for name, one in settings.models.items()
    ]


def policy(config: Path | None) -> Artefact:
    """The fitted policy that is in use: the configured one, else the one that ships."""
    from emafusion import artefacts
    from emafusion.artefacts.versions import is_one
    from emafusion.config.build import shipped

    path = open_settings(config).artefact.path
    if path is None:
        return shipped()
    place = Path(path).expanduser()
    if not is_one(place):
        return artefacts.read(place)
    versions = artefacts.Versions(place)
    serving = versions.current()
    return shipped() if serving is None else versions.read(serving.id)


async def _collect(
    options: Collecting,
    settings: Settings,
    chosen: Collection[str],
    *,
    bounds: Bounds,
) -> Report:
    from emafusion.cli.opening import opened, pull_missing
    from emafusion.learn.collect import collect as record
    from emafusion.learn.interchange import read_questions
    from emafusion.learn.masked import masked

    asked = read_questions(options.questions or options.out)
    async with opened(settings, chosen) as (models, providers, shield):
        questions = await masked(asked, shield)
        # A model that could not be fetched is told of in the report.
        await pull_missing(models, providers)
        with Bar("collecting") as bar:
            return await record(
                questions,
                models,
                providers=providers,
                folder=options.out,
                bounds=bounds,
                progress=bar.show,
            )


class Bar:
    """How far a collection is: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, what: str) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._console = console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("${task.fields[spent]:.4f}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bars.add_task(what, total=None, spent=0.0)
        self._tenths = 0

    def __enter__(self) -> Bar:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, progress: Progress) -> None:
        """One more cell is closed."""
        self._bars.update(
            self._task,
            description=progress.model,
            completed=progress.done,
            total=progress.total,
            spent=progress.spent_usd,
        )
        tenth = 10 * progress.done // progress.total
        if tenth > self._tenths and not self._console.is_terminal:
            self._tenths = tenth
            note(f"{progress.done}/{progress.total} ${progress.spent_usd:.4f}")


def _show(report: Report, folder: Path) -> None:
    out = console()
    table = columns()
    table.add_column("model", overflow="fold")
    for name in ("answered", "accuracy", "US$ per 1000", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for tally in report.tallies:
        table.add_row(
            tally.model,
            str(tally.answered),
            "–" if tally.accuracy is None else f"{tally.accuracy:.1%}",
            f"{1000 * tally.cost_usd:.5f}",
            f"{tally.latency_s:.2f}",
        )
    out.print(table)
    say(f"{report.answered} of {report.total} answers, ${report.spent_usd:.6f} in all")
    note(f"they are in {folder}")
    for model, reason in report.stopped.items():
        note(f"{model} was stopped: {reason}")
    for failure in report.failed[:5]:
        note(f"no answer from {failure.model} to {failure.query_id}: {failure.error}")
    if len(report.failed) > 5:
        note(f"… and {len(report.failed) - 5} more without an answer; --json lists them")
