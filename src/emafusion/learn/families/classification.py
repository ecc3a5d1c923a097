"""Questions that ask for a class: sentiment, topic, intent, spam, urgency. The texts are a table
beside this file; knows how they are filled in and asked about.
"""

from __future__ import annotations

import functools
import importlib.resources
import random
import tomllib
from collections.abc import Mapping, Sequence
from typing import Final

from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Family, Item, exact, labelled
from emafusion.learn.families.people import CITIES, FIRST

_THINGS: Final = (
    "phone", "blender", "hotel room", "film", "jacket", "headset", "restaurant", "game", "book",
    "vacuum cleaner", "camera", "course",
)  # fmt: skip
_FILLINGS: Final[Mapping[str, Sequence[str]]] = {
    "thing": _THINGS,
    "city": CITIES,
    "name": FIRST,
    "number": tuple(str(n) for n in range(3, 30)),
    "time": ("this morning", "on Tuesday", "last week", "yesterday", "in March", "two days ago"),
}


@functools.cache
def texts(family: str) -> Mapping[int, Mapping[str, Sequence[str]]]:
    """A family's texts by difficulty and label."""
    source = importlib.resources.files(__package__).joinpath("classes.toml")
    levels = tomllib.loads(source.read_text(encoding="utf-8"))[family]
    return {int(level): labels for level, labels in levels.items()}


def _draw(rng: random.Random, level: Difficulty, *, family: str, what: str) -> Item:
    names = sorted(texts(family)[level])
    label = rng.choice(names)
    text = rng.choice(texts(family)[level][label])
    for slot, words in _FILLINGS.items():
        text = text.replace("{" + slot + "}", rng.choice(words))
    classes = ", ".join(names[:-1]) + f" or {names[-1]}"
    return Item(
        slots={"text": text, "what": what, "What": what.capitalize(), "classes": classes},
        reference=label,
        grader=exact(others=[other for other in names if other != label]),
    )


def _family(name: str, what: str, domain: str) -> Family:
    return Family(
        name=name,
        labels=labelled("classification", domain, "free_text"),
        wordings=(
            "Classify the {what} of this text as {classes}. Reply with one word.\n\n{text}",
            "Text: {text}\n{What} ({classes}):",
            'Is the {what} of the following {classes}? Answer with the label only.\n"{text}"',
            "{text}\n\nPick the {what}: {classes}. One word, please.",
        ),
        held_out=(
            "Label this message with its {what}. Allowed labels: {classes}.\n"
            "Message: {text}\nLabel:",
            'Read: "{text}" Which {what} fits best, {classes}?',
        ),
        draw=functools.partial(_draw, family=name, what=what),
    )


FAMILIES: Final = (
    _family("sentiment", "sentiment", "general"),
    _family("topic", "topic", "general"),
    _family("intent", "intent", "business"),
    _family("spam", "category", "general"),
    _family("urgency", "urgency", "business"),
)
