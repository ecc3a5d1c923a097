from __future__ import annotations

import datetime
import itertools
import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.learn.families import Split
from emafusion.learn.seeds import Seed, Wording, kinds
from emafusion.learn.seeds.expressions import Expression
from emafusion.learn.seeds.filling import Filling, fillings
from emafusion.learn.seeds.seed import ALL
from emafusion.learn.seeds.slots import Slot

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def seeded(slots: dict[str, Slot], *where: str) -> Seed:
    return Seed(
        name="s",
        source="s.toml",
        wordings=(Wording(id="w0", text="x", splits=ALL),),
        slots=slots,
        where=tuple(Expression(text) for text in where),
    )


def drawn(seed: Seed, split: Split, draw: int = 1, most: int = 10_000) -> list[Filling]:
    return list(itertools.islice(fillings(seed, split, random.Random(draw)), most))


def written(*values: object) -> list[Slot]:
    return [kinds.slot(value, {}) for value in values]


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 5))
def test_the_splits_divide_the_whole_product_whatever_is_drawn_from(
    a: int, b: int, draw: int
) -> None:
    first, second = written(f"1..{a}", [f"v{n}" for n in range(b)])
    seed = seeded({"a": first, "b": second})
    parts = [[filling.digest for filling in drawn(seed, split, draw)] for split in SPLITS]
    together = [digest for part in parts for digest in part]
    assert len(together) == len(set(together)) == a * b
    assert {f.digest for f in drawn(seed, "train", draw + 1)} == set(parts[0])


def test_an_endless_product_gives_distinct_fillings() -> None:
    (number,) = written("1..999999999999")
    found = drawn(seeded({"a": number}), "val", most=3_000)
    assert len({filling.digest for filling in found}) == 3_000


def test_a_condition_that_nothing_meets_ends_the_drawing() -> None:
    (number,) = written("1..999999999999")
    assert drawn(seeded({"a": number}, "a < 0"), "train") == []


def test_rows_of_a_longer_table_are_divided_and_those_of_a_shorter_serve_all() -> None:
    long, short, number = written(
        {"rows": [{"x": n} for n in range(20)]}, {"rows": [{"x": 1}, {"x": 2}]}, "1..40"
    )
    seed = seeded({"long": long, "short": short, "n": number})
    rows = {split: {r for f in drawn(seed, split) for r in f.rows} for split in SPLITS}
    assert [len(rows[split]) for split in SPLITS] == [12, 3, 5]
    assert len(set().union(*rows.values())) == 20
    for split in SPLITS:
        assert {str(f.values["short"]) for f in drawn(seed, split)} == {"{'x': 1}", "{'x': 2}"}


def test_several_rows_repeat_no_listed_value_except_where_they_may() -> None:
    columns = {"a": ["x", "y", "z"], "b": ["p", "q", "r"], "c": "1..2"}
    (slot,) = written(
        {"repeat": 3, "each": "{a}-{b}", "between": "; ", "columns": columns, "again": ["b"]}
    )
    seen = set()
    for index in range(200):
        value = slot.at(index)
        assert isinstance(value, tuple)
        rows = [row for row in value if isinstance(row, dict)]
        assert sorted(str(row["a"]) for row in rows) == ["x", "y", "z"]
        seen.add(len({row["b"] for row in rows}))
        assert value.text == "; ".join(f"{row['a']}-{row['b']}" for row in rows)  # type: ignore[attr-defined]  # it is Written
        assert slot.at(index) == value
    assert seen == {1, 2, 3}


@pytest.mark.parametrize(
    ("notation", "size", "first", "last"),
    [
        ("1..9", 9, 1, 9),
        ("-3..3 step 2", 4, -3, 3),
        ("0.50..2.00 step 0.25", 7, Decimal("0.50"), Decimal("2.00")),
        ("1.5..1.7", 3, Decimal("1.5"), Decimal("1.7")),
        ("2026-02-27..2026-03-01", 3, datetime.date(2026, 2, 27), datetime.date(2026, 3, 1)),
        (["a", "b", "a"], 2, "a", "b"),
    ],
)
def test_notations(notation: object, size: int, first: object, last: object) -> None:
    (slot,) = written(notation)
    assert (slot.size, slot.at(0), slot.at(size - 1)) == (size, first, last)
