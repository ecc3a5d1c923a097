"""What a detector says: where in a text stands what kind of sensitive value.

Knows the kinds by name. It knows neither how they are found nor what is done about them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Protocol

from emafusion.types.values import Value

KINDS = (
    "EMAIL", "PHONE", "IBAN", "CARD", "KEY", "URL", "IP", "ID", "BIRTH", "PASSPORT", "LICENCE",
    "TERM", "PERSON", "ADDRESS",
)  # fmt: skip
"""The kinds that detectors here find; a detector of one's own may name others."""
LITERAL = "TEXT"
"""The kind of what merely looks like one of a request's placeholders."""
NAME = re.compile(r"[A-Z]{2,12}")


class Entity(Value, frozen=True, kw_only=True):
    """A value of `kind` at ``text[start:end]``; of two that overlap, the higher `score` stands."""

    kind: str
    start: int
    end: int
    score: float = 1.0


class Detector(Protocol):
    """Finds sensitive values in a text.

    What runs code that could hang belongs behind a :class:`~emafusion.protect.fence.Fence`.
    """

    @property
    def name(self) -> str:
        """What the record calls it where it failed."""
        ...

    async def detect(self, text: str) -> Sequence[Entity]:
        """The entities in `text`, in any order."""
        ...


def sound(found: object, text: str) -> bool:
    """Whether what a detector returned can be true of `text` at all."""
    if not isinstance(found, (list, tuple)):
        return False
    return all(_sound(one, len(text)) for one in found)


def _sound(one: object, length: int) -> bool:
    return (
        isinstance(one, Entity)
        and isinstance(one.kind, str)
        and NAME.fullmatch(one.kind) is not None
        and type(one.start) is int
        and type(one.end) is int
        and 0 <= one.start < one.end <= length
        and isinstance(one.score, (int, float))
    )


def apart(entities: Iterable[Entity]) -> list[Entity]:
    """`entities` in order and without overlap: the surer stands, of equals the longer.

    What of an outdone entity lies outside the others still counts, so that nothing found is
    shown: its rest keeps its kind.
    """
    kept: list[Entity] = []
    starts: list[int] = []
    for one in sorted(entities, key=lambda e: (-e.score, e.start - e.end, e.start)):
        for start, end in _outside(one, kept, starts):
            place = bisect_right(starts, start)
            starts.insert(place, start)
            piece = Entity(kind=one.kind, start=start, end=end, score=one.score)
            kept.insert(place, piece)
    return kept


def _outside(one: Entity, kept: Sequence[Entity], starts: Sequence[int]) -> list[tuple[int, int]]:
    """The parts of `one` that none of `kept`, which are in order and apart, covers."""
    free, start = [], one.start
    for place in range(max(bisect_right(starts, one.start) - 1, 0), len(kept)):
        other = kept[place]
        if other.start >= one.end:
            break
        if start < other.start:
            free.append((start, other.start))
        start = max(start, other.end)
    return [*free, (start, one.end)] if start < one.end else free
