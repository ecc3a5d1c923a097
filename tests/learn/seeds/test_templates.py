from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from emafusion.errors import DataError
from emafusion.learn.seeds.expressions import Value
from emafusion.learn.seeds.templates import fill, fill_json, names

SCOPE: dict[str, Value] = {
    "n": 12345,
    "price": Decimal("2.5"),
    "day": datetime.date(2026, 3, 5),
    "row": {"city": "Oslo"},
    "braces": "{n}",
}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{n} and {row.city}", "12345 and Oslo"),
        ("{price:.2f} {n:,}", "2.50 12,345"),
        ("{day} {day:%-d %B %Y} {day:%a}", "2026-03-05 5 March 2026 Thu"),
        ('{"n": {n}, "m": {"k": 1}}', '{"n": 12345, "m": {"k": 1}}'),
        ("{{n}} {n}", "{n} 12345"),
        # What a value holds is never filled in turn.
        ("{braces}", "{n}"),
    ],
)
def test_slots_are_written_and_other_braces_are_not_touched(text: str, filled: str) -> None:
    assert fill(text, SCOPE) == filled


@pytest.mark.parametrize("text", ["{gone}", "{row}", "{row.town}", "{n:>999999999}", "{n.x}"])
def test_what_cannot_be_written_is_told(text: str) -> None:
    with pytest.raises(DataError):
        fill(text, SCOPE)


def test_json_keeps_the_kind_of_a_value_that_stands_alone() -> None:
    assert fill_json({"a": "{n}", "b": ["{price}", "no {n}"]}, SCOPE) == {
        "a": 12345,
        "b": [2.5, "no 12345"],
    }


def test_names() -> None:
    assert names("{a} {b.c} {{d}} {e:.2f} { f }") == {"a", "b", "e"}
