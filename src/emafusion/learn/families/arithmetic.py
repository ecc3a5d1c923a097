"""Questions of bare calculation: sums, percentages, sequences, equations, comparisons, rounding,
fractions. Answers are computed with exact integers and fractions.
"""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Final

from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Draw, Family, Item, labelled

_NUMBER: Final = Grader(type="number")
_WORDINGS: Final = (
    "What is {sum}? Reply with only the number.",
    "Calculate: {sum}",
    "{sum} = ?\nGive just the result.",
    "Work out {sum} and answer with a number only.",
)
_HELD_OUT: Final = (
    "Please compute {sum}. No explanation, only the value.",
    "Evaluate the expression {sum}. Result:",
)


def _arithmetic(rng: random.Random, level: Difficulty) -> Item:
    if level == 1:
        a, b = rng.randint(2, 60), rng.randint(2, 39)
        text, result = rng.choice(
            (
                (f"{a} + {b}", a + b),
                (f"{a + b} - {b}", a),
                (f"{a % 11 + 2} * {b % 11 + 2}", (a % 11 + 2) * (b % 11 + 2)),
            )
        )
    elif level == 2:
        a, b, c = rng.randint(12, 99), rng.randint(3, 29), rng.randint(2, 90)
        text, result = rng.choice(
            (
                (f"{a} * {b}", a * b),
                (f"{a} + {b} * {c % 9 + 2}", a + b * (c % 9 + 2)),
                (f"{a * 7} + {c * 9} - {b}", a * 7 + c * 9 - b),
                (f"{a * b} / {b}", a),
            )
        )
    else:
        a, b, c, d = (rng.randint(11, 99) for _ in range(4))
        e = d % 9 + 2
        text, result = rng.choice(
            (
                (f"{a} * {b} - {c}", a * b - c),
                (f"({a} + {b}) * {e} - {c}", (a + b) * e - c),
                (f"{a * 10 + e} * {c}", (a * 10 + e) * c),
                (f"{a} * {e} + {b} * {c % 9 + 2}", a * e + b * (c % 9 + 2)),
            )
        )
    return Item(slots={"sum": text}, reference=str(result), grader=_NUMBER)


def _percentage(rng: random.Random, level: Difficulty) -> Item:
    share = rng.choice((5, 10, 20, 25, 50, 75)) if level == 1 else rng.randrange(5, 96, 5)
    base = rng.randrange(20, 401, 20) if level < 3 else rng.randrange(40, 2001, 20)
    if level == 1:
        text, result = f"{share}% of {base}", Fraction(share * base, 100)
    elif level == 2:
        part = Fraction(share * base, 100)
        text, result = rng.choice(
            (
                (f"{base} increased by {share}%", base + part),
                (f"{base} reduced by {share}%", base - part),
                (f"{share}% of {base}", part),
            )
        )
    else:
        second = rng.choice((10, 20, 25, 50))
        grown = Fraction(base) * (100 + share) / 100
        text, result = rng.choice(
            (
                (
                    f"{base} increased by {share}% and the result then reduced by {second}%",
                    grown * (100 - second) / 100,
                ),
                (
                    f"the number of which {share}% is {_decimal(Fraction(share * base, 100))}",
                    Fraction(base),
                ),
            )
        )
    grader = Grader(type="number", params={"tolerance": 0.005})
    return Item(slots={"sum": text}, reference=_decimal(result), grader=grader)


