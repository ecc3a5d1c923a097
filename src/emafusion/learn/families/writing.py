"""Questions whose reply is a text under a constraint: rewriting, summarising, generating. Only what
can be checked is asked: length, case, words to use, words to avoid, facts to keep.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Final

from emafusion.answers.structured import Json
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Family, Item, labelled
from emafusion.learn.families.people import CITIES, FIRST, GOODS, WEEKDAYS
from emafusion.learn.families.words import WORDS


def _item(slots: Mapping[str, str], reference: str, params: Mapping[str, Json]) -> Item:
    return Item(slots=slots, reference=reference, grader=Grader(type="constraint", params=params))


def _sentence(rng: random.Random) -> tuple[str, Sequence[str], str]:
    """A plain sentence, the keywords that carry its meaning, and its short form."""
    who, city, goods, day = (
        rng.choice(FIRST),
        rng.choice(CITIES),
        rng.choice(GOODS),
        rng.choice(WEEKDAYS),
    )
    n = rng.randint(3, 90)
    return rng.choice(
        (
            (
                f"{who} will send {n} {goods} to {city} on {day}.",
                [who, city, goods, day, str(n)],
                f"{who} sends {n} {goods} to {city} {day}.",
            ),
            (
                f"On {day} the shop in {city} sold {n} {goods} to {who}.",
                [day, city, str(n), goods, who],
                f"{day}: {city} shop sold {who} {n} {goods}.",
            ),
            (
                f"{who} bought {n} {goods} in {city} last {day}.",
                [who, str(n), goods, city, day],
                f"{who} bought {n} {goods} in {city} {day}.",
            ),
        )
    )


def _rewriting(rng: random.Random, level: Difficulty) -> Item:
    text, keywords, short = _sentence(rng)
    keep: list[Json] = list(keywords)
    banned = rng.choice(
        [
            word.strip(".")
            for word in text.split()
            if word.islower() and len(word) > 3 and word not in keep
        ]
        or ["the"]
    )
    rules: dict[int, tuple[tuple[str, dict[str, Json], str], ...]] = {
        1: (
            ("in capital letters only", {"case": "upper", "keep": keep}, text.upper()),
            ("in lower case only", {"case": "lower", "keep": keep}, text.lower()),
            (
                "so that it starts with the word Yesterday",
                {"starts_with": "Yesterday", "keep": keep, "keep_share": 0.6},
                f"Yesterday {text}",
            ),
        ),
        2: (
            (
                "in at most 9 words, keeping every name and number",
                {"max_words": 9, "keep": keep},
                short,
            ),
            (
                "as a question",
                {"ends_with": "?", "keep": keep, "keep_share": 0.8},
                f"Is it true that {text[:-1]}?",
            ),
            (
                "so that it ends with an exclamation mark",
                {"ends_with": "!", "keep": keep},
                f"{text[:-1]}!",
            ),
        ),
        3: (
            (
                f'without the word "{banned}", keeping every name and number',
                {"exclude": [banned], "keep": keep},
                ", ".join(map(str, keep)) + ".",
            ),
            (
                "as exactly two sentences, keeping every name and number",
                {"sentences": 2, "keep": keep},
                f"{text} That is all.",
            ),
            (
                "as exactly three bullet points that start with a hyphen",
                {"bullets": 3, "keep": keep, "keep_share": 0.8},
                f"- {keep[0]}, {keep[1]}\n- {keep[2]}\n- {keep[3]}, {keep[4]}",
            ),
        ),
    }
    rule, params, reference = rng.choice(rules[level])
    return _item({"text": text, "rule": rule}, reference, params)


def _generation(rng: random.Random, level: Difficulty) -> Item:
    a, b, c = rng.sample(WORDS, 3)
    n = rng.randint(6, 12)
    rules: dict[int, tuple[tuple[str, dict[str, Json], str], ...]] = {
        1: (
            (
                f'one sentence that contains the word "{a}"',
                {"include": [a], "sentences": 1},
                f"I see the {a}.",
            ),
            (
                f"a sentence about a {a} with at most 15 words",
                {"include": [a], "max_words": 15},
                f"The {a} is here.",
            ),
        ),
        2: (
            (
                f'one sentence of at most {n} words that uses both "{a}" and "{b}"',
                {"include": [a, b], "max_words": n, "sentences": 1},
                f"The {a} has a {b}.",
            ),
            (
                f"exactly two sentences about a {a}",
                {"include": [a], "sentences": 2},
                f"The {a} is here. It is old.",
            ),
            (
                f"a question about a {a} that ends with a question mark",
                {"include": [a], "ends_with": "?"},
                f"Where is the {a}?",
            ),
        ),
        3: (
            (
                f'one sentence of exactly {n} words that contains "{a}"',
                {"include": [a], "words": n},
                " ".join(["The", a, *["very"] * (n - 3), "old."]),
            ),
            (
                f'one sentence with the words "{a}", "{b}" and "{c}" but without the word "the"',
                {"include": [a, b, c], "exclude": ["the"], "sentences": 1},
                f"A {a}, a {b} and a {c} lie here.",
            ),
            (
                f"three lines about a {a}, each starting with a hyphen, together at most 25 words",
                {"include": [a], "bullets": 3, "max_words": 25},
                f"- The {a}\n- old\n- new",
            ),
        ),
    }
    rule, params, reference = rng.choice(rules[level])
    return _item({"rule": rule}, reference, params)


def _summary(rng: random.Random, level: Difficulty) -> Item:
    who, city, day, goods = (
        rng.choice(FIRST),
        rng.choice(CITIES),
        rng.choice(WEEKDAYS),
        rng.choice(GOODS),
    )
    n, m = rng.randint(12, 95), rng.randint(2, 11)
    texts = {
        1: (
            f"The factory in {city} will close on {day}. {n} people work there. They were told "
            "by letter.",
            [city, "clos|shut", day],
            15,
            f"The {city} factory closes on {day}.",
        ),
        2: (
            f"{who} opened a shop in {city} {m} years ago. At first it sold {goods}. Sales grew "
            "slowly. "
            f"This {day} it had its best day ever, with {n} customers.",
            [who, city, str(n)],
            15,
            f"{who}'s shop in {city} had a record {n} customers.",
        ),
        3: (
            f"A storm hit {city} on {day}. {n} trees fell, mostly in the park. Power was out "
            f"for {m} hours. "
            f"{who}, the mayor, thanked the crews. Schools stay open. No one was hurt.",
            [city, "storm", str(n), f"{m} hours|{m}-hour|{m}h"],
            16,
            f"A storm in {city} felled {n} trees and cut power for {m} hours.",
        ),
    }
    text, keep, most, reference = texts[level]
    details = {
        1: "where, what and when",
        2: "who, where and how many customers",
        3: "the place, the cause, how many trees and how long the outage",
    }
    params: dict[str, Json] = {"max_words": most, "keep": list(keep)}
    slots = {"text": text, "most": str(most), "details": details[level]}
    return _item(slots, reference, params)


FAMILIES: Final = (
    Family(
        name="constrained_rewriting",
        labels=labelled("rewriting", "business", "free_text"),
        wordings=(
            "Rewrite this {rule}: {text}",
            "{text}\nWrite that sentence again {rule}. Only the result.",
            "Sentence: {text}\nRewritten {rule}:",
            "Put the following {rule}, and add nothing else: {text}",
        ),
        held_out=(
            'Your editor wants this {rule}: "{text}" Give the new version only.',
            'Change "{text}" {rule}.',
        ),
        draw=_rewriting,
    ),
    Family(
        name="constrained_writing",
        labels=labelled("generation", "general", "free_text"),
        wordings=(
            "Write {rule}.",
            "Please compose {rule}. Nothing else.",
            "Task: write {rule}.\nText:",
            "I need {rule}. Output only that.",
        ),
        held_out=(
            "Could you come up with {rule}? Just the text.",
            "Produce {rule} and stop there.",
        ),
        draw=_generation,
    ),
    Family(
        name="summaries",
        labels=labelled("summarisation", "general", "free_text"),
        wordings=(
            "Summarise in at most {most} words ({details}): {text}",
            "{text}\n\nSay this in one sentence of at most {most} words. Keep {details}.",
            "Give a summary of up to {most} words that states {details}.\n{text}",
            "TL;DR with {details}, {most} words at most: {text}",
        ),
        held_out=(
            "Shorten to no more than {most} words but keep {details}: {text}",
            "Headline for this news ({details}; {most} words maximum): {text}",
        ),
        draw=_summary,
    ),
)
