"""Questions of fact: short answers and multiple choice. The facts are a table beside this file;
knows how a topic is worded, not where its rows stand in the world's opinion.
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from emafusion.answers.structured import Json
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Family, Item, exact, labelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One row of the table: within its topic, a subject has an answer and other spellings of it."""

    topic: str
    subject: str
    answer: str
    aliases: tuple[str, ...]
    level: int


# Topic: the question, the same as a sentence to finish, the domain.
_TOPICS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "capital": ("What is the capital of {}?", "The capital of {} is", "general"),
        "currency": ("What is the currency of {}?", "The currency of {} is the", "finance"),
        "symbol": ("What is the chemical symbol for "
                   "{}?", "The chemical symbol for {} is", "science"),
        "author": ("Who wrote \"{}\"?", "The author of \"{}\" is", "humanities"),
        "year": ("In which year {}?", "Asked \"in which year {}\", a historian "
                                      "answers:", "humanities"),
        "superlative": ("What is {}?", "By common account, {} is", "science"),
        "discoverer": ("Who discovered, invented or created "
                       "{}?", "The one who first gave us {} was", "science"),
        "painter": ("Who painted \"{}\"?", "The painting \"{}\" is by", "humanities"),
        "composer": ("Who composed {}?", "The composer of {} is", "humanities"),
        "continent": ("On which continent is {}?", "The continent on which {} lies is", "general"),
        "count": ("What is the number of {}?", "The number of {} is", "general"),
        "medicine": ("What is {}?", "In medicine, {} is called", "medicine"),
        "law": ("What is the word or term for {}?", "In law, {} is called", "law"),
        "finance": ("What is the word or term for {}?", "In finance, {} is called", "finance"),
        "software": ("What is {}?", "Among programmers, {} is known to be", "software"),
        "science": ("What is {}?", "In science, {} is", "science"),
        "opposite": ("What is the opposite of \"{}\"?", "The opposite of \"{}\" is", "general"),
        "colour": ("What colour is {}?", "The colour of {} is", "general"),
        "category": ("In a word, what kind of thing is "
                     "{}?", "In one word, {} is a kind of", "general"),
        "saying": ("Which word ends the saying \"{} "
                   "...\"?", "An old saying goes: {}", "humanities"),
        "sound": ("What is the sound of {} called?", "The word for the sound of {} is", "general"),
        "young": ("What is a young {} called?", "The word for a young {} is", "general"),
    }
)  # fmt: skip
_COUNTED: Final = ("year", "count")
_AREAS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "places": ("capital", "currency", "continent"),
        "science_facts": ("symbol", "science", "superlative"),
        "culture": ("author", "painter", "composer", "discoverer", "year"),
        "professions": ("medicine", "law", "finance", "software"),
        "common_knowledge": ("opposite", "young", "count"),
        "everyday": ("colour", "category", "saying", "sound"),
    }
)
# Topics whose wrong answers could be right for another row too.
_OPEN: Final = ("opposite", "category")
_LETTERS: Final = "ABCD"


@functools.cache
def table() -> tuple[Fact, ...]:
    """Every fact, in the table's order."""
    source = importlib.resources.files(__package__).joinpath("facts.csv")
    return tuple(
        Fact(
            topic=row["topic"],
            subject=row["subject"],
            answer=row["answer"],
            aliases=tuple(filter(None, row["aliases"].split("|"))),
            level=int(row["level"]),
        )
        for row in csv.DictReader(io.StringIO(source.read_text(encoding="utf-8")))
    )


@functools.cache
def _rows(topics: tuple[str, ...], level: int) -> tuple[Fact, ...]:
    return tuple(fact for fact in table() if fact.topic in topics and fact.level == level)


@functools.cache
def _rivals(fact: Fact) -> tuple[str, ...]:
    """Wrong answers of the same topic that no spelling of the right one equals."""
    right = _spellings(fact)
    rivals = {
        other.answer
        for other in table()
        if other.topic == fact.topic and not right & _spellings(other)
    }
    return tuple(sorted(rivals)) if len(rivals) >= 3 and fact.topic not in _OPEN else ()


def _spellings(fact: Fact) -> frozenset[str]:
    return frozenset(spelling.casefold() for spelling in (fact.answer, *fact.aliases))


def fact(topics: tuple[str, ...], rng: random.Random, level: Difficulty) -> Item:
    """Draws a fact of one of ``topics``, as a question and as a sentence to finish."""
    row = rng.choice(_rows(topics, level))
    question, stem, domain = _TOPICS[row.topic]
    counted = row.topic in _COUNTED
    grader = Grader(type="number") if counted else exact(aliases=row.aliases)
    return Item(
        slots={"question": question.format(row.subject), "stem": stem.format(row.subject)},
        reference=row.answer,
        grader=grader,
        labels={"domain": domain, "format": "number" if counted else "free_text"},
        identity=f"{row.topic}/{row.subject}",
    )


def _choice(topics: tuple[str, ...], rng: random.Random, level: Difficulty) -> Item:
    fact = rng.choice([fact for fact in _rows(topics, level) if _rivals(fact)])
    question, _, domain = _TOPICS[fact.topic]
    answers = [fact.answer, *rng.sample(_rivals(fact), 3)]
    rng.shuffle(answers)
    options: dict[str, Json] = dict(zip(_LETTERS, answers, strict=True))
    shown = " ".join(f"{letter}) {answer}" for letter, answer in options.items())
    return Item(
        slots={"question": question.format(fact.subject), "options": shown},
        reference=_LETTERS[answers.index(fact.answer)],
        grader=Grader(type="choice", params={"options": options}),
        labels={"domain": domain},
        identity=f"{fact.topic}/{fact.subject}",
    )


_ASKED: Final = (
    "{question} Reply with only the answer.",
    "Q: {question}\nA:",
    "Complete with a word or two: {stem}",
    "{question} A short answer, please.",
    "Quiz question: {question} Answer without any explanation.",
)
_ASKED_HELD_OUT: Final = (
    "Finish the sentence briefly. {stem} ...",
    "Do you know this one? {question} Just the answer.",
)
_OFFERED: Final = (
    "{question}\n{options}\nReply with the letter only.",
    "Choose the right option. {question} {options}\nLetter:",
    "{question} Options: {options}. Answer with A, B, C or D.",
    "Multiple choice: {question}\n{options}\nThe answer is",
)
_OFFERED_HELD_OUT: Final = (
    "Pick one. {question}\n{options}\nGive the letter of the correct option.",
    "Which is correct? {question} ({options}) Letter only.",
)


def _asked(area: str) -> Family:
    return Family(
        name=area,
        labels=labelled("question_answering", "general", "free_text", complexity="recall"),
        wordings=_ASKED,
        held_out=_ASKED_HELD_OUT,
        draw=functools.partial(fact, _AREAS[area]),
        levels=(1, 1, 2, 3),
        weight=2,
    )


def _offered(name: str, areas: Sequence[str]) -> Family:
    return Family(
        name=name,
        labels=labelled("question_answering", "general", "choice", complexity="recall"),
        wordings=_OFFERED,
        held_out=_OFFERED_HELD_OUT,
        draw=functools.partial(_choice, tuple(topic for area in areas for topic in _AREAS[area])),
    )


FAMILIES: Final = (
    *map(_asked, _AREAS),
    _offered("choice_of_facts", ("places", "science_facts", "common_knowledge", "everyday")),
    _offered("choice_of_terms", ("culture", "professions")),
)
