"""Questions about words and letters: sorting, counting, reversing, joining. Answers are computed
from the very strings shown.
"""

from __future__ import annotations

import json
import random
from typing import Final

from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Family, Item, labelled
from emafusion.learn.families.people import FIRST

WORDS: Final = (
    "apple", "banana", "candle", "dragon", "eagle", "forest", "garden", "hammer", "island",
    "jacket", "kitten", "lemon", "mirror", "needle", "orange", "pencil", "quartz", "rabbit",
    "silver", "tunnel", "umbrella", "violin", "window", "yellow", "zebra", "bottle", "copper",
    "dinner", "engine", "flower", "guitar", "honey", "letter", "market", "pepper", "river",
    "summer", "ticket", "village", "winter", "balloon", "cabbage", "giraffe", "lantern",
    "cinnamon", "mississippi", "strawberry", "committee", "bookkeeper", "possession",
)  # fmt: skip


def _sorting(rng: random.Random, level: Difficulty) -> Item:
    count = {1: 3, 2: 5, 3: 7}[level]
    if rng.random() < 0.5:
        values = rng.sample(range(2, 100 if level < 3 else 1000), count)
        down = level == 3 and rng.random() < 0.5
        ordered = [str(value) for value in sorted(values, reverse=down)]
        how = "from largest to smallest" if down else "from smallest to largest"
        shown = ", ".join(map(str, values))
    else:
        chosen = rng.sample(WORDS, count)
        by_length = level == 3 and len({len(word) for word in chosen}) == count
        ordered = sorted(chosen, key=len) if by_length else sorted(chosen)
        how = "from shortest to longest" if by_length else "in alphabetical order"
        shown = ", ".join(chosen)
    reference = json.dumps(ordered)
    return Item(slots={"shown": shown, "how": how}, reference=reference, grader=Grader(type="list"))


def _counting(rng: random.Random, level: Difficulty) -> Item:
    word = rng.choice(WORDS)
    if level == 1:
        words = rng.sample(WORDS, rng.randint(3, 6))
        what, answer = f"words are in this list: {', '.join(words)}", len(words)
    elif level == 2:
        what, answer = rng.choice(
            (
                (f'letters are in the word "{word}"', len(word)),
                (f'vowels (a, e, i, o, u) are in "{word}"', sum(c in "aeiou" for c in word)),
            )
        )
    else:
        letter = rng.choice(word)
        pair = f"{word} {rng.choice(WORDS)}"
        what, answer = rng.choice(
            (
                (f'times does the letter "{letter}" occur in "{word}"', word.count(letter)),
                (f'times does the letter "{letter}" occur in "{pair}"', pair.count(letter)),
            )
        )
    return Item(slots={"what": what}, reference=str(answer), grader=Grader(type="number"))


def _strings(rng: random.Random, level: Difficulty) -> Item:
    word, other = rng.sample(WORDS, 2)
    name = f"{rng.choice(FIRST)} {rng.choice(FIRST)}"
    tasks: dict[int, tuple[tuple[str, str], ...]] = {
        1: (
            (f'write "{word}" in capital letters', word.upper()),
            (f'write "{word.upper()}" in lower case', word),
            (f'join "{word}" and "{other}" with a hyphen', f"{word}-{other}"),
            (f'write "{word}" with a capital first letter', word.capitalize()),
        ),
        2: (
            (f'write the last letter of "{word}" as it is', word[-1]),
            (f'write the initials of "{name}", no dots', "".join(part[0] for part in name.split())),
            (f'remove the first letter of "{word}"', word[1:]),
            (f'write the first three letters of "{word}" in capitals', word[:3].upper()),
        ),
        3: (
            (f'write "{word}" backwards', word[::-1]),
            (f'write every second letter of "{word}", starting with the first', word[::2]),
            (
                f'replace every vowel in "{word}" by #',
                "".join("#" if c in "aeiou" else c for c in word),
            ),
            (
                f'join the last two letters of "{word}" and the first two of "{other}"',
                word[-2:] + other[:2],
            ),
        ),
    }
    task, answer = rng.choice(tasks[level])
    grader = Grader(type="exact", params={"sensitive": True})
    slots = {"task": task, "Task": task[0].upper() + task[1:]}
    return Item(slots=slots, reference=answer, grader=grader)


FAMILIES: Final = (
    Family(
        name="sorting",
        labels=labelled("logical_reasoning", "general", "free_text"),
        wordings=(
            "Sort {how}: {shown}. Reply with the sorted list only, separated by commas.",
            "Put these {how}, comma-separated: {shown}",
            "List: {shown}\nSame list {how}:",
            "Arrange {shown} {how}. Only the list, with commas.",
        ),
        held_out=(
            "Rewrite the list {shown} so that it runs {how}. Commas between the items.",
            "Order the following {how} and print them on one line with commas: {shown}",
        ),
        draw=_sorting,
    ),
    Family(
        name="counting",
        labels=labelled("logical_reasoning", "general", "number"),
        wordings=(
            "How many {what}? Reply with only the number.",
            "Count: how many {what}?",
            "Give just a number. How many {what}?",
            "Tell me how many {what}. Digits only.",
        ),
        held_out=(
            "Exactly how many {what}? A number is enough.",
            "Question: how many {what}?\nNumber:",
        ),
        draw=_counting,
    ),
    Family(
        name="strings",
        labels=labelled("rewriting", "general", "free_text"),
        wordings=(
            "{Task}. Reply with only the result.",
            "Please {task}, nothing else.",
            "Task: {task}.\nResult:",
            "Your job is to {task}. Output just the result.",
        ),
        held_out=(
            "Can you {task}? Show only what results.",
            "{Task} and print that alone.",
        ),
        draw=_strings,
    ),
)
