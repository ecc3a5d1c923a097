"""The demo's questions, and any others in the same TOML format.

It knows the format and how a smaller set is chosen; how an answer is marked, the graders know.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from itertools import chain, zip_longest
from pathlib import Path

from msgspec import Struct

from emafusion.errors import DataError
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import AXES, Question

SHIPPED = "questions.toml"


class Entry(Struct, frozen=True, kw_only=True):
    """One question of a file: its name there, its kind, and whether a short demo asks it."""

    id: str
    kind: str
    default: bool
    question: Question


def load(path: Path | None = None) -> tuple[Entry, ...]:
    """The questions in the file `path`, by default the shipped ones.

    Raises
    ------
    DataError
        The file cannot be read, is not TOML, or a question in it is malformed; the message names
        the question and the field.
    """
    name = str(path) if path is not None else SHIPPED
    try:
        if path is None:
            text = files(__package__).joinpath(SHIPPED).read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text).get("question")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise DataError(f"cannot read the questions in {name!r}: {reason}") from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{name!r} is not TOML: {error}") from error
    if not isinstance(tables, list) or not tables:
        raise DataError(f"{name!r} has no [[question]]")
    entries = tuple(_entry(table, f"{name!r}, question {n}") for n, table in enumerate(tables, 1))
    _check_distinct(entries, name)
    return entries


def choose(
    entries: Sequence[Entry], *, count: int | None = None, full: bool = False
) -> tuple[Entry, ...]:
    """The questions to ask, in the file's order.

    All of them with `full`, else those marked ``default`` (all, where none is). With `count`, that
    many: the kinds take turns, questions marked ``default`` first.
    """
    marked = [entry for entry in entries if entry.default]
    if count is None:
        return tuple(entries if full or not marked else marked)
    others = [entry for entry in entries if not entry.default]
    wanted = {entry.id for entry in [*_by_turns(marked), *_by_turns(others)][:count]}
    return tuple(entry for entry in entries if entry.id in wanted)


def _by_turns(entries: Iterable[Entry]) -> list[Entry]:
    kinds: dict[str, list[Entry]] = {}
    for entry in entries:
        kinds.setdefault(entry.kind, []).append(entry)
    return [entry for entry in chain(*zip_longest(*kinds.values())) if entry is not None]


def _entry(table: object, where: str) -> Entry:
    if not isinstance(table, Mapping):
        raise DataError(f"{where} is not a table")
    where = f"{where} ({table.get('id', 'no id')!r})"
    grader = table.get("grader")
    labels = table.get("labels")
    if not isinstance(grader, Mapping):
        raise DataError(f"{where} has no [question.grader]")
    if not isinstance(labels, Mapping) or set(labels) != set(AXES):
        raise DataError(f"{where} needs labels for {', '.join(AXES)}")
    params = {name: value for name, value in grader.items() if name != "type"}
    try:
        question = Question(
            prompt=_text(table, "prompt", where),
            reference=_text(table, "reference", where),
            grader=Grader(type=str(grader.get("type")), params=params),
            labels={axis: str(labels[axis]) for axis in AXES},
            family=str(table.get("kind", "")),
            phrasing=0,
            held_out=True,
            difficulty=table.get("difficulty", 2),
        )
        question.grade("?")
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    return Entry(
        id=_text(table, "id", where),
        kind=str(table.get("kind", "")),
        default=table.get("default") is True,
        question=question,
    )


def _text(table: Mapping[str, object], name: str, where: str) -> str:
    value = table.get(name)
    if not isinstance(value, str):
        raise DataError(f"{where} needs {name!r}, a text")
    return value


def _check_distinct(entries: Sequence[Entry], name: str) -> None:
    ids: set[str] = set()
    for entry in entries:
        if entry.id in ids:
            raise DataError(f"{name!r} has two questions with id {entry.id!r}")
        ids.add(entry.id)
