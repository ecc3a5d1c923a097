"""The documentation is true: its code runs, its commands exist, and nothing is left out of it."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
import typer
from msgspec import inspect
from typer.core import TyperCommand, TyperGroup

from emafusion import cli, errors
from emafusion.config.settings import Settings
from emafusion.errors import EmafusionError, MissingExtraError, ProviderError
from emafusion.gateway.faults import fault_of

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = "<!-- not run -->"
SHELL = {"console", "sh", "bash", "shell"}
RUN_LIMIT_S = 120


Command = TyperCommand | TyperGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    run: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of `page`; one below a line that says so is not run."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = None
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if start is None:
            start = number
            continue
        above = next((text.strip() for text in reversed(lines[:start]) if text.strip()), "")
        yield Block(
            page=page,
            line=start + 2,
            language=lines[start].strip().removeprefix("```").split(" ")[0],
            text="\n".join(lines[start + 1 : number]),
            run=above != NOT_RUN,
        )
        start = None


BLOCKS = [block for page in PAGES for block in blocks(page)]
PYTHON = [block for block in BLOCKS if block.language == "python"]


def commands(program: str) -> set[tuple[str, ...]]:
    """The words after `program` wherever the pages show it: in a shell block or in backticks."""
    shown = []
    for page in PAGES:
        prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
        shown += re.findall(rf"`({program} [^`]+)`", prose)
    for block in BLOCKS:
        if block.language in SHELL:
            joined = block.text.replace("\\\n", " ")
            shown += re.findall(rf"^\s*(?:\$ )?({program} .+)$", joined, flags=re.M)
    return {tuple(shlex.split(command, comments=True)[1:]) for command in shown}


def command_line() -> Command:
    """The whole tree of the command line's commands."""
    app = next(value for value in vars(cli).values() if isinstance(value, typer.Typer))
    return cast("Command", typer.main.get_command(app))


def leaves(command: Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names of every command that does something, subcommands with their group's name."""
    if not isinstance(command, TyperGroup):
        yield path
        return
    for name, child in command.commands.items():
        if not child.hidden:
            yield from leaves(cast("Command", child), (*path, name))


def unknown_in(words: tuple[str, ...]) -> str | None:
    """What in the command line's `words` does not exist; ``None`` where all of it does."""
    command, rest = command_line(), list(words)
    while isinstance(command, TyperGroup) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in command.commands:
            return name
        command = cast("Command", command.commands[name])
    options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    return next((w for w in rest if w.startswith("--") and w.split("=")[0] not in options), None)


def tree(error: type[EmafusionError]) -> Iterator[type[EmafusionError]]:
    """`error` and every kind of it."""
    yield error
    for kind in error.__subclasses__():
        yield from tree(kind)


ERRORS = [e for e in tree(EmafusionError) if e.__module__ == errors.__name__]


def example(error: type[EmafusionError]) -> EmafusionError:
    """One error of that kind."""
    if issubclass(error, (ProviderError, MissingExtraError)):
        return error("a message", "a name")
    return error("a message")


def keys(kind: inspect.Type) -> Iterator[str]:
    """The keys of every table that `kind` may be."""
    if isinstance(kind, inspect.StructType):
        yield from (field.encode_name for field in kind.fields)
        if kind.tag_field is not None:
            yield kind.tag_field
    elif isinstance(kind, inspect.DictType):
        yield from keys(kind.value_type)
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from keys(each)


def tables() -> dict[str, set[str]]:
    """The settings' tables with their keys."""
    root = inspect.type_info(Settings)
    assert isinstance(root, inspect.StructType)
    return {field.encode_name: set(keys(field.type)) for field in root.fields}


def documented_keys(table: str) -> set[str]:
    """The keys that docs/configuration.md describes under a heading with ``[table`` in it.

    A key is described by a row of a Markdown table that begins with the key in backticks.
    """
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    sections = re.findall(r"^#+ ([^\n]+)\n(.*?)(?=^#+ |\Z)", text, flags=re.S | re.M)
    ours = "".join(body for heading, body in sections if f"[{table}" in heading)
    return set(re.findall(r"^\| *`([a-z0-9_]+)`", ours, flags=re.M))


def test_there_is_something_to_check() -> None:
    assert len(PYTHON) >= 2
    assert any(block.run for block in PYTHON if block.page.name == "README.md")
    assert len(ERRORS) >= 15


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_blocks_compile(block: Block) -> None:
    # What is not run stands in some async function, or is typed into a notebook.
    flags = 0 if block.run else ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compile(block.text, str(block), "exec", flags)


@pytest.mark.parametrize("block", [b for b in PYTHON if b.run], ids=str)
def test_python_blocks_run_as_they_stand(block: Block, tmp_path: Path) -> None:
    folders = {name: str(tmp_path / name) for name in ("XDG_DATA_HOME", "XDG_STATE_HOME")}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", block.text],
        cwd=tmp_path,
        env={**os.environ, **folders, "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    assert ran.returncode == 0, f"{block}\n{ran.stderr}"


@pytest.mark.parametrize("words", sorted(commands("emafusion")), ids=" ".join)
def test_commands_that_are_shown_exist(words: tuple[str, ...]) -> None:
    assert unknown_in(words) is None


def test_every_command_is_shown() -> None:
    shown = commands("emafusion")
    missing = [
        " ".join(path)
        for path in leaves(command_line())
        if not any(w[: len(path)] == path for w in shown)
    ]
    assert missing == []


def test_make_targets_that_are_shown_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    shown = {words[0] for words in commands("make")}
    assert shown
    assert shown <= targets


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_is_documented_with_its_status(error: type[EmafusionError]) -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, flags=re.S | re.M))
    fault = fault_of(example(error))
    assert f"HTTP {fault.status}" in sections[error.__name__]
    assert fault.code is None or f"`{fault.code}`" in sections[error.__name__]


@pytest.mark.parametrize("table", tables())
def test_every_setting_is_documented_and_every_documented_setting_exists(table: str) -> None:
    assert documented_keys(table) == tables()[table]


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    def draw(error: type[EmafusionError], depth: int = 0) -> Iterator[tuple[int, str]]:
        yield depth, error.__name__
        for kind in error.__subclasses__():
            if kind in ERRORS:
                yield from draw(kind, depth + 1)

    for drawn in ((ROOT / "docs" / "errors.md").read_text(encoding="utf-8"), errors.__doc__ or ""):
        lines = re.findall(r"^ *([│├└─ ]*)(\w+Error)\b", drawn, flags=re.M)
        branches = [(len(indent) // 4, name) for indent, name in lines if indent or "Emaf" in name]
        assert branches[: len(ERRORS)] == list(draw(EmafusionError))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
