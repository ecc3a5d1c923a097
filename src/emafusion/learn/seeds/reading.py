"""Seed files: TOML (``[[seed]]``) and JSON lines, read and checked.

Knows the fields of a seed and what can be wrong with them; every error names the file and the
seed and says what to do. Knows nothing of how prompts are drawn.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct, field

from emafusion.errors import DataError
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import AXES
from emafusion.learn.families import FAMILIES
from emafusion.learn.seeds import kinds, templates
from emafusion.learn.seeds.expressions import Expression, Row
from emafusion.learn.seeds.filling import scope_of
from emafusion.learn.seeds.frames import KINDS
from emafusion.learn.seeds.kinds import Tables
from emafusion.learn.seeds.seed import ALL, BOTH, FamilySeed, Seed, Wording
from emafusion.learn.seeds.slots import Rows, Slot
from emafusion.understand import Taxonomy

Source: TypeAlias = Seed | FamilySeed

_NEED_NO_REFERENCE: Final = frozenset({"constraint", "code", "judged"})
_WORDINGS_APART: Final = 3
_WEIGHTS: Final = (1e-6, 1e6)
_MOST_PLACES: Final = 40
"""Digits of a number before its point, and after it."""
_SCOPED: Final = "context"


class _Fields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[seed]]`` table as it is written."""

    name: str
    template: str | None = None
    wordings: list[str] = []
    held_out: list[str] = []
    context: str = ""
    clauses: list[str] = []
    slots: dict[str, object] = field(default_factory=dict)
    where: str | list[str] = []
    reference: object = None
    compute: str | None = None
    grader: str | dict[str, object] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    difficulty: int | str | None = None
    weight: float = 1.0
    variations: bool | list[str] = True
    family: str | None = None


def read(paths: Sequence[Path]) -> tuple[Source, ...]:
    """The seeds of some files, in order.

    Raises
    ------
    DataError
        A file cannot be read, a seed is malformed, or two have the same name.
    """
    found: dict[str, Source] = {}
    for path in paths:
        for seed in _file(path):
            if seed.name in found:
                raise DataError(
                    f"{str(path)!r}, seed {seed.name!r}: {found[seed.name].source!r} has a seed "
                    "of that name; give this one another"
                )
            found[seed.name] = seed
    if not found:
        raise DataError("there is no seed to draw from; name a file with [[seed]] tables")
    return tuple(found.values())


def _file(path: Path) -> Iterator[Source]:
    readers = {".toml": _toml, ".jsonl": _json_lines}
    if path.suffix not in readers:
        raise DataError(f"{str(path)!r}: seeds are read from .toml and .jsonl files; rename it")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the seeds in {str(path)!r}: {error}") from error
    tables, seeds = readers[path.suffix](text, path)
    taxonomy = Taxonomy.load()
    for number, fields in enumerate(seeds, 1):
        name = fields.get("name") if isinstance(fields, dict) else None
        where = f"{str(path)!r}, seed {name or number!r}"
        try:
            yield _seed(fields, tables, source=path.name, taxonomy=taxonomy)
        except (DataError, msgspec.ValidationError) as error:
            raise DataError(f"{where}: {error}") from error
        except RecursionError as error:
            raise DataError(f"{where}: it is nested too deeply") from error


def _toml(text: str, path: Path) -> tuple[Tables, Sequence[object]]:
    try:
        data = tomllib.loads(text, parse_float=_decimal)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{str(path)!r} is not TOML: {error}") from error
    strange = sorted(set(data) - {"seed", "tables"})
    if strange or not isinstance(data.get("seed"), list):
        what = f"has an unknown table {strange[0]!r}" if strange else "has no seed"
        raise DataError(f"{str(path)!r} {what}; write [[seed]] tables, and rows as [[tables.NAME]]")
    tables = data.get("tables", {})
    if not isinstance(tables, dict) or not all(isinstance(rows, list) for rows in tables.values()):
        raise DataError(f"{str(path)!r}: write the rows of a table as [[tables.NAME]]")
    return {name: tuple(rows) for name, rows in tables.items()}, data["seed"]


def _json_lines(text: str, path: Path) -> tuple[Tables, Sequence[object]]:
    seeds = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            seed = json.loads(line, parse_float=_decimal, parse_constant=_decimal)
            # An escape can name half a character, which can neither be hashed nor asked.
            json.dumps(seed, ensure_ascii=False, default=str).encode()
        except (ValueError, RecursionError) as error:
            raise DataError(f"{str(path)!r}, line {number} is not JSON: {error}") from error
        seeds.append(seed)
    return {}, seeds


