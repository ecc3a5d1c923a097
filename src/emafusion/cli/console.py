"""Where a command's output goes: a console that respects ``NO_COLOR``, JSON, and remarks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr, as wide as the terminal, 80 columns where there is none."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False, markup=False)


def columns() -> Table:
    """An empty table as every command shows one: bold heads, no lines."""
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def say(text: str, end: str = "\n") -> None:
    """The output itself, on stdout, at once."""
    sys.stdout.write(f"{text}{end}")
    sys.stdout.flush()


def print_json(value: object) -> None:
    """`value` as indented JSON on stdout."""
    import msgspec

    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def note(text: str) -> None:
    """A remark that is no part of the output, on stderr."""
    sys.stderr.write(f"{text}\n")
