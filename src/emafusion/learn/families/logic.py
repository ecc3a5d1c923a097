"""Questions of logic: orderings, syllogisms, family trees, conditions. Answers are derived from the
same small model the text is written from.
"""

from __future__ import annotations

import random
from typing import Final

from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Family, Item, exact, labelled
from emafusion.learn.families.people import FIRST, MEN, WOMEN

_NONSENSE: Final = (
    "blips",
    "dax",
    "florps",
    "gliks",
    "jarns",
    "mubs",
    "norls",
    "pims",
    "rills",
    "snarfs",
    "tovs",
    "wugs",
    "yorks",
    "zents",
    "quibs",
    "lorps",
)
_QUALITY: Final = (
    ("taller", "tallest", "shortest"),
    ("older", "oldest", "youngest"),
    ("faster", "fastest", "slowest"),
    ("heavier", "heaviest", "lightest"),
    ("richer", "richest", "poorest"),
)


def _ordering(rng: random.Random, level: Difficulty) -> Item:
    count = level + 2
    people = rng.sample(FIRST, count)
    more, most, least = rng.choice(_QUALITY)
    facts = [f"{people[n]} is {more} than {people[n + 1]}." for n in range(count - 1)]
    if level > 1:
        rng.shuffle(facts)
    asked, answer = rng.choice(((most, people[0]), (least, people[-1])))
    if level == 3 and rng.random() < 0.5:
        asked, answer = f"second {most}", people[1]
    grader = exact(others=[name for name in people if name != answer])
    return Item(slots={"facts": " ".join(facts), "asked": asked}, reference=answer, grader=grader)


def _syllogism(rng: random.Random, level: Difficulty) -> Item:
    a, b, c, d = rng.sample(_NONSENSE, 4)
    who = rng.choice(FIRST)
    shapes: dict[int, tuple[tuple[str, str, bool], ...]] = {
        1: (
            (f"All {a} are {b}. {who} is one of the {a}.", f"{who} is one of the {b}", True),
            (f"No {a} are {b}. {who} is one of the {a}.", f"{who} is one of the {b}", False),
        ),
        2: (
            (f"All {a} are {b}. All {b} are {c}.", f"All {a} are {c}", True),
            (f"All {a} are {b}. No {b} are {c}.", f"Some {a} are {c}", False),
            (f"All {a} are {b}. {who} is not one of the {b}.", f"{who} is one of the {a}", False),
        ),
        3: (
            (f"All {a} are {b}. All {b} are {c}. No {c} are {d}.", f"Some {a} are {d}", False),
            (
                f"All {a} are {b}. No {c} are {b}. {who} is one of the {c}.",
                f"{who} is one of the {a}",
                False,
            ),
            (
                f"All {a} are {b}. All {c} are {d}. No {b} are {d}. {who} is one of the {a}.",
                f"{who} is not one of the {c}",
                True,
            ),
            (
                f"Every one of the {a} is {d} or {b}. {who} is one of the {a} and not one of "
                f"the {d}.",
                f"{who} is one of the {b}",
                True,
            ),
        ),
    }
    facts, claim, holds = rng.choice(shapes[level])
    answer, other = ("true", "false") if holds else ("false", "true")
    grader = exact(aliases=["yes" if holds else "no"], others=[other, "no" if holds else "yes"])
    return Item(slots={"facts": facts, "claim": claim}, reference=answer, grader=grader)


def _relations(rng: random.Random, level: Difficulty) -> Item:
    a, b, c = rng.sample(WOMEN, 3)
    x, y, z = rng.sample(MEN, 3)
    shapes: dict[int, tuple[tuple[str, str, str], ...]] = {
        1: (
            (
                f"{x} is the father of {b}. {x} is married to {c}, the mother of {b}.",
                f"the mother of {b}",
                c,
            ),
            (f"{a} and {y} are siblings. Their mother is {c}.", f"the mother of {a}", c),
            (f"{a} is the mother of {x}. {y} is the father of {z}.", f"the father of {z}", y),
        ),
        2: (
            (f"{x} is the father of {b}. {b} is the mother of {c}.", f"the grandfather of {c}", x),
            (
                f"{a} is the mother of {b} and of {y}. {y} has a daughter, {c}.",
                f"the grandmother of {c}",
                a,
            ),
            (f"{a} is the sister of {y}. {y} is the father of {z}.", f"the aunt of {z}", a),
        ),
        3: (
            (
                f"{x} and {y} are brothers. {x} has a daughter, {c}. {y} has a son, {z}.",
                f"the cousin of {c}",
                z,
            ),
            (
                f"{a} is the mother of {b}. {b} is married to {x}. {x} and {b} have a child, {c}.",
                f"the mother-in-law of {x}",
                a,
            ),
            (
                f"{x} is the son of {b}. {b} is the daughter of {y}. The mother of {y} is {c}.",
                f"the great-grandmother of {x}",
                c,
            ),
        ),
    }
    facts, asked, answer = rng.choice(shapes[level])
    named = [name for name in (a, b, c, x, y, z) if name in facts]
    others = [name for name in named if name != answer and name not in asked]
    grader = exact(others=others)
    return Item(slots={"facts": facts, "asked": asked}, reference=answer, grader=grader)