def _sequence(rng: random.Random, level: Difficulty) -> Item:
    start, step = rng.randint(1, 20), rng.randint(2, 9)
    if level == 1:
        terms = [start + n * step for n in range(6)]
    elif level == 2:
        ratio = rng.choice((2, 3))
        terms = rng.choice(
            (
                [start * ratio**n for n in range(6)],
                [start + 90 - n * step for n in range(6)],
                [n * n + start for n in range(1, 7)],
            )
        )
    else:
        pair = [start, start + step]
        for _ in range(4):
            pair.append(pair[-1] + pair[-2])
        grows = [start + n * step + n * (n - 1) // 2 * (1 + step % 3) for n in range(6)]
        turns = [start]
        for n in range(5):
            turns.append(turns[-1] * 2 if n % 2 else turns[-1] + step)
        terms = rng.choice((pair, grows, turns))
    slots = {"terms": ", ".join(map(str, terms[:5]))}
    return Item(slots=slots, reference=str(terms[5]), grader=_NUMBER)


def _equation(rng: random.Random, level: Difficulty) -> Item:
    x, a, b = rng.randint(2, 12), rng.randint(2, 9), rng.randint(1, 30)
    if level == 1:
        text = rng.choice((f"x + {b} = {x + b}", f"{a}x = {a * x}", f"x - {b} = {x - b}"))
    elif level == 2:
        text = rng.choice(
            (
                f"{a}x + {b} = {a * x + b}",
                f"{a}x - {b} = {a * x - b}",
                f"{a}(x + {b}) = {a * (x + b)}",
            )
        )
    else:
        c = a + rng.randint(1, 6)
        text = rng.choice(
            (
                f"{c}x - {b} = {a}x + {(c - a) * x - b}".replace("+ -", "- "),
                f"{a}(x - {b}) + {c} = {a * (x - b) + c}",
                f"({c}x + {b}) - {a}x = {(c - a) * x + b}",
            )
        )
    return Item(slots={"equation": text}, reference=str(x), grader=_NUMBER)


def _comparison(rng: random.Random, level: Difficulty) -> Item:
    if level == 1:
        values = [Fraction(value) for value in rng.sample(range(2, 100), 3)]
        shown = [str(value) for value in values]
    elif level == 2:
        whole = rng.randint(1, 9)
        tenths = rng.sample(("0.7", "0.65", "0.08", "0.9", "0.11", "0.12", "0.3", "0.25"), 3)
        shown = [f"{whole}{tail[1:]}" for tail in tenths]
        values = [Fraction(text) for text in shown]
    else:
        tops = rng.sample(
            ((1, 2), (2, 3), (3, 4), (3, 5), (4, 7), (5, 8), (5, 6), (7, 9), (4, 9), (5, 11)), 3
        )
        shown = [f"{top}/{below}" for top, below in tops]
        values = [Fraction(top, below) for top, below in tops]
    way, pick = rng.choice((("largest", max), ("smallest", min)))
    answer = shown[values.index(pick(values))]
    slots = {"way": way, "values": f"{shown[0]}, {shown[1]} and {shown[2]}"}
    return Item(slots=slots, reference=answer, grader=_NUMBER)


def _fractions(rng: random.Random, level: Difficulty) -> Item:
    a, b = rng.randint(1, 7), rng.randint(2, 9)
    c, d = rng.randint(1, 5), rng.randint(2, 6)
    if level == 1:
        text, result = f"1/{d} of {d * b}", Fraction(b)
    elif level == 2:
        text, result = f"{a}/{b} + {c}/{b}", Fraction(a + c, b)
    else:
        text, result = rng.choice(
            (
                (f"{a}/{b} + {c}/{d}", Fraction(a, b) + Fraction(c, d)),
                (f"{a}/{b} * {c}/{d}", Fraction(a, b) * Fraction(c, d)),
                (f"{a}/{b} - {c}/{d}", Fraction(a, b) - Fraction(c, d)),
            )
        )
    grader = Grader(type="number", params={"tolerance": 0.006})
    return Item(slots={"sum": text}, reference=str(result), grader=grader)


def _decimal(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.10g}"


def _family(
    name: str,
    draw: Draw,
    *,
    wordings: tuple[str, ...] = _WORDINGS,
    held_out: tuple[str, ...] = _HELD_OUT,
) -> Family:
    return Family(
        name=name,
        labels=labelled("mathematical_reasoning", "mathematics", "number"),
        wordings=wordings,
        held_out=held_out,
        draw=draw,
    )


FAMILIES: Final = (
    _family("arithmetic", _arithmetic),
    _family("percentages", _percentage),
    _family(
        "sequences",
        _sequence,
        wordings=(
            "What number comes next: {terms}, ...? Reply with only the number.",
            "Continue the sequence {terms}. Next number:",
            "{terms}, ?\nFind the missing last number. Number only.",
            "A pattern starts {terms}. Which number follows? Just the number.",
        ),
        held_out=(
            "Give the sixth term of this sequence: {terms}. Only the number, please.",
            "The numbers {terms} follow a rule. State the next one, nothing else.",
        ),
    ),
    _family(
        "equations",
        _equation,
        wordings=(
            "Solve for x: {equation}. Reply with only the number.",
            "If {equation}, what is x? Number only.",
            "{equation}\nx =",
            "Find the value of x such that {equation}. Give just the value.",
        ),
        held_out=(
            "Which x satisfies {equation}? Answer with a single number.",
            "Determine x given that {equation}. Only the value of x.",
        ),
    ),
    _family(
        "comparisons",
        _comparison,
        wordings=(
            "Which is the {way}: {values}? Reply with only that number.",
            "Pick the {way} of {values}. Number only.",
            "Of the numbers {values}, the {way} one is:",
            "Look at {values}. Write down the {way} number and nothing else.",
        ),
        held_out=(
            "Between {values}, which number is {way}?",
            "Name the {way} among {values}. Just the number.",
        ),
    ),
    _family("fractions", _fractions),
)
