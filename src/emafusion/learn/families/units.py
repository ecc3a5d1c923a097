"""Questions that convert units. Knows exact factors; temperature scales have an offset too."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Final

from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Family, Item, labelled

# from, to, factor: level 1 are whole and known to all, level 3 take a memory or two steps.
_FACTORS: Final[dict[int, tuple[tuple[str, str, Fraction], ...]]] = {
    1: (
        ("hours", "minutes", Fraction(60)),
        ("metres", "centimetres", Fraction(100)),
        ("kilometres", "metres", Fraction(1000)),
        ("weeks", "days", Fraction(7)),
        ("minutes", "seconds", Fraction(60)),
        ("kilograms", "grams", Fraction(1000)),
        ("years", "months", Fraction(12)),
        ("dozens", "pieces", Fraction(12)),
    ),
    2: (
        ("centimetres", "metres", Fraction(1, 100)),
        ("grams", "kilograms", Fraction(1, 1000)),
        ("days", "hours", Fraction(24)),
        ("litres", "millilitres", Fraction(1000)),
        ("millimetres", "centimetres", Fraction(1, 10)),
        ("feet", "inches", Fraction(12)),
        ("minutes", "hours", Fraction(1, 60)),
        ("tonnes", "kilograms", Fraction(1000)),
        ("gigabytes", "megabytes (1 GB = 1024 MB)", Fraction(1024)),
    ),
    3: (
        ("hours", "seconds", Fraction(3600)),
        ("metres per second", "kilometres per hour", Fraction(18, 5)),
        ("square metres", "square centimetres", Fraction(10_000)),
        ("yards", "inches", Fraction(36)),
        ("cubic metres", "litres", Fraction(1000)),
        ("kilometres per hour", "metres per second", Fraction(5, 18)),
        ("weeks", "hours", Fraction(168)),
        ("hectares", "square metres", Fraction(10_000)),
        ("pounds", "ounces", Fraction(16)),
        ("nautical miles", "metres", Fraction(1852)),
    ),
}


def _conversion(rng: random.Random, level: Difficulty) -> Item:
    if level == 3 and rng.random() < 0.3:
        return _temperature(rng)
    start, end, factor = rng.choice(_FACTORS[level])
    amount = rng.randint(2, 25)
    if factor.denominator > 1:
        # Amounts that come out with few digits, so that rounding never decides.
        amount *= factor.denominator // (4 if factor.denominator % 4 == 0 else 1)
    value = amount * factor
    return _item(f"{amount} {start}", end, value)


def _temperature(rng: random.Random) -> Item:
    celsius = rng.randrange(-20, 101, 5)
    if rng.random() < 0.5:
        return _item(
            f"{celsius} degrees Celsius", "degrees Fahrenheit", Fraction(celsius * 9, 5) + 32
        )
    fahrenheit = celsius * 9 // 5 + 32
    return _item(f"{fahrenheit} degrees Fahrenheit", "degrees Celsius", Fraction(celsius))


def _item(amount: str, unit: str, value: Fraction) -> Item:
    grader = Grader(type="number", params={"relative": 0.001})
    slots = {"amount": amount, "unit": unit}
    return Item(slots=slots, reference=f"{float(value):.10g}", grader=grader)


FAMILIES: Final = (
    Family(
        name="unit_conversion",
        labels=labelled("mathematical_reasoning", "science", "number"),
        wordings=(
            "Convert {amount} to {unit}. Reply with only the number.",
            "How many {unit} are {amount}? Number only.",
            "{amount} = ? {unit}",
            "Express {amount} in {unit}. Just the number, no unit.",
        ),
        held_out=(
            "What is {amount} when measured in {unit}? Give the number.",
            "I have {amount}. Tell me the same quantity in {unit}, as a bare number.",
        ),
        draw=_conversion,
    ),
)
