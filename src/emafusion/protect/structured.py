"""All values that have a form, found in one reading of a text.

Takes time in proportion to the text: every pattern is bounded. Knows which recognisers there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers import contacts, cued, numbers, places, secrets
from emafusion.protect.recognisers.reading import Reading, seen

Recogniser = Callable[[Reading], Iterator[Entity]]
RECOGNISERS: tuple[Recogniser, ...] = (
    contacts.mails,
    contacts.links,
    contacts.addresses,
    contacts.phones,
    numbers.accounts,
    numbers.cards,
    numbers.identities,
    secrets.keys,
    secrets.passwords,
    cued.cued,
    places.streets,
)
LONG = 50_000
"""Characters that take longer than others may wait: about 30 ms."""


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
        """The entities in `text`, those too that unseen characters cut through."""
        # A long text would keep everybody else waiting.
        return await asyncio.to_thread(self.found, text) if len(text) > LONG else self.found(text)

    def found(self, text: str) -> list[Entity]:
        """As :meth:`detect`."""
        visible, places = seen(text)
        reading = Reading(visible)
        found = [entity for recognise in self._recognisers for entity in recognise(reading)]
        if places is None:
            return found
        return [
            Entity(
                kind=one.kind,
                start=places[one.start],
                end=places[one.end - 1] + 1,
                score=one.score,
            )
            for one in found
        ]
