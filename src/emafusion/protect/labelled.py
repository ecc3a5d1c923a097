"""People's names that a key or the head of a column says are some, in texts of any length.

The process that finds names reads a long text in pieces, of which only the first has the head of a
table. Knows the keys of names, no name.
"""

from __future__ import annotations

from collections.abc import Iterator

from emafusion.protect import names
from emafusion.protect.entities import Entity
from emafusion.protect.pieces import LONGEST
from emafusion.protect.recognisers.reading import Reading


def labelled(reading: Reading) -> Iterator[Entity]:
    """The names behind keys and under heads of what is more than one piece."""
    if len(reading.text) > LONGEST:
        yield from names.told(reading)
