"""The label tree: four axes of labels with descriptions, and seed templates for them.

The tree is data (``taxonomy.toml`` with ``vocabulary.toml``); a company may replace both. This file
reads and checks them; it does not know how prompts are made from them nor how labels are guessed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

import msgspec

from emafusion.errors import ConfigError
from emafusion.types import AXES, Axis
from emafusion.understand.slots import Values, Vocabulary

ANY = "*"
"""As a seed's domain: any domain, drawn anew for each prompt."""
_Listed = str | list[str]
Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A template and the labels of every prompt made from it; ``domains`` it may speak of."""

    template: str
    task: str
    complexity: str
    format: str
    domains: tuple[str, ...]

    def labels(self, domain: str) -> dict[Axis, str]:
        """The labels of a prompt made from this seed about `domain`."""
        return {
            "task": self.task,
            "complexity": self.complexity,
            "domain": domain,
            "format": self.format,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """Four axes of labels with their descriptions, seeds, and the vocabulary of the seeds' slots.

    ``before`` and ``after`` are what people put around a prompt without changing its labels.
    """

    axes: Mapping[Axis, Mapping[str, str]]
    seeds: tuple[Seed, ...] = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)
    before: Values = ()
    after: Values = ()

    def labels(self, axis: Axis) -> tuple[str, ...]:
        """The labels of `axis`, in the tree's order."""
        return tuple(self.axes[axis])

    @classmethod
    def load(cls, path: str | Path | None = None) -> Taxonomy:
        """Read and check the tree at `path`, by default the shipped one.

        Raises
        ------
        ConfigError
            Where the file is missing, malformed, or names a label or slot that does not exist.
        """
        source: Traversable = (
            files("emafusion.understand") / "taxonomy.toml" if path is None else Path(path)
        )
        shape = _read(source, _File)
        slots = dict(shape.slots)
        if shape.vocabulary is not None:
            beside = (
                files("emafusion.understand") / shape.vocabulary
                if path is None
                else Path(path).parent / shape.vocabulary
            )
            slots |= _read(beside, _Vocabulary).slots
        return _build(shape, slots)


class _Seeds(msgspec.Struct, forbid_unknown_fields=True):
    templates: list[str]
    task: str | None = None
    complexity: str | None = None
    domain: _Listed | None = None
    format: str | None = None


class _Label(msgspec.Struct, forbid_unknown_fields=True):
    description: str
    seeds: list[_Seeds] = []


class _Wraps(msgspec.Struct, forbid_unknown_fields=True):
    before: list[str] = []
    after: list[str] = []


class _Vocabulary(msgspec.Struct, forbid_unknown_fields=True):
    slots: dict[str, _Listed | dict[str, _Listed]]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    task: dict[str, _Label]
    complexity: dict[str, _Label]
    domain: dict[str, _Label]
    format: dict[str, _Label]
    wraps: _Wraps = msgspec.field(default_factory=_Wraps)
    slots: dict[str, _Listed | dict[str, _Listed]] = {}
    vocabulary: str | None = None


def _read(source: Traversable, shape: type[Shape]) -> Shape:
    try:
        data = tomllib.loads(source.read_text(encoding="utf-8"))
        return msgspec.convert(data, shape)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"taxonomy file {str(source)!r}: {error}") from error


def _build(shape: _File, slots: Mapping[str, _Listed | dict[str, _Listed]]) -> Taxonomy:
    if shape.version != 1:
        raise ConfigError(f"taxonomy version {shape.version} is not known; this release reads 1")
    tables: dict[Axis, dict[str, _Label]] = {
        "task": shape.task,
        "complexity": shape.complexity,
        "domain": shape.domain,
        "format": shape.format,
    }
    axes = {a: {name: label.description for name, label in tables[a].items()} for a in AXES}
    for axis in AXES:
        if len(axes[axis]) < 2:
            raise ConfigError(f"taxonomy axis {axis!r} needs at least two labels")
    vocabulary = Vocabulary(
        plain={s: _listed(v) for s, v in slots.items() if not isinstance(v, dict)},
        by_domain={
            s: {d: _listed(values) for d, values in v.items()}
            for s, v in slots.items()
            if isinstance(v, dict)
        },
    )
    seeds = tuple(_seeds(tables, axes))
    sound: set[tuple[str, str]] = set()
    for seed in seeds:
        for domain in seed.domains:
            where = f"template {seed.template[:60]!r}"
            vocabulary.check(seed.template, domain, where=where, sound=sound)
    return Taxonomy(
        axes=axes,
        seeds=seeds,
        vocabulary=vocabulary,
        before=tuple(shape.wraps.before),
        after=tuple(shape.wraps.after),
    )


def _seeds(
    tables: Mapping[Axis, Mapping[str, _Label]], axes: Mapping[Axis, Mapping[str, str]]
) -> Iterator[Seed]:
    for axis in AXES:
        for name, label in tables[axis].items():
            where = f"seeds of {axis}.{name}"
            for group in label.seeds:
                named = _named(group, {axis: name}, where=where)
                yield from _group(group.templates, named, axes=axes, where=where)


def _group(
    templates: list[str],
    named: Mapping[Axis, _Listed],
    *,
    axes: Mapping[Axis, Mapping[str, str]],
    where: str,
) -> Iterator[Seed]:
    domains = _domains(named["domain"], axes)
    for axis in AXES:
        listed = domains if axis == "domain" else (str(named[axis]),)
        _known(listed, axes[axis], f"{where}: {axis}")
    for template in templates:
        yield Seed(
            template=template,
            task=str(named["task"]),
            complexity=str(named["complexity"]),
            format=str(named["format"]),
            domains=domains,
        )


def _named(group: _Seeds, own: Mapping[Axis, str], *, where: str) -> dict[Axis, _Listed]:
    given: dict[Axis, _Listed | None] = {
        "task": group.task,
        "complexity": group.complexity,
        "domain": group.domain,
        "format": group.format,
    }
    named: dict[Axis, _Listed] = {}
    for axis, value in given.items():
        mine = own.get(axis)
        if mine is not None and value is not None and value != mine:
            raise ConfigError(f"{where}: {axis} is {mine!r} here and cannot be {value!r}")
        told = mine or value
        if told is None:
            raise ConfigError(f"{where}: the label for {axis!r} is missing")
        named[axis] = told
    return named


def _domains(given: _Listed, axes: Mapping[Axis, Mapping[str, str]]) -> tuple[str, ...]:
    if given == ANY:
        return tuple(axes["domain"])
    return (given,) if isinstance(given, str) else tuple(given)


def _known(names: tuple[str, ...], known: Mapping[str, str], where: str) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown label {name!r}{hint}")


def _listed(given: _Listed) -> Values:
    parts = given.split(";") if isinstance(given, str) else given
    return tuple(part.strip() if isinstance(given, str) else part for part in parts if part.strip())
