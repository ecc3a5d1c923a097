"""Questions of several parts, plans to put in order, and short conversations to remember. Every
answer is computed from the parts drawn.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Final, Literal

from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Family, Item, labelled
from emafusion.learn.families.people import CITIES, FIRST, FRUITS, WEEKDAYS
from emafusion.learn.families.words import WORDS

Chain = tuple[str, str, Literal["number", "exact"]]


def _chain(rng: random.Random, level: Difficulty) -> Item:
    first, second = rng.sample(WORDS, 2)
    numbers = rng.sample(range(2, 40), 4)
    n, day = rng.randint(2, 9), rng.randrange(7)
    chains = {
        1: _short_chains(first, numbers, n),
        2: _middling_chains(first, numbers, n=n, day=day),
        3: _long_chains((first, second), numbers, n),
    }
    steps, answer, kind = rng.choice(chains[level])
    number = kind == "number"
    grader = Grader(type=kind, params={} if number else {"sensitive": True})
    return Item(
        slots={"steps": steps, "Steps": steps[0].upper() + steps[1:]},
        reference=answer,
        grader=grader,
        labels={"format": "number"} if number else {},
    )


def _short_chains(word: str, numbers: Sequence[int], n: int) -> tuple[Chain, ...]:
    return (
        (
            f"take the larger of {numbers[0]} and {numbers[1]}, then add {n}",
            str(max(numbers[:2]) + n),
            "number",
        ),
        (
            f'take the word "{word}", then write it in capitals followed by an exclamation mark',
            f"{word.upper()}!",
            "exact",
        ),
    )


def _middling_chains(word: str, numbers: Sequence[int], *, n: int, day: int) -> tuple[Chain, ...]:
    later = WEEKDAYS[(day + n) % 7]
    return (
        (f'count the letters of "{word}", then multiply by {n}', str(len(word) * n), "number"),
        (
            f"add the largest and the smallest of {', '.join(map(str, numbers))}",
            str(max(numbers) + min(numbers)),
            "number",
        ),
        (
            f"find the weekday {n} days after {WEEKDAYS[day]}, then write it in capitals",
            later.upper(),
            "exact",
        ),
    )


def _long_chains(words: tuple[str, str], numbers: Sequence[int], n: int) -> tuple[Chain, ...]:
    word, other = words
    return (
        (
            f"sort {', '.join(map(str, numbers))} in ascending order, take the second, and "
            "double it",
            str(sorted(numbers)[1] * 2),
            "number",
        ),
        (
            f'count the letters of "{word}" and of "{other}", multiply the two counts, and '
            f"subtract {n}",
            str(len(word) * len(other) - n),
            "number",
        ),
        (
            f'take the alphabetically first of "{word}" and "{other}", and write it backwards',
            min(word, other)[::-1],
            "exact",
        ),
        (
            f"add up the even ones among {', '.join(map(str, numbers))} (0 if there are "
            f"none), then add {n}",
            str(sum(v for v in numbers if v % 2 == 0) + n),
            "number",
        ),
    )


def _report(rng: random.Random, level: Difficulty) -> Item:
    who, other = rng.sample(FIRST, 2)
    a, b, c, fruit = rng.randint(3, 30), rng.randint(2, 12), rng.randint(2, 9), rng.choice(FRUITS)
    if level == 1:
        text, keys = (
            f"{who} has {a} {fruit} and buys {b} more.",
            '"name" and "total" (fruit in the end)',
        )
        fields: dict[str, str | int] = {"name": who, "total": a + b}
    elif level == 2:
        text = f"{who} buys {a} {fruit} at ${b} each. {other} buys {c} at the same price."
        keys = '"paid_first" and "paid_second" (dollars each of them pays, in that order)'
        fields = {"paid_first": a * b, "paid_second": c * b}
    else:
        text = (
            f"{who} buys {a} {fruit} at ${b} each, {other} buys {c} more than {who} at the "
            "same price."
        )
        keys = '"biggest_buyer" (name), "total_fruit" and "total_dollars" (both people together)'
        total = 2 * a + c
        fields = {"biggest_buyer": other, "total_fruit": total, "total_dollars": total * b}
    slots = {"text": text, "keys": keys}
    return Item(slots=slots, reference=json.dumps(fields), grader=Grader(type="json"))


_PLANS: Final[dict[int, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    1: (
        ("make tea", ("boil water", "pour it on the tea bag", "drink the tea")),
        ("send a letter", ("write it", "put it in an envelope", "post it")),
        ("eat an egg", ("buy the egg", "boil it", "eat it")),
        ("wear a new shirt", ("buy it", "wash it", "put it on")),
        ("read a library book", ("borrow it", "read it", "return it")),
    ),
    2: (
        (
            "bake bread",
            ("mix flour and water", "let the dough rise", "put it in the oven", "slice the loaf"),
        ),
        (
            "plant a tree",
            ("dig a hole", "set the tree in it", "fill the hole with soil", "water it"),
        ),
        (
            "paint a wall",
            ("clear the room", "tape the edges", "apply the paint", "remove the tape"),
        ),
        ("fly abroad", ("book a ticket", "check in", "board the plane", "land")),
        ("wash clothes", ("sort them", "run the machine", "hang them up", "fold them dry")),
    ),
    3: (
        (
            "release software",
            ("collect requirements", "design it", "write the code", "test it", "deploy it"),
        ),
        (
            "run a survey",
            (
                "choose the question",
                "write the form",
                "gather replies",
                "analyse them",
                "publish the result",
            ),
        ),
        (
            "build a house",
            (
                "buy the land",
                "draw the plans",
                "lay the foundation",
                "raise the walls",
                "fit the roof",
            ),
        ),
        (
            "make a film",
            (
                "write the script",
                "cast the actors",
                "shoot the scenes",
                "edit the footage",
                "hold the premiere",
            ),
        ),
    ),
}


def _plan(rng: random.Random, level: Difficulty) -> Item:
    goal, steps = rng.choice(_PLANS[level])
    order = list(range(len(steps)))
    rng.shuffle(order)
    letters = "ABCDE"[: len(steps)]
    shown = "; ".join(
        f"{letter}) {steps[place]}" for letter, place in zip(letters, order, strict=True)
    )
    answer = [letters[order.index(place)] for place in range(len(steps))]
    slots = {"goal": goal, "steps": shown}
    return Item(slots=slots, reference=json.dumps(answer), grader=Grader(type="list"))


def _conversation(rng: random.Random, level: Difficulty) -> Item:
    who, other = rng.sample(FIRST, 2)
    city, second = rng.sample(CITIES, 2)
    n, m = rng.randint(3, 40), rng.randint(2, 20)
    talks: dict[int, tuple[tuple[str, str], ...]] = {
        1: (
            (f"User: Hi, I'm {who}.\nAssistant: Hello {who}!\nUser: What is my name?", who),
            (f"User: I live in {city}.\nAssistant: Nice city.\nUser: Where do I live?", city),
        ),
        2: (
            (
                f"User: I'm {who}, my boss is {other}.\nAssistant: Noted.\nUser: We both moved "
                f"to {city}.\n"
                "Assistant: Good luck there!\nUser: What is the name of my boss?",
                other,
            ),
            (
                f"User: I moved from {city} to {second}.\nAssistant: When?\nUser: In May. Which "
                "city did I leave?",
                city,
            ),
        ),
        3: (
            (
                f"User: Book {city} for me.\nAssistant: Booked {city}.\nUser: Sorry, I meant "
                f"{second}.\n"
                "Assistant: Changed.\nUser: Which city am I booked for now?",
                second,
            ),
            (
                f"User: Order {n} pens.\nAssistant: {n} pens.\nUser: And {m} more.\nAssistant: "
                "Done.\n"
                "User: How many pens have I ordered altogether?",
                str(n + m),
            ),
        ),
    }
    talk, answer = rng.choice(talks[level])
    grader = Grader(type="number") if answer.isdigit() else Grader(type="exact")
    return Item(slots={"talk": talk}, reference=answer, grader=grader)


FAMILIES: Final = (
    Family(
        name="step_chains",
        labels=labelled("logical_reasoning", "general", "free_text", complexity="composite"),
        wordings=(
            "{Steps}. Reply with only the final result.",
            "Do this step by step in your head: {steps}. Give the end result alone.",
            "Follow the instructions: {steps}.\nFinal result:",
            '{Steps}. Work briefly, then end with "Answer: ...".',
        ),
        held_out=(
            "Please {steps}. What do you get? Only that.",
            "Instruction chain: {steps}. State the outcome and nothing else.",
        ),
        draw=_chain,
    ),
    Family(
        name="computed_records",
        labels=labelled("extraction", "business", "json", complexity="composite"),
        wordings=(
            "{text}\nReply with JSON only, keys {keys}.",
            "Turn this into a JSON object with {keys}: {text}",
            "Story: {text}\nFill in JSON with {keys}. Nothing else.",
            "Compute {keys} and output one JSON object.\n{text}",
        ),
        held_out=(
            'Given "{text}", write a JSON record holding {keys}.',
            "JSON please ({keys}), no words around it. {text}",
        ),
        draw=_report,
    ),
    Family(
        name="step_ordering",
        labels=labelled("planning", "general", "free_text"),
        wordings=(
            "To {goal}, put these steps in order: {steps}. Reply with the letters, separated "
            "by commas.",
            "Plan how to {goal}. Steps: {steps}. Give the right order as letters with commas.",
            "Order the steps to {goal}: {steps}\nOrder (letters, comma-separated):",
            "{steps}. In which order do you {goal}? Letters only, with commas.",
        ),
        held_out=(
            "Someone wants to {goal}. Arrange: {steps}. Answer like this: X, Y, Z.",
            "Schedule these steps so that one can {goal}: {steps}. Only letters and commas.",
        ),
        draw=_plan,
    ),
    Family(
        name="conversations",
        labels=labelled("conversation", "general", "free_text"),
        wordings=(
            "{talk}\nAssistant (one word or number):",
            "Continue as the assistant with the shortest right answer.\n{talk}",
            "Here is a chat. Answer the last question in one word.\n{talk}",
            "{talk}\n\nReply to the user's last message with only the answer.",
        ),
        held_out=(
            "Read the dialogue and answer its final question briefly.\n---\n{talk}\n---",
            "You are the assistant below. Give just the word or number asked for.\n{talk}",
        ),
        draw=_conversation,
    ),
)
