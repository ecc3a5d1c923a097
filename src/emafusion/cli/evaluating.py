"""``emafusion evaluate``: fit on recorded outcomes, replay others, compare, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emafusion.cli.console import console, note, print_json, say
from emafusion.cli.learning import policy
from emafusion.cli.options import Config, Json, labels, taking
from emafusion.errors import ConfigError

if TYPE_CHECKING:
    from rich.progress import TaskID
    from rich.table import Table

    from emafusion.evaluate.report.document import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluating:
    """The options of ``evaluate``."""

    train: Annotated[Path, typer.Option("--train", metavar="FOLDER", help="What is fitted on.")]
    test: Annotated[Path, typer.Option("--test", metavar="FOLDER", help="What is replayed.")]
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Gets the report.")]
    seed: Annotated[int, typer.Option(help="Fixes folds and samples.")] = 0
    jobs: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = 1
    prompts: Annotated[
        bool, typer.Option("--prompts", help="Show prompts beside the report's examples.")
    ] = False
    composites: Annotated[
        Path | None,
        typer.Option("--composites", metavar="FILE", help="Composite prompts of test queries."),
    ] = None
    labels: Annotated[
        str, typer.Option(help="Learn from the recorded scores ('reference') or 'consensus' alone.")
    ] = "reference"
    train_rows: Annotated[
        int | None, typer.Option("--train-rows", min=1, help="Fit on so many queries, at random.")
    ] = None
    leave_out: Annotated[
        str | None,
        typer.Option("--leave-out", metavar="A,B", help="Add these models back by probes; or all."),
    ] = None
    probe: Annotated[int, typer.Option(min=1, help="Probes of each model left out.")] = 60
    online: Annotated[
        str | None,
        typer.Option(metavar="bandit", help="Learn from scratch, from what was answered alone."),
    ] = None
    drift: Annotated[
        str | None,
        typer.Option(metavar="MODEL=WEAKER@ROW", help="Change a model in mid-stream."),
    ] = None
    json: Json = False
    config: Config = None


@taking(Evaluating)
def evaluate(options: Evaluating) -> None:
    """Fit a policy on one folder, replay another through the engine, write a report.

    Folders hold recorded outcomes: emafusion's interchange format, or the files that RouterBench
    and LLMRouterBench publish. A second run goes on where an interrupted one stopped.
    """
    from emafusion import __version__
    from emafusion.config.build import replaying
    from emafusion.encoders import Remembered, default
    from emafusion.learn.benchmark import Options, Parts, run
    from emafusion.understand import FastClassifier

    learnt_from = labels(options.labels)
    _check(options)
    encoder = Remembered(default(), size=50_000)
    classifier = FastClassifier.from_arrays(policy(options.config).under("understand"), encoder)
    parts = Parts(classifier=classifier, encoder=encoder, build=replaying, version=__version__)
    how = Options(
        seed=options.seed,
        jobs=options.jobs,
        prompts=options.prompts,
        composites=options.composites,
        labels=learnt_from,
        train_rows=options.train_rows,
        leave_out=_named(options.leave_out),
        probes=options.probe,
        online=options.online is not None,
        drift=options.drift,
    )
    with _Progress() as progress:
        found = run(
            options.train,
            options.test,
            options.out,
            parts=parts,
            options=how,
            tell=progress.tell,
        )
    if options.json:
        print_json(found.headline)
        return
    console().print(_table(found))
    say(f"wrote {options.out / 'report.html'}, report.json and decisions.parquet")


def _check(options: Evaluating) -> None:
    if options.online not in (None, "bandit"):
        raise ConfigError(f"--online is 'bandit', not {options.online!r}")


def _named(models: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (models or "").split(",") if name.strip())


class _Progress:
    """A bar for each part of the work, on standard error."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            Elapsed(),
            console=console(stderr=True),
            transient=True,
        )
        self._task: tuple[str, TaskID] | None = None

    def __enter__(self) -> _Progress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def tell(self, what: str, done: int, total: int) -> None:
        """Show `what`, `done` of `total`; a new part is noted for those who see no bars."""
        part = what.split(" ", maxsplit=1)[0]
        if self._task is None or self._task[0] != part:
            if self._task is not None:
                self._bars.remove_task(self._task[1])
            note(
                what
                if total <= 1
                else what.split(" ", maxsplit=1)[0] + " systems" * (part == "measuring")
            )
            self._task = (part, self._bars.add_task(what, total=total))
        self._bars.update(self._task[1], description=what, completed=done, total=total)


def _table(found: Document) -> Table:
    from rich.table import Table

    table = Table(title=f"{found.dataset}: {found.n} queries", title_justify="left")
    for name in ("system", "accuracy", "cost"):
        table.add_column(name, justify="left" if name == "system" else "right")
    base = found.best_single
    for name, point in found.headline.items():
        share = point.cost_share
        cost = "–" if share is None else f"{share:.3f} ×"
        table.add_row(f"emafusion, {name.replace('_', ' ')}", f"{point.accuracy:.4f}", cost)
    table.add_row(f"best single: {base.model}", f"{base.accuracy:.4f}", "1 ×")
    for name, system in sorted(found.systems.items(), key=lambda each: -(each[1].aiq or 0.0)):
        if system.role in ("baseline", "ablation", "ours") and system.aiq is not None:
            table.add_row(f"AIQ {name}", f"{system.aiq:.4f}", "")
    return table