def _decimal(text: str) -> Decimal:
    """The number as it is written; raises ValueError where it is none to reckon with."""
    number = Decimal(text)
    if not number.is_finite() or not (
        number.adjusted() < _MOST_PLACES and int(number.as_tuple().exponent) >= -_MOST_PLACES
    ):
        raise ValueError(f"{text[:_MOST_PLACES]} is too large, too fine or no number")
    return number


def _seed(data: object, tables: Tables, *, source: str, taxonomy: Taxonomy) -> Source:
    fields = msgspec.convert(data, _Fields)
    if not _WEIGHTS[0] <= fields.weight <= _WEIGHTS[1]:
        raise DataError(f"its weight must be above 0: {_WEIGHTS[0]:f} to {_WEIGHTS[1]:.0f}")
    if fields.family is not None:
        return _family(fields, source)
    slots, computed = _slots(fields.slots, tables)
    seed = Seed(
        name=fields.name,
        source=source,
        wordings=_wordings(fields),
        context=fields.context,
        clauses=tuple(fields.clauses),
        slots=slots,
        computed=computed,
        where=tuple(Expression(text) for text in _listed(fields.where)),
        reference=fields.reference,
        answer=None if fields.compute is None else Expression(fields.compute),
        grader=_grader(fields),
        labels=_labels(fields.labels, taxonomy),
        difficulty=None if fields.difficulty is None else Expression(str(fields.difficulty)),
        weight=fields.weight,
        variations=_variations(fields.variations),
    )
    _check_names(seed)
    _try(seed)
    return seed


def _family(fields: _Fields, source: str) -> FamilySeed:
    known = {family.name: family for family in FAMILIES}
    if fields.template or fields.wordings or fields.slots:
        raise DataError("a seed with a family takes its wordings and slots from it; drop them here")
    if fields.family not in known:
        raise DataError(f"there is no family {fields.family!r}{_near(str(fields.family), known)}")
    return FamilySeed(
        name=fields.name, source=source, family=known[fields.family], weight=fields.weight
    )


def _slots(
    given: Mapping[str, object], tables: Tables
) -> tuple[dict[str, Slot], dict[str, Expression]]:
    slots: dict[str, Slot] = {}
    computed: dict[str, Expression] = {}
    for name, what in given.items():
        if not name.isidentifier() or name == _SCOPED:
            raise DataError(f"slot {name!r}: use letters, digits and _, and not the name 'context'")
        try:
            if isinstance(what, dict) and set(what) == {"compute"}:
                computed[name] = Expression(str(what["compute"]))
            else:
                slots[name] = kinds.slot(what, tables)
        except DataError as error:
            raise DataError(f"slot {name!r}: {error}") from error
    return slots, computed


def _wordings(fields: _Fields) -> tuple[Wording, ...]:
    given = [*([fields.template] if fields.template else []), *fields.wordings]
    if not given or not all(text.strip() for text in (*given, *fields.held_out)):
        raise DataError("it needs a template (or wordings), and none of them may be empty")
    if len(set(given) | set(fields.held_out)) < len(given) + len(fields.held_out):
        raise DataError("two of its wordings are the same; drop one")
    held, rest = fields.held_out, given
    if not held and len(given) > _WORDINGS_APART:
        held, rest = given[-1:], given[:-1]
    # Validation has a wording of its own, where there are enough to leave training two.
    apart = len(rest) >= _WORDINGS_APART
    made = [
        Wording(
            id=f"w{n}",
            text=text,
            splits=frozenset({"val" if n == len(rest) - 1 else "train"})
            if apart
            else (BOTH if held else ALL),
        )
        for n, text in enumerate(rest)
    ]
    if apart and not held:
        made = [Wording(id=w.id, text=w.text, splits=w.splits | {"test"}) for w in made]
    made += [Wording(id=f"h{n}", text=t, splits=frozenset({"test"})) for n, t in enumerate(held)]
    return tuple(made)