def _condition(rng: random.Random, level: Difficulty) -> Item:
    age, sum_ = rng.randint(10, 75), rng.randint(10, 200)
    member = rng.random() < 0.5
    status = "a member" if member else "not a member"
    adult, spend = rng.choice((16, 18, 21, 60, 65)), rng.choice((50, 80, 100, 150))
    if level == 1:
        rule, case, holds = (
            f"Entry is allowed from age {adult}.",
            f"A visitor is {age}.",
            age >= adult,
        )
        asked = "May the visitor enter"
    elif level == 2:
        rule = f"Delivery is free for members who spend at least ${spend}."
        case, holds = f"A customer is {status} and spends ${sum_}.", member and sum_ >= spend
        asked = "Is delivery free"
    else:
        rule = (
            f"A discount applies to members, and to anyone aged {adult} or over, "
            f"unless the bill is below ${spend}."
        )
        case = f"A customer aged {age} is {status} and has a bill of ${sum_}."
        holds, asked = (member or age >= adult) and sum_ >= spend, "Does the discount apply"
    answer, other = ("yes", "no") if holds else ("no", "yes")
    grader = exact(others=[other])
    return Item(slots={"rule": rule, "case": case, "asked": asked}, reference=answer, grader=grader)


FAMILIES: Final = (
    Family(
        name="ordering",
        labels=labelled("logical_reasoning", "general", "free_text"),
        wordings=(
            "{facts} Who is the {asked}? Reply with the name only.",
            "{facts}\nThe {asked} of them is:",
            "Given: {facts} Name the {asked} person.",
            "Read carefully. {facts} Which person is the {asked}? One word.",
        ),
        held_out=(
            "From these facts, find the {asked}: {facts} Just the name.",
            "{facts} Among them, who would you call the {asked}?",
        ),
        draw=_ordering,
    ),
    Family(
        name="syllogisms",
        labels=labelled("logical_reasoning", "general", "free_text"),
        wordings=(
            "{facts} True or false: {claim}. Reply with one word.",
            "Assume: {facts}\nClaim: {claim}.\nIs the claim true or false?",
            '{facts} Does it follow that the statement "{claim}" is true or false? One word.',
            "Premises: {facts} Statement: {claim}. Answer true or false.",
        ),
        held_out=(
            'Suppose that {facts} Then "{claim}" is (true/false):',
            'Judge the statement "{claim}" as true or false, given: {facts}',
        ),
        draw=_syllogism,
    ),
    Family(
        name="family_relations",
        labels=labelled("logical_reasoning", "general", "free_text"),
        wordings=(
            "{facts} Who is {asked}? Reply with the name only.",
            "{facts}\nName {asked}.",
            "Family puzzle: {facts} Find {asked}. One name.",
            "Given that {facts} Who is {asked}? Just the name.",
        ),
        held_out=(
            "{facts} Tell me who {asked} is, in one word.",
            "Work out {asked} from this: {facts}",
        ),
        draw=_relations,
    ),
    Family(
        name="conditions",
        labels=labelled("logical_reasoning", "law", "free_text"),
        wordings=(
            "Rule: {rule}\nCase: {case}\n{asked}? Answer yes or no.",
            "{rule} {case} {asked}? Reply with yes or no only.",
            "Apply this rule: {rule} {case} {asked} (yes/no)?",
            "{case} The rule says: {rule} {asked}? One word, yes or no.",
        ),
        held_out=(
            "Terms: {rule} Situation: {case} Decide, yes or no: {asked}?",
            'According to the policy "{rule}", and knowing that {case} {asked}? yes/no:',
        ),
        draw=_condition,
    ),
)
