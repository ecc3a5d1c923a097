"""What fills a slot: listed values, ranges, days, rows of a table, several rows at once.

Each kind knows how many fillings it has and which one stands at an index, so that a cross product
can be drawn from without repeats and without being listed. None knows the text it stands in.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Protocol

from emafusion.learn.seeds.expressions import Row, Value
from emafusion.learn.seeds.templates import Written, fill

FEWEST_SPLIT: Final = 10
"""Tables of this many rows or more are divided among the splits; smaller ones serve them all."""
_ENDLESS: Final = 2**48


class Slot(Protocol):
    """A kind of filling."""

    @property
    def size(self) -> int:
        """How many fillings there are; 0 where a generator has yet to supply them."""
        ...

    def at(self, index: int) -> Value:
        """The filling at an index from 0 to ``size - 1``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Given values, without doubles."""

    values: tuple[Value, ...]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.values)

    def at(self, index: int) -> Value:
        """One of them."""
        return self.values[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated(Listed):
    """Values of which a generator model supplies more: `count` in all, as `wanted` describes."""

    wanted: str
    count: int

    def extended(self, more: Sequence[str]) -> Generated:
        """The same with `more` values, up to `count`."""
        return replace(self, values=tuple(dict.fromkeys((*self.values, *more)))[: self.count])


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Numbers from `low` to `high` in steps of `step`, both ends included."""

    low: int | Decimal
    high: int | Decimal
    step: int | Decimal

    @property
    def size(self) -> int:
        """How many there are."""
        return int((self.high - self.low) // self.step) + 1

    def at(self, index: int) -> Value:
        """`low` and `index` steps."""
        return self.low + index * self.step


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Days from `first` to `last`, both included."""

    first: datetime.date
    last: datetime.date

    @property
    def size(self) -> int:
        """How many there are."""
        return (self.last - self.first).days + 1

    def at(self, index: int) -> Value:
        """`first` and `index` days."""
        return self.first + datetime.timedelta(days=index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of a table: one row fills all columns together."""

    rows: tuple[Row, ...]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.rows)

    def at(self, index: int) -> Value:
        """One of them."""
        return self.rows[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """Several rows at once, each written with `each`, joined by `between`.

    Rows are picked from a table, or made of columns that are slots of their own. Neither a row nor
    a listed value of a column occurs twice, as far as there are enough; in the columns `again` it
    may.
    """

    columns: Rows | Mapping[str, Slot]
    least: int
    most: int
    each: str
    between: str = "\n"
    again: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """As good as endless."""
        return _ENDLESS

    def at(self, index: int) -> Value:
        """The rows that the index, as the seed of a random source, draws."""
        rng = random.Random(f"several/{index}")
        count = rng.randint(self.least, self.most)
        rows = self._rows(rng, count)
        return Written(rows, self.between.join(fill(self.each, row) for row in rows))

    def _rows(self, rng: random.Random, count: int) -> list[Row]:
        if isinstance(self.columns, Rows):
            return rng.sample(self.columns.rows, min(count, self.columns.size))
        drawn = {
            name: _drawn(slot, rng, count, again=name in self.again)
            for name, slot in self.columns.items()
        }
        return [{name: values[n] for name, values in drawn.items()} for n in range(count)]


def _drawn(slot: Slot, rng: random.Random, count: int, *, again: bool) -> list[Value]:
    if isinstance(slot, Listed) and slot.size >= count and not again:
        return [slot.at(index) for index in rng.sample(range(slot.size), count)]
    return [slot.at(rng.randrange(slot.size)) for _ in range(count)]
