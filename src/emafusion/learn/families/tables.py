"""Questions about a small text table: looking a cell up, and summing, counting or ranking a column.
The table is drawn first, the answer computed from it.
"""

from __future__ import annotations

import random
from typing import Final

from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Draw, Family, Item, labelled
from emafusion.learn.families.people import CITIES, FIRST, GOODS

_NUMBER: Final = Grader(type="number")
Rows = list[tuple[str, str, int, int]]


def _rows(rng: random.Random, count: int) -> Rows:
    names = rng.sample(FIRST, count)
    cities = [rng.choice(CITIES) for _ in names]
    ages = rng.sample(range(19, 70), count)
    scores = rng.sample(range(3, 60), count)
    return list(zip(names, cities, ages, scores, strict=True))


def _shown(rng: random.Random, rows: Rows) -> str:
    mark = rng.choice((",", " | ", "; "))
    head = mark.join(("name", "city", "age", "score"))
    return "\n".join([head, *(mark.join(map(str, row)) for row in rows)])


def _lookup(rng: random.Random, level: Difficulty) -> Item:
    rows = _rows(rng, level + 2)
    name, city, age, score = rng.choice(rows)
    asks: dict[int, tuple[tuple[str, str], ...]] = {
        1: (
            (f"the age of {name}", str(age)),
            (f"the score of {name}", str(score)),
            (f"the city of {name}", city),
        ),
        2: (
            (f"the name of the person aged {age}", name),
            (f"the city of the person with score {score}", city),
        ),
        3: (
            ("the name of the oldest person", max(rows, key=lambda row: row[2])[0]),
            ("the score of the youngest person", str(min(rows, key=lambda row: row[2])[3])),
            ("the city of the person with the highest score", max(rows, key=lambda row: row[3])[1]),
        ),
    }
    asked, answer = rng.choice(asks[level])
    grader = _NUMBER if answer.isdigit() else Grader(type="exact")
    return Item(slots={"table": _shown(rng, rows), "asked": asked}, reference=answer, grader=grader)


def _aggregate(rng: random.Random, level: Difficulty) -> Item:
    rows = _rows(rng, level + 2)
    ages, scores = [row[2] for row in rows], [row[3] for row in rows]
    limit = sorted(ages)[len(ages) // 2]
    older = [row for row in rows if row[2] >= limit]
    asks: dict[int, tuple[tuple[str, int], ...]] = {
        1: (
            ("the number of people", len(rows)),
            ("the highest age", max(ages)),
            ("the lowest score", min(scores)),
        ),
        2: (
            ("the sum of all scores", sum(scores)),
            (f"the number of people aged {limit} or more", len(older)),
            ("the difference between the highest and the lowest age", max(ages) - min(ages)),
        ),
        3: (
            (f"the sum of the scores of those aged {limit} or more", sum(row[3] for row in older)),
            ("the sum of the ages, minus the highest score", sum(ages) - max(scores)),
            ("twice the sum of the two lowest scores", 2 * sum(sorted(scores)[:2])),
        ),
    }
    asked, answer = rng.choice(asks[level])
    slots = {"table": _shown(rng, rows), "asked": asked}
    return Item(slots=slots, reference=str(answer), grader=_NUMBER)


def _stock(rng: random.Random, level: Difficulty) -> Item:
    goods = rng.sample(GOODS, level + 1)
    amounts, prices = [rng.randint(2, 30) for _ in goods], [rng.randint(2, 20) for _ in goods]
    lines = [
        f"{g}: {a} in stock, ${p} each" for g, a, p in zip(goods, amounts, prices, strict=True)
    ]
    worth = [a * p for a, p in zip(amounts, prices, strict=True)]
    asks: dict[int, tuple[tuple[str, int], ...]] = {
        1: (
            (f"the price in dollars of one of the {goods[0]}", prices[0]),
            ("the number of items in stock altogether", sum(amounts)),
        ),
        2: (
            (f"the value in dollars of all {goods[1]}", worth[1]),
            ("the price in dollars of one of each", sum(prices)),
        ),
        3: (
            ("the value in dollars of the whole stock", sum(worth)),
            (
                f"the value in dollars of the {goods[0]} and the {goods[-1]} together",
                worth[0] + worth[-1],
            ),
        ),
    }
    asked, answer = rng.choice(asks[level])
    return Item(
        slots={"table": "\n".join(lines), "asked": asked}, reference=str(answer), grader=_NUMBER
    )


_WORDINGS: Final = (
    "{table}\n\nWhat is {asked}? Reply with only the value.",
    "Use this table to find {asked}. Value only.\n{table}",
    "Table:\n{table}\nQuestion: {asked}?\nAnswer:",
    "From the data below, state {asked} and nothing else.\n{table}",
)
_HELD_OUT: Final = (
    "Look at these rows.\n{table}\nTell me {asked}, in one value.",
    "{table}\n---\nGive {asked}. No working.",
)


def _family(name: str, draw: Draw, *, task: str, domain: str) -> Family:
    return Family(
        name=name,
        labels=labelled(task, domain, "table"),
        wordings=_WORDINGS,
        held_out=_HELD_OUT,
        draw=draw,
    )


FAMILIES: Final = (
    _family("table_lookup", _lookup, task="extraction", domain="social_science"),
    _family("table_totals", _aggregate, task="mathematical_reasoning", domain="social_science"),
    _family("stock_lists", _stock, task="mathematical_reasoning", domain="business"),
)
