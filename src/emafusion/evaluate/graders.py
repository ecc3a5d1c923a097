"""Graders: does a reply earn its mark? A grader is data, so that it can be stored beside its
question. Knows the marking rules of each type; reads answers through :mod:`emafusion.answers`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from emafusion.answers import choice, conclusion, dates, literal, number, phrase, source, structured
from emafusion.answers.structured import Json
from emafusion.errors import DataError
from emafusion.evaluate import sql, trials
from emafusion.evaluate.constraints import satisfied
from emafusion.evaluate.listing import items

_PARAMS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "number": frozenset({"tolerance", "relative", "bare"}),
        "choice": frozenset({"options", "bare"}),
        "exact": frozenset({"aliases", "others", "sensitive", "bare"}),
        "json": frozenset({"fields", "tolerance", "unordered", "partial", "only"}),
        "list": frozenset({"unordered"}),
        "date": frozenset({"iso"}),
        "literal": frozenset(),
        "constraint": frozenset(
            {
                "max_words", "min_words", "words", "include", "any_of", "exclude", "case",
                "sentences", "bullets", "starts_with", "ends_with", "keep", "keep_share",
            }
        ),
        "code": frozenset({"entry", "cases", "timeout_s", "partial"}),
        "sql": frozenset({"setup", "ordered"}),
        "judged": frozenset({"rubric"}),
    }
)  # fmt: skip
_WORDS_IN_SENTENCE: Final = 40
_UNIT: Final = re.compile(r"(?<=\d)\s*(?:[A-Za-z]{1,4}|[€$£%])\s*\Z")
# Two answers joined by "or" are none; an "or" elsewhere in the sentence says nothing of it.
_ALTERNATIVE: Final = r" {0} (?:\w+ )?or | or (?:\w+ ){{0,2}}{0} "
_NUMBERS_OR: Final = re.compile(r"\d[^\s\d]*(?:\s+[A-Za-z%]+){0,2}\s+or\s+(?:\w+\s+){0,2}\W{0,2}\d")
_LETTERS_OR: Final = re.compile(
    r"(?<![A-Za-z])\(?([A-P])\)?\s*(?:or|and|/|,)\s*\(?([A-P])(?![A-Za-z])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grader:
    """How replies to one question are marked.

    Attributes
    ----------
    type
        One of :func:`types`.
    params
        What that type needs to know besides the reference; JSON values only.

    Raises
    ------
    DataError
        The type is unknown, or it has no such parameter.
    """

    type: str
    params: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = _PARAMS.get(self.type)
        if known is None:
            raise DataError(f"unknown grader type {self.type!r}; use one of {', '.join(types())}")
        strange = sorted(set(self.params) - known)
        if strange:
            raise DataError(
                f"grader {self.type!r} has no parameter {strange[0]!r}; "
                f"it has {', '.join(sorted(known)) or 'none'}"
            )

    def grade(self, text: str, reference: str) -> float:
        """The mark of a reply, 0 to 1; NaN of type ``judged``, whose replies others tell apart.

        Parameters
        ----------
        text
            The model's whole reply.
        reference
            The right answer; unused by ``constraint`` and ``code``, whose parameters say it all,
            and by ``judged``.

        Raises
        ------
        DataError
            The reference or a parameter cannot be read as this type needs it.
        """
        return _MARKS[self.type](text, reference, self.params)

    def to_json(self) -> str:
        """One line of JSON, names sorted."""
        return json.dumps({"type": self.type, **self.params}, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Grader:
        """The inverse of :meth:`to_json`; raises :class:`DataError` for anything else."""
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise DataError(f"a grader is not JSON: {error}") from error
        if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
            raise DataError("a grader must be a JSON object with a 'type'")
        return cls(type=fields.pop("type"), params=fields)


def types() -> tuple[str, ...]:
    """The names of all grader types."""
    return tuple(_PARAMS)


def _number(text: str, reference: str, params: Mapping[str, Json]) -> float:
    expected = number.whole(reference)
    if expected is None:
        raise DataError(f"the reference {reference!r} of a number question is not a number")
    slack = _slack(params, "tolerance", 0) + abs(expected) * _slack(params, "relative", 0)
    if params.get("bare") and number.whole(text) is None:
        return 0.0
    found = number.extract(text)
    if found is None or _NUMBERS_OR.search(_ending(text)):
        return 0.0
    return float(abs(Fraction(found.key) - expected) <= max(slack, _ROUNDING * abs(expected)))


_ROUNDING: Final = Fraction(1, 10**9)


def _choice(text: str, reference: str, params: Mapping[str, Json]) -> float:
    options = params.get("options", {})
    if not isinstance(options, Mapping):
        raise DataError(f"the options of a choice question map letters to texts, not {options!r}")
    if params.get("bare") and len(text.strip(" \n.()*")) != 1:
        return 0.0
    if _LETTERS_OR.search(_ending(text)):
        return 0.0
    found = choice.extract(text)
    if found is not None:
        return float(found.key == reference.upper())
    # A reply may name the option's text instead of its letter.
    right = str(options.get(reference, ""))
    others = [str(option) for letter, option in options.items() if letter != reference]
    return _mentions(text, [right], others)


def _exact(text: str, reference: str, params: Mapping[str, Json]) -> float:
    accepted = [reference, *_strings(params.get("aliases"))]
    if params.get("sensitive"):
        return _verbatim(text, accepted)
    keys = {phrase.fold(answer) for answer in accepted}
    if params.get("bare"):
        return float(phrase.fold(text) in keys)
    found = phrase.extract(text)
    if found is not None and found.key in keys:
        return 1.0
    return _mentions(text, accepted, _strings(params.get("others")))


def _verbatim(text: str, accepted: Sequence[str]) -> float:
    stated = conclusion.conclusion(text)
    for candidate in (text, stated or "", conclusion.bold(text) or "", conclusion.last_line(text)):
        bare = candidate.strip(" \n\t`*\"'")
        if bare in accepted or bare.rstrip(".") in accepted:
            return 1.0
    quoted = re.findall(r"[\"'`*]([^\"'`*\n]+)[\"'`*]", text)
    return float(bool(quoted) and quoted[-1].strip().rstrip(".") in accepted)


def _mentions(text: str, accepted: Sequence[str], others: Sequence[str]) -> float:
    """Whether a sentence or so names an accepted answer and no rival, without hedging."""
    if len(text.split()) > _WORDS_IN_SENTENCE:
        return 0.0
    said = f" {phrase.fold(text)} "
    keys = sorted({key for answer in accepted if (key := phrase.fold(answer))}, key=len)
    if not any(f" {key} " in said and f" not {key} " not in said for key in keys):
        return 0.0
    if any(re.search(_ALTERNATIVE.format(re.escape(key)), said) for key in keys):
        return 0.0
    for key in reversed(keys):
        said = said.replace(f" {key} ", "  ")
    return float(not any(f" {phrase.fold(other)} " in said for other in others))


def _json(text: str, reference: str, params: Mapping[str, Json]) -> float:
    expected = _load(reference)
    if params.get("only") and not text.strip().startswith(("{", "[", "```")):
        return 0.0
    found = structured.find(text)
    if found is None:
        return 0.0
    value = found[0]
    if isinstance(expected, dict) and isinstance(value, list) and len(value) == 1:
        value = value[0]
    slack = float(_slack(params, "tolerance", 1e-9))
    unordered = bool(params.get("unordered"))
    if not isinstance(expected, dict):
        return float(_same(value, expected, slack, unordered=unordered))
    if not isinstance(value, dict):
        return 0.0
    named = {_name(name): item for name, item in value.items()}
    fields = _strings(params.get("fields")) or list(expected)
    right = [
        _name(name) in named
        and _same(named[_name(name)], expected[name], slack, unordered=unordered)
        for name in fields
    ]
    return sum(right) / len(right) if params.get("partial") else float(all(right))


def _same(found: Json, expected: Json, slack: float, *, unordered: bool) -> bool:
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return False
        named = {_name(name): item for name, item in found.items()}
        return all(
            _name(name) in named and _same(named[_name(name)], item, slack, unordered=unordered)
            for name, item in expected.items()
        )
    if isinstance(expected, list):
        return _same_list(found, expected, slack, unordered=unordered)
    if isinstance(expected, bool) or expected is None:
        return found is expected or phrase.fold(str(found)) == phrase.fold(str(expected))
    if isinstance(expected, int | float):
        value = number.whole(_UNIT.sub("", str(found)))
        return value is not None and abs(value - Fraction(str(expected))) <= slack
    return _same_text(str(found), expected)


def _same_list(found: Json, expected: Sequence[Json], slack: float, *, unordered: bool) -> bool:
    if not isinstance(found, list) or len(found) != len(expected):
        return False
    if not unordered:
        pairs = zip(found, expected, strict=True)
        return all(_same(a, b, slack, unordered=False) for a, b in pairs)
    left = list(found)
    for item in expected:
        match = next(
            (n for n, other in enumerate(left) if _same(other, item, slack, unordered=True)), -1
        )
        if match < 0:
            return False
        left.pop(match)
    return True


def _same_text(found: str, expected: str) -> bool:
    said, right = phrase.fold(found), phrase.fold(expected)
    # "helmet" for "helmets" copies the same thing.
    if said == right or (right.isalpha() and said.removesuffix("s") == right.removesuffix("s")):
        return True
    days = dates.dates(expected)
    return bool(days) and days[0].span == expected and _date(found, days[0].key, {}) == 1.0


def _list(text: str, reference: str, params: Mapping[str, Json]) -> float:
    expected = _load(reference)
    if not isinstance(expected, list):
        raise DataError(f"the reference {reference!r} of a list question is not a JSON array")
    right = [phrase.fold(str(item)) for item in expected]
    said = [phrase.fold(item) for item in items(text, len(right))]
    if params.get("unordered"):
        return float(sorted(said) == sorted(right))
    return float(said == right)


def _date(text: str, reference: str, params: Mapping[str, Json]) -> float:
    if params.get("iso") and reference not in text:
        return 0.0
    found = dates.extract(text)
    return float(found is not None and found.key == reference)


def _literal(text: str, reference: str, _: Mapping[str, Json]) -> float:
    expected = literal.extract(reference)
    found = literal.extract(text)
    return float(found is not None and expected is not None and found.key == expected.key)


def _constraint(text: str, _: str, params: Mapping[str, Json]) -> float:
    return float(satisfied(text, params))


def _code(text: str, _: str, params: Mapping[str, Json]) -> float:
    cases = params.get("cases")
    if not isinstance(cases, list) or not cases:
        raise DataError("a code grader needs a non-empty list of 'cases'")
    passed = trials.passed(
        source.program(text),
        str(params.get("entry", "")),
        cases,
        timeout_s=float(str(params.get("timeout_s", 5.0))),
    )
    return passed / len(cases) if params.get("partial") else float(passed == len(cases))


def _sql(text: str, reference: str, params: Mapping[str, Json]) -> float:
    setup = str(params.get("setup", ""))
    return float(sql.agrees(text, reference, setup=setup, ordered=bool(params.get("ordered"))))


def _judged(_: str, __: str, ___: Mapping[str, Json]) -> float:
    return math.nan


def _slack(params: Mapping[str, Json], name: str, usual: float) -> Fraction:
    value = params.get(name, usual)
    try:
        number = float(str(value))
    except ValueError:
        number = -1.0
    if not 0.0 <= number < math.inf:
        raise DataError(f"the {name} of a grader is a number from 0 up, not {value!r}")
    return Fraction(str(number))


def _ending(text: str) -> str:
    return conclusion.conclusion(text) or conclusion.last_line(text)


def _name(name: str) -> str:
    return name.casefold().replace(" ", "_").replace("-", "_")


def _strings(value: Json) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _load(reference: str) -> Json:
    try:
        value: Json = json.loads(reference)
    except ValueError as error:
        raise DataError(f"the reference {reference!r} is not JSON: {error}") from error
    return value


_MARKS: Final[Mapping[str, Callable[[str, str, Mapping[str, Json]], float]]] = MappingProxyType(
    {
        "number": _number,
        "choice": _choice,
        "exact": _exact,
        "json": _json,
        "list": _list,
        "date": _date,
        "literal": _literal,
        "constraint": _constraint,
        "code": _code,
        "sql": _sql,
        "judged": _judged,
    }
)
