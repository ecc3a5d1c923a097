"""From what detectors found to a text without it.

Knows how entities of many texts are told apart when they were read as one, and that a value found
once is taken out everywhere. It knows no detector and no policy.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from emafusion.protect.entities import Entity, apart
from emafusion.protect.vault import Vault

BETWEEN = "\n\x00\n"
"""What stands between texts that are read as one: no value reaches across it."""
LEAST = 4
"""Characters of a value that is looked for elsewhere."""
MOST = 500
"""Values that are looked for elsewhere: an upper bound on the time it takes."""


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


def spread(found: Sequence[list[Entity]], texts: Sequence[str]) -> list[list[Entity]]:
    """`found`, and the same values wherever else they stand as words of their own."""
    values: dict[str, str] = {}
    for text, entities in zip(texts, found, strict=True):
        for one in entities:
            value = text[one.start : one.end]
            if len(value) >= LEAST and len(values) < MOST:
                values.setdefault(value, one.kind)
    return [
        [*entities, *_elsewhere(text, values)] for text, entities in zip(texts, found, strict=True)
    ]


def _elsewhere(text: str, values: Mapping[str, str]) -> Iterator[Entity]:
    for value, kind in values.items():
        start = text.find(value)
        while start >= 0:
            end = start + len(value)
            if not (_goes_on(text[max(start - 1, 0) : start]) or _goes_on(text[end : end + 1])):
                yield Entity(kind=kind, start=start, end=end, score=0.0)
            start = text.find(value, end)


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
    placeholder is a text that stood there. In `earlier` texts, which were masked before, it is one.
    """
    pairs = zip(texts, found, strict=True)
    pieces = [_pieces(text, apart(entities), vault) for text, entities in pairs]
    return {
        text: "".join(
            said if done or text in earlier else _quoted(said, vault) for said, done in parts
        )
        for text, parts in zip(texts, pieces, strict=True)
    }


def _pieces(text: str, entities: Sequence[Entity], vault: Vault) -> list[tuple[str, bool]]:
    """`text` in pieces, each with whether it is a placeholder."""
    pieces, place = [], 0
    for one in entities:
        pieces.append((text[place : one.start], False))
        pieces.append((vault.put(one.kind, text[one.start : one.end]), True))
        place = one.end
    return [*pieces, (text[place:], False)]


def _quoted(text: str, vault: Vault) -> str:
    said: list[str] = []
    place = 0
    for start, end in vault.lookalikes(text):
        said += text[place:start], vault.quote(text[start:end])
        place = end
    return "".join([*said, text[place:]])
