"""What one may ask of a transaction that is open, whichever database it is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
Cell = str | int | float | None

_SCHEMES = ("postgres://", "postgresql://")


class Connection(Protocol):
    """A transaction that is open."""

    def rows(self, kind: type[T], sql: str, *values: Cell) -> list[T]:
        """What `sql` returns, each row as a `kind`."""
        ...

    def run(self, sql: str, *values: Cell) -> int:
        """How many rows `sql` changed."""
        ...

    def run_each(self, sql: str, each: Sequence[Sequence[Cell]]) -> list[int]:
        """How many rows `sql` changed with each of these values; in few round trips."""
        ...

    def clock(self) -> float:
        """The database's own time, seconds since 1970: one for all who ask it."""
        ...

    def run_all(self, sql: str, each: Sequence[Sequence[Cell]]) -> None:
        """Run `sql` with each of these values; as :meth:`run_each` where nobody counts."""
        ...


def is_address(place: str) -> bool:
    """Whether `place` is a server's address, not a file's path."""
    return place.startswith(_SCHEMES)
