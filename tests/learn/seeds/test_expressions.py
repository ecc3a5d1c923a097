from __future__ import annotations

import datetime
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.errors import DataError
from emafusion.learn.seeds.expressions import Expression, Value

SCOPE: dict[str, Value] = {
    "price": Decimal("2.50"),
    "count": 4,
    "name": "Ada Lovelace",
    "day": datetime.date(2026, 3, 30),
    "row": {"city": "Oslo", "units": 7},
    "rows": [{"city": "Oslo", "units": 7}, {"city": "Rome", "units": 5}],
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("price * count", Decimal("10.00")),
        ("0.1 + 0.2 == 0.3", True),
        ("7 / 2", Decimal("3.5")),
        ("-7 // 2", -4),
        ("round(2.345, 2)", Decimal("2.35")),
        ("round(2.5)", 3),
        ("2 < count <= 4 and not name.startswith('B')", True),
        ("name.split(' ')[0].upper()", "ADA"),
        ("name[:3]", "Ada"),
        ("row.city + '!'", "Oslo!"),
        ("sum(r.units for r in rows if r.city != 'Rome')", 7),
        ("[r.city for r in rows]", ["Oslo", "Rome"]),
        ("'many' if count > 3 else 'few'", "many"),
        ("weekday(day + days(3))", "Thursday"),
        ("(day + days(3)).month", 4),
        ("', '.join(sorted([r.city for r in rows]))", "Oslo, Rome"),
    ],
)
def test_what_it_works_out(source: str, value: Value) -> None:
    assert Expression(source)(SCOPE) == value


def test_it_knows_the_slots_it_reads() -> None:
    assert Expression("sum(r.units for r in rows if r.city == row.city)").names == {"rows", "row"}


@pytest.mark.parametrize(
    "source",
    [
        "__import__('os').system('true')",
        "name.__class__",
        "().__class__.__bases__",
        "open('/etc/passwd')",
        "lambda: 1",
        "(x := 3)",
        "f'{name}'",
        "{'a': 1}",
        "name.format(row)",
        "name.encode()",
        "[a for a in rows for b in rows]",
        "max(*rows)",
        "round(number=3)",
        "1 if",
        "b'bytes'",
        "rows[::2]",
        "(" * 300 + ")" * 300,
        "not " * 2000 + "name",
        "name + '\\ud800'",
    ],
)
def test_what_the_language_does_not_have(source: str) -> None:
    with pytest.raises(DataError):
        Expression(source)


@pytest.mark.parametrize(
    "source",
    [
        "9 ** 9 ** 9",
        "2 ** -1",
        "'ab' * 999999999",
        "[1] * 999999999",
        "99 ** 64",
        "('a' * 9999).replace('a', 'b' * 9999)",
        "('a' * 9999).join([name, name, name, name])",
        "[[a for a in 'x'.split(' ')] for b in rows] * 9999999",
        "1 / 0",
        "nothing + 1",
        "row.town",
        "'%s' % name",
        "name + 1",
        "rows[7]",
        "day + days(99999999)",
        "sum(sum(sum(1 for a in c) for b in c) for c in [[0] * 200, [0] * 200])",
        "sum([[1], [2]], [])",
        "sum(rows)",
        "str(rows)",
        "str(row)",
        "name.replace('a')",
    ],
)
def test_what_cannot_be_worked_out_is_told(source: str) -> None:
    with pytest.raises(DataError):
        Expression(source)(SCOPE)


@pytest.mark.parametrize(
    "source",
    [
        "len(('a' * 20000).replace('a', 'b' * 20000, 20000))",
        "len(str([['a' * 20000] * 20000]))",
        "sum([[0] * 20000] * 20000, [])",
        "[[[0] * 20000] * 20000] == [[[0] * 20000] * 20000]",
        "len([len(sorted([i] * 20000)) for i in [0] * 6000])",
        "len([[name * 1000] * 10 for i in [0] * 6000])",
    ],
)
def test_work_and_memory_are_bounded_before_they_are_spent(source: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="too"):
            Expression(source)(SCOPE)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@settings(deadline=None)
@given(st.integers(-999, 999), st.integers(-999, 999), st.integers(1, 99))
def test_whole_numbers_reckon_as_in_python(a: int, b: int, c: int) -> None:
    found = Expression("(a + b) * c - a % c + b // c")({"a": a, "b": b, "c": c})
    assert found == (a + b) * c - a % c + b // c
