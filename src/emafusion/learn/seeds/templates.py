"""Texts with slots: ``{name}``, ``{row.column}``, ``{price:.2f}``, ``{day:%d %B %Y}``.

Knows what a slot looks like in a text and how a value is written there. Every other brace is
literal, so that JSON and code need no escaping; ``{{name}}`` writes ``{name}``.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from emafusion.answers.structured import Json
from emafusion.errors import DataError
from emafusion.learn.seeds.expressions import WEEKDAYS, Scope, Value

SLOT: Final = re.compile(
    r"\{\{(?P<literal>[A-Za-z_]\w*)\}\}"
    r"|\{(?P<name>[A-Za-z_]\w*)(?:\.(?P<column>[A-Za-z_]\w*))?(?::(?P<form>[^{}\n]*))?\}"
)
_NUMBER_FORM: Final = re.compile(r"[+,]{0,2}(?:\d{1,2})?(?:\.\d)?[dfe%]?")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


class Written(tuple[Value, ...]):
    """Several values with the text that stands for them all."""

    text: str

    def __new__(cls, values: Sequence[Value], text: str) -> Written:
        """The values, written as `text`."""
        made = super().__new__(cls, values)
        made.text = text
        return made


def names(text: str) -> frozenset[str]:
    """The slots that `text` has."""
    return frozenset(found["name"] for found in SLOT.finditer(text) if found["name"])


def fill(text: str, scope: Scope) -> str:
    """`text` with its slots written out.

    Raises
    ------
    DataError
        A slot is not in `scope`, has no such column, or cannot be written in the form asked for.
    """
    return SLOT.sub(lambda found: _literal(found) if found["literal"] else _one(found, scope), text)


def fill_known(text: str, scope: Scope) -> str:
    """`text` with those of its slots written out that `scope` has, the others left as they are."""
    return SLOT.sub(
        lambda found: _one(found, scope) if found["name"] in scope else found.group(), text
    )


def fill_json(value: object, scope: Scope) -> Json:
    """A JSON value with the slots in its texts filled.

    A text that is one slot and nothing else becomes the slot's own value, so a number stays one.
    """
    if isinstance(value, Mapping):
        return {fill(str(name), scope): fill_json(item, scope) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill_json(item, scope) for item in value]
    if isinstance(value, str):
        whole = SLOT.fullmatch(value)
        if whole and whole["name"] and whole["form"] is None:
            return plain(_value(whole, scope))
        return fill(value, scope)
    return plain(value)


def plain(value: object) -> Json:
    """A value as JSON has it: exact decimals as numbers, dates as ISO text."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)


def write(value: Value, form: str = "") -> str:
    """How a value stands in a text, in the form asked for; months and days are in English."""
    if isinstance(value, Written):
        return value.text
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, datetime.date):
        return _day(value, form or "%Y-%m-%d")
    if isinstance(value, int | Decimal):
        return _number(value, form)
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return ", ".join(write(item, form) for item in value)
    raise DataError(f"a {type(value).__name__} cannot be written; name one of its columns")


def _literal(found: re.Match[str]) -> str:
    return "{" + found["literal"] + "}"


def _one(found: re.Match[str], scope: Scope) -> str:
    try:
        return write(_value(found, scope), found["form"] or "")
    except DataError as error:
        raise DataError(f"{found.group()}: {error}") from error


def _value(found: re.Match[str], scope: Scope) -> Value:
    name, column = found["name"], found["column"]
    if name not in scope:
        raise DataError(f"there is no slot {name!r}; double the braces to mean them literally")
    value = scope[name]
    if column is None:
        return value
    if not isinstance(value, Mapping) or column not in value:
        raise DataError(f"slot {name!r} has no column {column!r}")
    return value[column]


def _number(value: int | Decimal, form: str) -> str:
    if not _NUMBER_FORM.fullmatch(form):
        raise DataError(f"{form!r} is no form for a number; try '.2f' or ','")
    try:
        return format(value, form) if form else _bare(value)
    except ValueError as error:
        raise DataError(f"{value} cannot be written as {form!r}: {error}") from error


def _bare(value: int | Decimal) -> str:
    return str(value) if isinstance(value, int) else format(value, "f")


def _day(day: datetime.date, form: str) -> str:
    # Not strftime's own names: they change with the machine's locale.
    named = (
        form.replace("%B", _MONTHS[day.month - 1])
        .replace("%b", _MONTHS[day.month - 1][:3])
        .replace("%A", WEEKDAYS[day.weekday()])
        .replace("%a", WEEKDAYS[day.weekday()][:3])
        .replace("%-d", str(day.day))
        .replace("%-m", str(day.month))
    )
    return day.strftime(named)
