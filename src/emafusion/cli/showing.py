"""``emafusion demo``: real models, real questions, and what emafusion made of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emafusion.cli.console import console, note
from emafusion.cli.options import Config, Prefer, open_client, taking
from emafusion.errors import ConfigError

if TYPE_CHECKING:
    from emafusion.demo.session import Session

INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """The options of ``demo``."""

    small: Annotated[
        bool, typer.Option("--small", help="Only the small local models: fetch 0.6 GB, not 1.7.")
    ] = False
    full: Annotated[
        bool, typer.Option("--full", help="Every question, and every single model live.")
    ] = False
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write rows and summary there.")
    ] = None
    questions: Annotated[
        int | None, typer.Option("--questions", min=1, metavar="N", help="Ask this many.")
    ] = None
    questions_file: Annotated[
        Path | None,
        typer.Option("--questions-file", metavar="FILE", help="Others, in the same format."),
    ] = None
    prefer: Prefer = None
    config: Config = None
    record: Annotated[Path | None, typer.Option("--record", hidden=True)] = None
    commit: Annotated[str | None, typer.Option("--commit", hidden=True)] = None


@taking(Showing)
def demo(options: Showing) -> None:
    """Answer questions on real local models and compare with each of them."""
    from emafusion.demo import questions, recorded
    from emafusion.demo.report import check_writable
    from emafusion.demo.screen import Screen
    from emafusion.demo.session import Session, Wanted

    if options.record is not None and not (options.full and options.commit):
        raise ConfigError(
            "--record needs --full, as it records what the single models answer live, and "
            "--commit, so that the recording can say at which commit"
        )
    for path in (options.json, options.record):
        if path is not None:
            check_writable(path)
    entries = questions.choose(
        questions.load(options.questions_file), count=options.questions, full=options.full
    )
    session = Session(
        open_client(options.config),
        entries,
        screen=Screen(console()),
        wanted=Wanted(small=options.small, full=options.full, prefer=options.prefer),
        recorded=None if options.full else recorded.load(),
    )
    code = _run(session)
    _write(session, options)
    raise typer.Exit(code)


def _run(session: Session) -> int:
    """The exit code; an interruption still shows what was done before it."""
    code = 0
    try:
        asyncio.run(session.run())
    except KeyboardInterrupt:
        code = INTERRUPTED
    session.conclude()
    return code


def _write(session: Session, options: Showing) -> None:
    from emafusion import __version__
    from emafusion.demo import recorded, report
    from emafusion.demo.play import PARAMS

    if options.json is not None:
        report.save(session.report(__version__), options.json)
        note(f"wrote {options.json}")
    if options.record is not None and session.complete:
        about = {**report.circumstances(), "commit": str(options.commit)}
        recorded.save(recorded.record(session.rows, about=about, params=PARAMS), options.record)
        note(f"wrote {options.record}")
