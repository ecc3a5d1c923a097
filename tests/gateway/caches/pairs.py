"""Pairs of questions, made from patterns: some ask the same, some only look as if they did."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

PLACES = ["France", "Germany", "Peru", "Kenya", "Japan", "Norway", "Texas", "Ontario", "Iran"]
TOPICS = [
    "photosynthesis",
    "compound interest",
    "the French Revolution",
    "a binary search tree",
    "type 2 diabetes",
    "the law of demand",
    "plate tectonics",
    "a force majeure clause",
]
TOOLS = ["Python", "JavaScript", "Excel", "Postgres", "Rust", "Kubernetes"]
TASKS = [
    "sort a list by two keys",
    "parse a date",
    "remove duplicate rows",
    "read a large file",
    "encrypt a password",
    "merge two tables",
]
PEOPLE = ["Alice", "Bob", "Maria", "Chen", "Priya", "Omar"]
FACTS = ["capital", "population", "currency", "highest mountain", "official language"]

SAME: dict[str, list[str]] = {
    "fact": [
        "What is the {fact} of {place}?",
        "what's the {fact} of {place}",
        "Can you tell me what the {fact} of {place} is?",
        "Please tell me the {fact} of {place}.",
        "Hi, could you tell me the {fact} of {place}? Thanks!",
        "I'd like to know the {fact} of {place}",
        "{place}'s {fact}?",
        "Which {fact} does {place} have?",
    ],
    "how": [
        "How do I {task} in {tool}?",
        "How can I {task} in {tool}?",
        "how to {task} in {tool}",
        "In {tool}, how do I {task}?",
        "What is the best way to {task} in {tool}?",
        "Can you show me how to {task} in {tool}?",
        "I need to {task} in {tool}. How?",
    ],
    "explain": [
        "Explain {topic}.",
        "Can you explain {topic}?",
        "Could you please explain {topic} to me?",
        "please explain {topic}",
        "Hello! I want you to explain {topic}.",
        "What is {topic}?",
        "Give me an explanation of {topic}.",
    ],
    "year": [
        "Who won the World Cup in {year}?",
        "who won the world cup in {year}",
        "In {year}, who won the World Cup?",
        "Do you know who won the World Cup in {year}?",
        "Which team won the {year} World Cup?",
    ],
}
"""Ways to ask one thing; the last of each list are said quite otherwise."""

Change = Callable[[str, random.Random], str | None]


def _other(options: list[str]) -> Change:
    def change(text: str, chance: random.Random) -> str | None:
        here = [each for each in options if f" {each}" in f" {text}"]
        if not here:
            return None
        old = chance.choice(here)
        return text.replace(old, chance.choice([each for each in options if each != old]), 1)

    return change


def _swap(pairs: list[tuple[str, str]]) -> Change:
    both = [*pairs, *((b, a) for a, b in pairs)]

    def change(text: str, chance: random.Random) -> str | None:
        here = [pair for pair in both if f" {pair[0]} " in f" {text.rstrip('?.')} "]
        if not here:
            return None
        old, new = chance.choice(here)
        return f" {text}".replace(f" {old}", f" {new}", 1).strip()

    return change


def _number(text: str, chance: random.Random) -> str | None:
    words = text.split()
    places = [place for place, word in enumerate(words) if any(map(str.isdigit, word))]
    if not places:
        return None
    place = chance.choice(places)
    digits = [i for i, char in enumerate(words[place]) if char.isdigit()]
    at = chance.choice(digits)
    new = str((int(words[place][at]) + chance.randint(1, 9)) % 10)
    words[place] = words[place][:at] + new + words[place][at + 1 :]
    return " ".join(words)


def _reverse(text: str, chance: random.Random) -> str | None:
    """The two parties change roles."""
    here = [each for each in PEOPLE + PLACES if each in text]
    if len(here) != 2:
        return None
    one, two = here
    return text.replace(one, "\x00").replace(two, one).replace("\x00", two)


CHANGES: dict[str, Change] = {
    "number": _number,
    "place": _other(PLACES),
    "person": _other(PEOPLE),
    "roles": _reverse,
    "fact": _other(FACTS),
    "tool": _other(TOOLS),
    "negation": _swap(
        [
            ("is", "is not"),
            ("can", "cannot"),
            ("should", "should not"),
            ("with", "without"),
            ("do", "don't"),
            ("safe", "unsafe"),
            ("legal", "illegal"),
            ("allowed", "forbidden"),
        ]
    ),
    "opposite": _swap(
        [
            ("buy", "sell"),
            ("before", "after"),
            ("increase", "decrease"),
            ("largest", "smallest"),
            ("ascending", "descending"),
            ("encrypt", "decrypt"),
            ("first", "last"),
            ("import", "export"),
            ("mother", "father"),
            ("employer", "employee"),
            ("upstairs", "downstairs"),
            ("lend", "borrow"),
            ("more", "less"),
        ]
    ),
    "unit": _swap(
        [
            ("kilometres", "miles"),
            ("kg", "pounds"),
            ("euros", "dollars"),
            ("Celsius", "Fahrenheit"),
            ("minutes", "hours"),
            ("millimetres", "centimetres"),
        ]
    ),
    "date": _swap(
        [("Monday", "Tuesday"), ("March", "May"), ("yesterday", "tomorrow"), ("spring", "autumn")]
    ),
    "word": _swap(
        [
            ("from", "to"),
            ("who", "when"),
            ("Why", "How"),
            ("in", "outside"),
            ("must", "may"),
            ("all", "some"),
            ("a", "every"),
            ("won", "lost"),
            ("summary", "translation"),
        ]
    ),
    "quotation": _swap([('"yes"', '"no"'), ("'ship'", "'sheep'"), ('"Yes"', '"yes"')]),
    "tense": _swap([("wins", "won"), ("is", "was"), ("city", "cities"), ("does", "did")]),
}
SEEDS = [
    "What is the {fact} of {place}?",
    "How do I {task} in {tool}?",
    "Explain {topic} with an example.",
    "Who won the World Cup in {year}?",
    "How many kilometres is it from {place} to {other_place}?",
    "If {person} owes {other_person} {n} euros, what should {person} pay after {m} days?",
    "Is it legal to record a call in {place}?",
    "Can I take {n} mg of ibuprofen with aspirin before a run?",
    "What is the largest city in {place}?",
    "Convert {n} kg of flour to cups.",
    "Should I buy or rent a flat in {place} in March {year}?",
    "What day was {m} May {year}, a Monday?",
    "Sort these in ascending order: {n}, {m}, {year}.",
    'Answer "yes" or "no": is {n} more than {m}?',
    "Why does {topic} increase demand in spring?",
    "Which word rhymes with 'ship' in a {n} line poem about {place}?",
    "Is {person} the mother of {other_person}?",
    "Write a summary of {topic} in {n} minutes of speech for all readers.",
    "Can my employer ask me to work upstairs on Monday in {place}?",
    "How much does {place} import from {other_place} in a year?",
    "What temperature is {n} degrees Celsius outside in {place}?",
    "May {person} lend {other_person} a car in {place} when it is not insured?",
]
"""Questions that one small change turns into another."""


def filled(pattern: str, chance: random.Random) -> str:
    place, other_place = chance.sample(PLACES, 2)
    person, other_person = chance.sample(PEOPLE, 2)
    return pattern.format(
        fact=chance.choice(FACTS),
        place=place,
        other_place=other_place,
        person=person,
        other_person=other_person,
        tool=chance.choice(TOOLS),
        task=chance.choice(TASKS),
        topic=chance.choice(TOPICS),
        year=chance.randint(1930, 2026),
        n=chance.randint(3, 900),
        m=chance.randint(3, 28),
    )


def same(count: int, seed: int = 0) -> Iterator[tuple[str, str]]:
    """Two different wordings of one question."""
    chance = random.Random(seed)
    for _ in range(count):
        patterns = chance.choice(list(SAME.values()))
        one, two = chance.choice(list(itertools.permutations(patterns, 2)))
        state = chance.getstate()
        first = filled(one, chance)
        chance.setstate(state)
        yield first, filled(two, chance)


def different(count: int, seed: int = 0) -> Iterator[tuple[str, str, str]]:
    """Two questions with different answers and nearly the same words, and what was changed."""
    chance = random.Random(seed)
    reworded = ["{0}", "{0}", "Please tell me: {0}", "Hi! {0} Thanks.", "can you help? {0}"]
    while count:
        text = filled(chance.choice(SEEDS), chance)
        name = chance.choice(list(CHANGES))
        changed = CHANGES[name](text, chance)
        if changed is not None and changed != text:
            count -= 1
            yield text, chance.choice(reworded).format(changed), name
