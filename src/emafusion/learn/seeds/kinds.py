"""How a seed file writes each kind of slot.

Knows the notations (``["a", "b"]``, ``"1..100"``, ``{table = "…"}``, ``{generate = "…"}``) and
turns them into :mod:`emafusion.learn.seeds.slots`; knows no seed.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, DecimalException
from types import MappingProxyType
from typing import Final, TypeAlias

from emafusion.errors import DataError
from emafusion.learn.seeds.expressions import Row, Value
from emafusion.learn.seeds.slots import Days, Generated, Listed, Rows, Several, Slot, Span

Tables: TypeAlias = Mapping[str, tuple[Row, ...]]
_Given: TypeAlias = Mapping[str, object]

MOST_GENERATED: Final = 200
"""The most values a generator may be asked for in one slot."""
_NUMBER: Final = r"-?\d+(?:\.\d+)?"
_SPAN: Final = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?:\s+(?:step|by)\s+({_NUMBER}))?")
_DAYS: Final = re.compile(r"(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)")
_COUNT: Final = re.compile(r"([0-9]{1,3})(?:\.\.([0-9]{1,3}))?")
_MOST_ROWS: Final = 40
_MOST_NUMBERS: Final = 10**12
"""Of one range."""


def slot(what: object, tables: Tables) -> Slot:
    """The slot that a file writes as `what`; `tables` are the file's own, by name.

    Raises
    ------
    DataError
        It is no kind of slot, or an empty one.
    """
    if isinstance(what, list):
        return _values({"values": what}, tables)
    if isinstance(what, str):
        return _range(what)
    if not isinstance(what, dict):
        raise DataError(f"{what!r} fills nothing; write a list, a range such as '1..9', or a table")
    for key, (allowed, make) in _KINDS.items():
        if key in what:
            strange = sorted(set(what) - allowed - {key})
            if strange:
                known = ", ".join(sorted(allowed)) or "nothing else"
                raise DataError(f"{key} has no {strange[0]!r}; it takes {known}")
            return make(what, tables)
    raise DataError(f"{sorted(what)} is no kind of slot; use one of {', '.join(_KINDS)}, compute")


def _values(given: _Given, _: Tables) -> Slot:
    values = given["values"]
    if not isinstance(values, list) or not values:
        raise DataError("its values must be a list that is not empty")
    if any(isinstance(value, dict | list) for value in values):
        raise DataError("its values must be texts, numbers or dates; rows belong under 'rows'")
    return Listed(values=tuple(dict.fromkeys(values)))


def _range(text: str) -> Slot:
    days, numbers = _DAYS.fullmatch(text.strip()), _SPAN.fullmatch(text.strip())
    if days:
        return _between(*days.groups())
    if numbers is None:
        raise DataError(
            f"{text!r} is no range; write '1..100', '0.50..20.00 step 0.25', "
            "'2026-01-01..2026-12-31', or a list for a single value"
        )
    low, high = (_number(part) for part in numbers.group(1, 2))
    finest = min(Decimal(1).scaleb(-_places(part)) for part in numbers.group(1, 2))
    step = _number(numbers[3]) if numbers[3] else finest
    if isinstance(low, int) and isinstance(high, int) and not numbers[3]:
        step = 1
    if step <= 0 or low > high:
        raise DataError(f"{text!r} runs backwards; put the smaller end first and a step above 0")
    span = Span(low=low, high=high, step=step)
    try:
        large = span.size > _MOST_NUMBERS
    except DecimalException:
        large = True
    if large:
        raise DataError(f"{text!r} has more than {_MOST_NUMBERS} numbers; write a larger step")
    return span


def _between(first: str, last: str) -> Slot:
    try:
        begin, end = (datetime.date.fromisoformat(day) for day in (first, last))
    except ValueError as error:
        raise DataError(f"{first!r}..{last!r} are not days: {error}") from error
    if begin > end:
        raise DataError(f"'{first}..{last}' runs backwards; put the earlier day first")
    return Days(first=begin, last=end)


def _rows(given: _Given, tables: Tables) -> Slot:
    rows = Rows(rows=_table(given, tables))
    if "pick" not in given:
        return rows
    least, most = _count(given["pick"], "pick")
    return Several(
        columns=rows,
        least=least,
        most=most,
        each=_each(given),
        between=str(given.get("between", "\n")),
    )


def _table(given: _Given, tables: Tables) -> tuple[Row, ...]:
    if "table" in given:
        name = given["table"]
        if not isinstance(name, str) or name not in tables:
            raise DataError(f"there is no table {name!r}; write its rows as [[tables.{name}]]")
        rows: object = list(tables[name])
    else:
        rows = given["rows"]
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError("its rows must be a list of tables that is not empty")
    return tuple(rows)


def _repeated(given: _Given, tables: Tables) -> Slot:
    columns = given.get("columns")
    if not isinstance(columns, dict) or not columns:
        raise DataError("repeat needs columns, each written as a slot is")
    least, most = _count(given["repeat"], "repeat")
    made = {name: slot(what, tables) for name, what in columns.items()}
    if any(isinstance(column, Generated) for column in made.values()):
        raise DataError("a column cannot be generated; list its values")
    again = given.get("again", [])
    if not isinstance(again, list) or not all(name in list(made) for name in again):
        raise DataError("again must list columns, those whose values may occur more than once")
    return Several(
        columns=made,
        least=least,
        most=most,
        each=_each(given),
        between=str(given.get("between", "\n")),
        again=frozenset(again),
    )


def _generated(given: _Given, _: Tables) -> Slot:
    wanted, count = given["generate"], given.get("count", 20)
    values = given.get("values", [])
    if not isinstance(wanted, str) or not wanted.strip():
        raise DataError("generate says what values are wanted, for example 'short product names'")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_GENERATED:
        raise DataError(f"count must be a whole number from 1 to {MOST_GENERATED}")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise DataError("the values given beside generate must be a list of texts")
    texts: tuple[Value, ...] = tuple(dict.fromkeys(values))
    return Generated(values=texts, wanted=wanted.strip(), count=count)


def _each(given: _Given) -> str:
    each = given.get("each")
    if not isinstance(each, str) or "{" not in each:
        raise DataError("several rows need each, how one is written, such as '{item}: {price}'")
    return each


def _count(given: object, name: str) -> tuple[int, int]:
    ends = _COUNT.fullmatch(str(given)) if isinstance(given, int | str) else None
    if ends is None:
        raise DataError(f"{name} is how many rows, such as 4 or '3..5'")
    least, most = int(ends[1]), int(ends[2] or ends[1])
    if not 1 <= least <= most <= _MOST_ROWS:
        raise DataError(f"{name} must lie within 1 and {_MOST_ROWS}")
    return least, most


def _number(text: str) -> int | Decimal:
    return Decimal(text) if "." in text else int(text)


def _places(text: str) -> int:
    return len(text.partition(".")[2])


_SEVERAL: Final = ("each", "between")
_KINDS: Final[Mapping[str, tuple[frozenset[str], Callable[[_Given, Tables], Slot]]]] = (
    MappingProxyType(
        {
            "generate": (frozenset({"count", "values"}), _generated),
            "values": (frozenset(), _values),
            "rows": (frozenset({"pick", *_SEVERAL}), _rows),
            "table": (frozenset({"pick", *_SEVERAL}), _rows),
            "repeat": (frozenset({"columns", "again", *_SEVERAL}), _repeated),
        }
    )
)
