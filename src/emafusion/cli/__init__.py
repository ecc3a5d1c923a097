"""The ``emafusion`` command: which commands there are, and how one ends.

A command's file knows its options and what it prints; the work is done elsewhere. Heavy libraries
are imported by the commands that need them, so ``--help`` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Annotated

import typer

from emafusion import __version__
from emafusion.cli import (
    asking,
    budgets,
    erase,
    evaluating,
    keys,
    learning,
    listing,
    looping,
    promoting,
    serving,
    showing,
    spending,
    synthesising,
    teams,
)
from emafusion.cli.console import note, say
from emafusion.errors import ConfigError, DataError, EmafusionError, RequestError
from emafusion.gateway.signals import put_off

USAGE = (ConfigError, DataError, RequestError)
"""What the user can put right in the command, the configuration or the input: exit code 2."""
INTERRUPTED = 130

# typer offers BadParameter, but not the wider error it is a kind of.
UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="emafusion",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The best answer for the money: routes, cascades and fuses language models.",
)
app.command()(asking.ask)
app.command()(asking.explain)
app.add_typer(listing.app, name="models")
app.command()(serving.serve)
app.add_typer(keys.app, name="keys")
app.add_typer(teams.app, name="teams")
app.add_typer(budgets.app, name="budget")
app.command()(spending.spend)
app.command()(erase.erase)
app.command()(showing.demo)
app.command()(synthesising.synthesise)
app.command()(learning.collect)
app.command()(looping.learn)
app.command()(learning.fit)
app.command()(evaluating.evaluate)
app.add_typer(promoting.app, name="policies")
app.command()(promoting.compare)
app.command()(promoting.promote)
app.command()(promoting.rollback)


def _tell_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show an error's traceback.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, hidden=True)
    ] = False,
) -> None:
    """What every command understands; :func:`run` has read ``--debug`` already."""


@app.command()
def version() -> None:
    """Print the version."""
    say(f"emafusion {__version__}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # A terminal that cannot show a tick should show a question mark, not a traceback.
            reconfigure(errors="replace")
    given = sys.argv[1:] if arguments is None else arguments
    debug, rest = _without_debug(given)
    if rest[:1] == ["serve"]:
        put_off()  # first of all: what follows takes a second
    if not debug:
        sys.excepthook = _unexpected
    sys.exit(run(given))


def run(arguments: Sequence[str]) -> int:
    """The exit code of the command line `arguments`: 0, 1, 2 (usage), or 130 (interrupted)."""
    debug, rest = _without_debug(arguments)
    try:
        code = app(rest or ["--help"], standalone_mode=False, prog_name="emafusion")
    except UsageError as error:
        return _complain(error.format_message(), 2)
    except EmafusionError as error:
        if debug:
            raise
        return _complain(str(error), 2 if isinstance(error, USAGE) else 1)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; the final flush must not complain of it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if code == INTERRUPTED:
        note("interrupted")
    return code if isinstance(code, int) else 0


def _without_debug(arguments: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether ``--debug`` is among the options, wherever it stands, and the other arguments."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given = [place for place in range(end) if arguments[place] == "--debug"]
    return bool(given), [one for place, one in enumerate(arguments) if place not in given]


def _unexpected(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """What a user sees of a defect: one line, and how to see more."""
    _complain(f"{kind.__name__}: {error} (a defect; --debug shows where)", 1)


def _complain(message: str, code: int) -> int:
    note(f"error: {' '.join(message.split())}")
    return code
