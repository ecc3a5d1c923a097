"""From what detectors found to a text without it.

Knows how entities of many texts are told apart when they were read as one, and that a value found
once is taken out everywhere. It knows no detector and no policy.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Final

from emafusion.protect.bare import Numbers
from emafusion.protect.entities import Entity, apart
from emafusion.protect.meanings import meanings
from emafusion.protect.placeholders import ANY
from emafusion.protect.vault import Vault

BETWEEN = "\n\x00\n"
"""What stands between texts that are read as one: no value reaches across it."""
LEAST = 4
"""Characters of a value that is looked for elsewhere."""
_WORD: Final = re.compile(r"\w+")


def joined(texts: Sequence[str]) -> str:
    """`texts` as one, so that each detector is asked once."""
    return BETWEEN.join(texts)


def parted(entities: Iterable[Entity], texts: Sequence[str]) -> list[list[Entity]]:
    """`entities` of the :func:`joined` texts, for each of them; one that is cut counts in both."""
    starts, place = [], 0
    for text in texts:
        starts.append(place)
        place += len(text) + len(BETWEEN)
    found: list[list[Entity]] = [[] for _ in texts]
    for one in entities:
        first = max(bisect_right(starts, one.start) - 1, 0)
        for n in range(first, bisect_right(starts, one.end - 1)):
            start, end = max(one.start - starts[n], 0), min(one.end - starts[n], len(texts[n]))
            if start < end:
                found[n].append(Entity(kind=one.kind, start=start, end=end, score=one.score))
    return found


def readings(named: Mapping[str, Iterable[str]]) -> tuple[list[str], list[tuple[int, int]]]:
    """The texts `named` as detectors are to read them; of each which text, and where it begins.

    One is read behind each text that it has with it, which says what a value is.
    """
    said, places = [], []
    for place, (text, behind) in enumerate(named.items()):
        for before in sorted(behind):
            said.append(before + text)
            places.append((place, len(before)))
    return said, places


def gathered(
    found: Sequence[Sequence[Entity]], places: Sequence[tuple[int, int]]
) -> list[list[Entity]]:
    """What was `found` in :func:`readings`, for each text: what of it is within the text."""
    texts: list[list[Entity]] = [[] for _ in {place for place, _ in places}]
    for some, (place, before) in zip(found, places, strict=True):
        texts[place].extend(
            Entity(
                kind=one.kind,
                start=max(one.start - before, 0),
                end=one.end - before,
                score=one.score,
            )
            for one in some
            if one.end > before
        )
    return texts


def spread(found: Sequence[list[Entity]], texts: Sequence[str]) -> list[list[Entity]]:
    """`found`, and the same values wherever else they stand as words of their own."""
    values = _Values()
    for text, entities in zip(texts, found, strict=True):
        spans = [(one.start, one.end) for one in entities]
        for one, said in zip(entities, meanings(text, spans), strict=True):
            values.add(text[one.start : one.end], one.kind)
            values.add(said, one.kind)
    return [[*entities, *values.within(text)] for text, entities in zip(texts, found, strict=True)]


class _Values:
    """Values by their first words: a text is gone through once, however many there are."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        # By a value's first word: what stands before that, and how long the value is.
        self._shapes: dict[str, set[tuple[int, int]]] = {}

    def add(self, value: str, kind: str) -> None:
        """Look for `value`, if it is long enough; without any word it is found nowhere else."""
        word = _WORD.search(value) if len(value) >= LEAST else None
        if word is not None and value not in self._kinds:
            self._kinds[value] = kind
            self._shapes.setdefault(word[0], set()).add((word.start(), len(value)))

    def within(self, text: str) -> Iterator[Entity]:
        """Where in `text` any of them stands as words of its own."""
        if not self._kinds:
            return
        for word in _WORD.finditer(text):
            for before, length in self._shapes.get(word[0], ()):
                start, end = word.start() - before, word.start() - before + length
                kind = self._kinds.get(text[start:end]) if start >= 0 else None
                if kind is None or _goes_on(text[end : end + 1]):
                    continue
                if not _goes_on(text[max(start - 1, 0) : start]):
                    yield Entity(kind=kind, start=start, end=end, score=0.0)


def _goes_on(c: str) -> bool:
    """Whether a word goes on with `c`."""
    return c.isalnum() or c == "_"


def masked(
    texts: Sequence[str],
    found: Sequence[Sequence[Entity]],
    vault: Vault,
    *,
    earlier: Collection[str] = (),
) -> dict[str, str]:
    """Each of `texts` with placeholders for the entities `found` in it, whose values `vault` keeps.

    What only looks like a placeholder of this request is taken out, too: what comes back for a
    placeholder is a text that stood there. In `earlier` texts, which were masked before, it is one,
    and stays whatever was `found` in it.
    """
    pairs = zip(texts, found, strict=True)
    pieces = [
        _pieces(text, standing(some, text, earlier=text in earlier), vault) for text, some in pairs
    ]
    return {
        text: "".join(
            said if done or text in earlier else _quoted(said, vault) for said, done in parts
        )
        for text, parts in zip(texts, pieces, strict=True)
    }


def standing(entities: Iterable[Entity], text: str, *, earlier: bool) -> list[Entity]:
    """`entities` apart, less what of them are placeholders that an `earlier` text has already."""
    if not earlier:
        return apart(entities)
    own = [
        Entity(kind="", start=one.start(), end=one.end(), score=inf) for one in ANY.finditer(text)
    ]
    return [one for one in apart([*entities, *own]) if one.kind]


def _pieces(text: str, entities: Sequence[Entity], vault: Vault) -> list[tuple[str, bool]]:
    """`text` in pieces, each with whether it is a placeholder."""
    pieces, place = [], 0
    # Only what is of digits can be part of a number.
    some = any(text[one.end - 1 : one.end].isdigit() for one in entities)
    numbers = Numbers(text if some else "")
    said_of = meanings(text, [(one.start, one.end) for one in entities])
    for one, value in zip(entities, said_of, strict=True):
        number = numbers.around(one.start, one.end)
        if number is None:
            pieces.append((text[place : one.start], False))
            pieces.append((vault.put(one.kind, value), True))
            place = one.end
        elif number.end > place:
            # JSON stays JSON: in the place of a number stands a string.
            said = vault.put_number(one.kind, text[number.start : number.end])
            pieces.append((text[place : number.start], False))
            pieces.append((f"{number.mark}{said}{number.mark}", True))
            place = number.end
    return [*pieces, (text[place:], False)]


def _quoted(text: str, vault: Vault) -> str:
    said: list[str] = []
    place = 0
    for start, end in vault.lookalikes(text):
        said += text[place:start], vault.quote(text[start:end])
        place = end
    return "".join([*said, text[place:]])
