"""All values that have a form, found in one reading of a text.

Takes time in proportion to the text: every pattern is bounded. Knows which recognisers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers import (
    contacts,
    cued,
    identities,
    mails,
    named,
    numbers,
    passwords,
    phones,
    places,
    secrets,
    streets,
    tables,
)
from emafusion.protect.recognisers.plain import plain
from emafusion.protect.recognisers.reading import Reading

Recogniser = Callable[[Reading], Iterator[Entity]]
RECOGNISERS: tuple[Recogniser, ...] = (
    mails.mails,
    contacts.links,
    contacts.addresses,
    phones.phones,
    numbers.accounts,
    numbers.cards,
    identities.identities,
    secrets.keys,
    passwords.passwords,
    named.secrets,
    cued.cued,
    tables.tabled,
    places.streets,
    streets.abroad,
)


class Structured:
    """A :class:`~emafusion.protect.entities.Detector` of values that have a form.

    Parameters
    ----------
    recognisers : sequence of callable
        What finds them.
    """

    name = "structured"

    def __init__(self, recognisers: Sequence[Recogniser] = RECOGNISERS) -> None:
        self._recognisers = tuple(recognisers)

    async def detect(self, text: str) -> Sequence[Entity]:
        """The entities in `text`, in disguise too; who asks sees to it that nobody waits."""
        return self.found(text)

    def found(self, text: str) -> list[Entity]:
        """As :meth:`detect`."""
        said, back = plain(text)
        reading = Reading(said, () if back is None else back.quotes)
        found = [entity for recognise in self._recognisers for entity in recognise(reading)]
        if back is None:
            return found
        moved = []
        for one in found:
            start, end = back(one.start, one.end)
            moved.append(Entity(kind=one.kind, start=start, end=end, score=one.score))
        return moved
