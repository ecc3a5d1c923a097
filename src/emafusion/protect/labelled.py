"""People's names that a key or the head of a column says are some, in texts of any length.

The process that finds names reads a long text in pieces, of which only the first has the head of a
table. Knows the keys of names, no name.
"""

from __future__ import annotations

from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.names import CUES, KIND, VALUE, is_name
from emafusion.protect.pieces import LONGEST
from emafusion.protect.recognisers.reading import Reading
from emafusion.protect.recognisers.tables import tabled


def labelled(reading: Reading) -> Iterator[Entity]:
    """The names behind keys and under heads of what is more than one piece."""
    if len(reading.text) <= LONGEST:
        return
    yield from tabled(reading, ((KIND, CUES, is_name),))
    for place in CUES.ends(reading):
        found = VALUE.match(reading.text, place)
        if found is not None and is_name(found["value"]):
            yield Entity(kind=KIND, start=found.start("value"), end=found.end("value"), score=0.45)
