"""Which concepts make an appeal to a judge together, and the sentences that have them together.

Knows sets of concepts; neither in which order they must stand nor how far apart
(:mod:`emafusion.judge.advances`). What is found is where to look, and no
appeal is anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from functools import lru_cache, reduce
from itertools import compress
from operator import or_

from emafusion.judge.vocabulary import (
    CONCEPTS,
    LANE,
    Concepts,
    Reading,
    letters,
    meanings,
    vocabulary,
)

MOST_SOUGHT = 40
"""Words that are looked for one by one; where there are more, all sentences are heard."""


PLACE = Concepts(*range(len(CONCEPTS)))
BIT = Concepts(*(1 << place for place in PLACE))
"""The concepts as places, and as bits, of one language."""


@lru_cache(maxsize=1)
def _ones() -> int:
    return vocabulary().ones


def having(mask: int, *concepts: str) -> int:
    """The languages, as bits, in which `mask` has all of `concepts`."""
    lanes = _ones()
    for concept in concepts:
        lanes &= mask >> CONCEPTS.index(concept)
    return lanes


def suspect(mask: int) -> int:
    """The languages in which a sentence could be an advance, by the concepts alone."""
    ones = _ones()
    who, deed, give, this, answer, top, ignore, orders = (mask >> n for n in range(8))
    marks, other = mask >> PLACE.marks, mask >> PLACE.other
    addressed_to = who & (deed | give | marks)
    about_this = this & answer & (deed | top | marks | who | mask >> PLACE.proven)
    rivals = other & answer & (mask >> PLACE.wrong | ignore)
    spoken = mask >> PLACE.you | mask >> PLACE.must
    told = marks & spoken & (top | mask >> PLACE.correct)
    taken_over = this & answer & mask >> PLACE.writer & mask >> PLACE.copy
    return (addressed_to | about_this | ignore & orders | rivals | told | taken_over) & ones


Sought = tuple[tuple[frozenset[str], ...], ...]


def sought(read: Reading) -> Sought:
    """What a sentence must hold to be an advance: of one of the groups, a word of each set.

    The first set of the first group are those who judge, who may stand in the sentence before.
    Only words of a plain text count that :func:`suspect` and a verdict could want: those of
    a language that has all they want of it somewhere in the text.
    """
    masks = list(map(meanings().__getitem__, read.known))
    known = list(zip(compress(read.known, masks), filter(None, masks), strict=True))
    figures = vocabulary().figures if "10" in read.folded or "/" in read.folded else 0
    mask = reduce(or_, (mask for _, mask in known), figures)
    lanes = suspect(mask) | having(mask, "marks") & (having(mask, "correct") | having(mask, "top"))
    if not lanes:
        return ()
    places = [place for place in range(lanes.bit_length()) if lanes >> place & 1]
    concepts = [
        (word, reduce(or_, (mask >> place & (1 << LANE) - 1 for place in places)))
        for word, mask in known
    ]

    def among(bits: int) -> frozenset[str]:
        return frozenset([word for word, mask in concepts if mask & bits])

    answers = among(BIT.answer)
    # In any language: those who judge may be addressed in another than the rest is said in.
    judges = frozenset([word for word, mask in known if having(mask, "who")])
    good, verdict = among(BIT.top | BIT.correct), among(BIT.deed | BIT.top | BIT.marks | BIT.proven)
    if figures:
        good = verdict = read.known
    groups = (
        (among(BIT.marks), good),
        (among(BIT.ignore), among(BIT.orders)),
        (answers, among(BIT.this), verdict),
        (answers, among(BIT.other), among(BIT.wrong | BIT.ignore)),
        (answers, among(BIT.this), among(BIT.writer), among(BIT.copy)),
    )
    possible = tuple(group for group in groups if all(group))
    return ((judges,), *possible) if judges or possible else ()


def worth_hearing(sentences: Sequence[str], sets: Sought) -> Sequence[int]:
    """The places of the sentences that hold what is sought, or stand behind one who judges."""
    (judges,) = sets[0]
    worth: set[int] = set()
    for place in _holding(frozenset().union(*(first for first, *_ in sets)), sentences):
        held = frozenset(letters(sentences[place]).split())
        if any(not any(map(held.isdisjoint, group)) for group in sets):
            worth.add(place)
        if not held.isdisjoint(judges):
            worth.update(_behind(place, sentences))
    return sorted(worth)


def _holding(words: Set[str], sentences: Sequence[str]) -> Iterable[int]:
    """The places of the sentences that hold one of `words`, or letters that are one of them."""
    if len(words) > MOST_SOUGHT:
        return range(len(sentences))
    places = set()
    # A sentence has no line's end within it: to count them is to number the sentences.
    lines = "\n".join(sentences)
    for word in words:
        place = reached = 0
        at = lines.find(word)
        while at >= 0:
            place += lines.count("\n", reached, at)
            places.add(place)
            reached = at
            end = lines.find("\n", at)
            at = lines.find(word, end) if end >= 0 else -1
    return places


def _behind(place: int, sentences: Sequence[str]) -> Iterator[int]:
    """The places behind `place` up to the next sentence with a word in it."""
    for after in range(place + 1, len(sentences)):
        yield after
        if letters(sentences[after]).strip():
            return
