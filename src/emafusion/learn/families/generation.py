"""Draws questions from all families. Knows balance, splits and duplicates; each family knows its
own content.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Final

from emafusion.errors import DataError
from emafusion.evaluate.questions import Question
from emafusion.learn.families import (
    arithmetic,
    calendar,
    classification,
    composite,
    extraction,
    facts,
    logic,
    plain,
    programs,
    tables,
    translation,
    units,
    word_problems,
    words,
    writing,
)
from emafusion.learn.families.family import Family, split_of_item
from emafusion.learn.families.splits import Split

FAMILIES: Final[tuple[Family, ...]] = (
    *extraction.FAMILIES,
    *classification.FAMILIES,
    *arithmetic.FAMILIES,
    *word_problems.FAMILIES,
    *calendar.FAMILIES,
    *units.FAMILIES,
    *facts.FAMILIES,
    *programs.FAMILIES,
    *logic.FAMILIES,
    *words.FAMILIES,
    *writing.FAMILIES,
    *translation.FAMILIES,
    *tables.FAMILIES,
    *composite.FAMILIES,
    *plain.FAMILIES,
)
"""Every family, in a fixed order."""

_DRAWS_TRIED: Final = 400
_NEAR: Final = 0.9
_LONG: Final = 25
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")


def generate(n: int, seed: int, split: Split) -> list[Question]:
    """Draws ``n`` questions of one split.

    Any prefix is balanced: families take turns, and difficulties take turns within a family. The
    same arguments give the same questions. Splits share no prompt and no content, whatever their
    seeds; the test split alone uses the held-out wordings. A family that has no further distinct
    item leaves its turns to the others.

    Raises
    ------
    DataError
        ``n`` is negative, ``split`` is unknown, or all families together have fewer questions.
    """
    if n < 0 or split not in ("train", "val", "test"):
        raise DataError(f"cannot draw {n!r} questions of split {split!r}; use train, val or test")
    # A family of weight two holds two places in the round, both fed by the one iterator.
    sources = [
        source
        for family in FAMILIES
        for source in [_questions(family, seed, split)] * family.weight
    ]
    drawn: list[Question] = []
    while sources and len(drawn) < n:
        turn = [(source, next(source, None)) for source in sources]
        drawn.extend(question for _, question in turn if question is not None)
        sources = [source for source, question in turn if question is not None]
    if len(drawn) < n:
        raise DataError(f"the families hold only {len(drawn)} distinct {split} questions, not {n}")
    return drawn[:n]


def _questions(family: Family, seed: int, split: Split) -> Iterator[Question]:
    """The family's distinct questions of a split, until many draws in a row bring nothing new."""
    rng = random.Random(f"{seed}/{split}/{family.name}")
    seen: set[str] = set()
    kept: list[frozenset[str]] = []
    turn = rng.randrange(60)
    while True:
        question = _fresh(family, turn, rng, split=split, seen=seen)
        if question is None:
            return
        turn += 1
        words = _words(question.prompt)
        if len(words) >= _LONG and any(_alike(words, other) for other in kept):
            continue
        kept.append(words)
        yield question


def _fresh(
    family: Family, turn: int, rng: random.Random, *, split: Split, seen: set[str]
) -> Question | None:
    level = family.levels[turn % len(family.levels)]
    for attempt in range(_DRAWS_TRIED):
        # A difficulty that has run out passes its turn to the next one.
        level = level if attempt < _DRAWS_TRIED // 2 else rng.choice(family.levels)
        item = family.draw(rng, level)
        if split_of_item(family.name, item) != split or item.digest in seen:
            continue
        seen.add(item.digest)
        return family.question(item, level, _phrasing(family, rng, split))
    return None


def _phrasing(family: Family, rng: random.Random, split: Split) -> int:
    if split == "test":
        return len(family.wordings) + rng.randrange(len(family.held_out))
    return rng.randrange(len(family.wordings))


def _words(text: str) -> frozenset[str]:
    return frozenset(_TOKEN.findall(text.casefold()))


def _alike(a: frozenset[str], b: frozenset[str]) -> bool:
    return len(a & b) >= _NEAR * len(a | b)
