"""Every option is documented, and no option is documented that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from emafusion.cli import app

DOCS = Path(__file__).parents[2] / "docs"
TEXTS = {
    "demo": (DOCS / "demo.md").read_text(encoding="utf-8"),
    "": (DOCS / "cli.md").read_text(encoding="utf-8"),
}


def commands(*, hidden: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Each command's name with the options it shows, or with `hidden` ones too."""
    pending = [("", typer.main.get_command(app))]
    while pending:
        name, command = pending.pop()
        shown = [one for one in command.params if hidden or not getattr(one, "hidden", False)]
        yield name, [opt for one in shown for opt in (*one.opts, *one.secondary_opts)]
        for below, child in getattr(command, "commands", {}).items():
            pending.append((f"{name} {below}".strip(), child))


@pytest.mark.parametrize(("name", "options"), sorted(commands()))
def test_a_command_and_its_options_are_documented(name: str, options: list[str]) -> None:
    text = TEXTS.get(name, TEXTS[""])
    assert name in text
    flags = [option for option in options if option.startswith("--") and option != "--help"]
    assert [flag for flag in flags if not re.search(rf"{flag}\b", text)] == []


@pytest.mark.parametrize("text", list(TEXTS.values()), ids=["demo.md", "cli.md"])
def test_every_documented_option_exists(text: str) -> None:
    known = dict(commands(hidden=True))
    options = {option for found in known.values() for option in found} | {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) <= options
