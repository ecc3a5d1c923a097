"""Questions that translate words and short sentences between English and four languages. The list
with its accepted spellings is a table beside this file; knows no grammar.
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
import io
import random
from collections.abc import Sequence
from typing import Final

from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Family, Item, exact, labelled

_LANGUAGES: Final = ("Spanish", "French", "German", "Italian")


@functools.cache
def rows(level: int) -> Sequence[Sequence[str]]:
    """The entries of a difficulty: English, then the four languages, spellings parted by ``|``."""
    source = importlib.resources.files(__package__).joinpath("translations.csv")
    table = csv.DictReader(io.StringIO(source.read_text(encoding="utf-8")))
    return tuple(
        (row["English"], *(row[language] for language in _LANGUAGES))
        for row in table
        if int(row["level"]) == level
    )


def _translation(rng: random.Random, level: Difficulty) -> Item:
    row = rng.choice(rows(level))
    place = rng.randrange(len(_LANGUAGES))
    accepted = row[place + 1].split("|")
    # Back into English only where the meaning is single.
    if level < 3 and rng.random() < 0.35:
        aliases = [f"the {row[0]}"]
        start, end, text, answer = _LANGUAGES[place], "English", accepted[0], row[0]
    else:
        aliases = accepted[1:]
        start, end, text, answer = "English", _LANGUAGES[place], row[0], accepted[0]
    slots = {"from": start, "to": end, "text": text}
    return Item(slots=slots, reference=answer, grader=exact(aliases=aliases))


FAMILIES: Final = (
    Family(
        name="translation",
        labels=labelled("translation", "humanities", "free_text"),
        wordings=(
            "Translate from {from} to {to}: {text}\nReply with the translation only.",
            'How do you say "{text}" in {to}? Only the translation.',
            "{from}: {text}\n{to}:",
            'Give the {to} for "{text}" ({from}), nothing else.',
        ),
        held_out=(
            'A {from} text reads "{text}". Write it in {to}.',
            'Put "{text}" into {to}. No notes.',
        ),
        draw=_translation,
    ),
)