def _grader(fields: _Fields) -> dict[str, object]:
    given = fields.grader
    if fields.reference is not None and fields.compute is not None:
        raise DataError("it has both a reference and compute; keep one")
    unanswered = fields.reference is None and fields.compute is None
    if given is None:
        if unanswered:
            return {"type": "judged"}
        kind = "json" if isinstance(fields.reference, dict | list) else "exact"
        return {"type": kind}
    grader: dict[str, object] = {"type": given} if isinstance(given, str) else dict(given)
    if not isinstance(grader.get("type"), str):
        raise DataError('its grader needs a type, for example grader = {type = "number"}')
    # Raises for an unknown type or parameter, with those that exist.
    Grader(type=str(grader["type"]), params={n: None for n in grader if n != "type"})
    if unanswered and grader["type"] not in _NEED_NO_REFERENCE:
        raise DataError(f"its grader {grader['type']!r} needs a reference or compute")
    if not unanswered and grader["type"] == "judged":
        raise DataError("it has a right answer, which judges do not read; drop it or the grader")
    return grader


def _labels(given: Mapping[str, str], taxonomy: Taxonomy) -> dict[str, str]:
    for axis, label in given.items():
        if axis not in AXES:
            raise DataError(f"there is no axis {axis!r}; the axes are {', '.join(AXES)}")
        known = taxonomy.labels(axis)  # type: ignore[arg-type]  # just checked
        if label not in known:
            raise DataError(f"there is no {axis} {label!r}{_near(label, known)}")
    return dict(given)


def _variations(given: bool | list[str]) -> frozenset[str]:
    if isinstance(given, bool):
        return frozenset(KINDS) if given else frozenset()
    for name in given:
        if name not in KINDS:
            raise DataError(f"there is no variation {name!r}{_near(name, KINDS)}")
    return frozenset(given)


def _check_names(seed: Seed) -> None:
    """Every slot that is spoken of exists, and every one that exists is spoken of."""
    known = {*seed.slots, *seed.computed}
    texts = [*(wording.text for wording in seed.wordings), *seed.clauses]
    spoken: set[str] = set()
    for text in (*texts, seed.context):
        named = templates.names(text)
        spoken |= named
        for name in sorted(named - known - {_SCOPED}):
            raise DataError(
                f"{{{name}}} stands in {text[:40]!r} but is no slot{_near(name, known)}; "
                f"add it under slots, or write {{{{{name}}}}} to mean the braces"
            )
        if _SCOPED in named and not seed.context:
            raise DataError("{context} stands in a wording, but the seed has no context")
    for expression in (*seed.computed.values(), *seed.where, seed.answer, seed.difficulty):
        read_ = expression.names if expression else frozenset()
        spoken |= read_
        for name in sorted(read_ - known):
            raise DataError(f"{expression!r} reads {name!r}, which is no slot{_near(name, known)}")
    spoken |= templates.names(json.dumps([seed.reference, dict(seed.grader)], default=str))
    rows = [row for slot in seed.slots.values() if isinstance(slot, Rows) for row in slot.rows]
    spoken |= {name for row in rows for text in row.values() for name in templates.names(str(text))}
    for name in sorted(known - spoken):
        raise DataError(f"slot {name!r} is used nowhere; use it or drop it")


def _try(seed: Seed) -> None:
    """Fill everything once, so that what cannot be filled is found before a prompt is drawn."""
    for each in seed.slots.values():
        if isinstance(each, Rows):
            _check_rows(each.rows)
    drawn = {name: each.at(0) if each.size else "value" for name, each in seed.slots.items()}
    scope = scope_of(seed, drawn)
    for text in (*(wording.text for wording in seed.wordings), *seed.clauses, seed.context):
        templates.fill(text, {**scope, _SCOPED: ""})
    reference, grader = seed.answered(scope)
    # What a generator has yet to supply may be anything, a number too.
    if all(each.size for each in seed.slots.values()):
        _try_grader(grader, reference)
    seed.level(scope)
    for condition in seed.where:
        condition(scope)


def _try_grader(grader: Grader, reference: str) -> None:
    """Mark a reply, so that what is wrong with a grader is found before answers are paid for."""
    try:
        grader.grade(reference or "1", reference)
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
        raise DataError(f"its grader {grader.type!r} cannot mark a reply: {error}") from error


def _check_rows(rows: Sequence[Row]) -> None:
    for row in rows:
        if set(row) != set(rows[0]):
            raise DataError(f"the row {dict(row)!r} has other columns than the first one")


def _listed(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


def _near(name: str, known: Sequence[str] | Mapping[str, object] | set[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"
