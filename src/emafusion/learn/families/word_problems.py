"""Questions told as small stories: shopping, sharing, travel, work, money, and formulae from
science and engineering. Each story computes its own answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Final

from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Family, Item, labelled
from emafusion.learn.families.people import FIRST, FRUITS, GOODS

Story = tuple[str, int | Fraction]
Stories = Mapping[int, Sequence[Callable[[random.Random], Story]]]

_WORDINGS: Final = (
    "{story} Reply with only the number.",
    "{story}\nAnswer with a number and nothing else.",
    "Solve this problem and give only the final number.\n{story}",
    '{story} Work briefly, then end with "Answer: N".',
)
_HELD_OUT: Final = (
    "Here is a small problem: {story} State just the resulting number.",
    "Problem: {story}\nSolution (number only):",
)


def _two(rng: random.Random) -> tuple[str, str]:
    first, second = rng.sample(FIRST, 2)
    return first, second


def _gain(rng: random.Random) -> Story:
    who, other = _two(rng)
    a, b, fruit = rng.randint(3, 30), rng.randint(2, 20), rng.choice(FRUITS)
    return (
        f"{who} has {a} {fruit}. {other} gives {who} {b} more. How many {fruit} does {who} have "
        "now?",
        a + b,
    )


def _loss(rng: random.Random) -> Story:
    who, _ = _two(rng)
    a, b, fruit = rng.randint(12, 50), rng.randint(2, 11), rng.choice(FRUITS)
    return f"{who} picks {a} {fruit} and eats {b} of them. How many {fruit} are left?", a - b


def _packs(rng: random.Random) -> Story:
    a, b, goods = rng.randint(3, 12), rng.randint(2, 12), rng.choice(GOODS)
    return (
        f"A shop has {a} boxes with {b} {goods} in each. How many {goods} are there in total?",
        a * b,
    )


def _share(rng: random.Random) -> Story:
    a, b, fruit = rng.randint(2, 9), rng.randint(3, 12), rng.choice(FRUITS)
    return (
        f"{a * b} {fruit} are shared equally among {a} children. How many does each child get?",
        b,
    )


def _packs_sold(rng: random.Random) -> Story:
    a, b, c, goods = rng.randint(4, 14), rng.randint(5, 24), rng.randint(5, 19), rng.choice(GOODS)
    return (
        f"A shop gets {a} crates of {b} {goods} and sells {c} of the {goods}. How many remain?",
        a * b - c,
    )


def _change(rng: random.Random) -> Story:
    who, _ = _two(rng)
    a, b, goods = rng.randint(2, 8), rng.randint(3, 11), rng.choice(GOODS)
    paid = -(-a * b // 50) * 50
    return (
        f"{who} buys {a} {goods} at ${b} each and pays with ${paid}. How many dollars does "
        f"{who} get back?",
        paid - a * b,
    )


def _travel(rng: random.Random) -> Story:
    speed, hours = rng.randrange(40, 121, 10), rng.randint(2, 7)
    return (
        f"A train travels at {speed} km per hour for {hours} hours. How many kilometres does it "
        "cover?",
        speed * hours,
    )


def _ages(rng: random.Random) -> Story:
    who, other = _two(rng)
    a, b, years = rng.randint(6, 20), rng.randint(2, 15), rng.randint(2, 12)
    return (
        f"{who} is {a} and {other} is {b} years older. How old will {other} be in {years} years?",
        a + b + years,
    )


def _wages(rng: random.Random) -> Story:
    who, _ = _two(rng)
    rate, hours, days, spent = (
        rng.randint(9, 25),
        rng.randint(3, 8),
        rng.randint(3, 6),
        rng.randint(10, 70),
    )
    text = (
        f"{who} works {hours} hours a day for {days} days at ${rate} an hour, then spends "
        f"${spent}. "
        f"How many dollars of the pay are left?"
    )
    return text, rate * hours * days - spent


def _half_then(rng: random.Random) -> Story:
    who, other = _two(rng)
    a, b, c, fruit = (
        rng.randrange(20, 81, 4),
        rng.randint(3, 9),
        rng.randint(2, 5),
        rng.choice(FRUITS),
    )
    text = (
        f"{who} has {a} {fruit}, gives half of them to {other}, buys {c} bags with {b} {fruit} "
        "each "
        f"and then eats 3. How many {fruit} does {who} have?"
    )
    return text, a // 2 + b * c - 3


def _discount(rng: random.Random) -> Story:
    price, off, count, ship = (
        rng.randrange(20, 101, 10),
        rng.choice((10, 20, 30, 50)),
        rng.randint(2, 6),
        rng.randint(3, 9),
    )
    goods = rng.choice(GOODS)
    text = (
        f"{goods.capitalize()} cost ${price} each with {off}% off. {rng.choice(FIRST)} buys "
        f"{count} of "
        f"them and pays ${ship} for shipping. How many dollars is the bill?"
    )
    return text, Fraction(price * (100 - off) * count, 100) + ship


def _meeting(rng: random.Random) -> Story:
    a, b, hours = rng.randrange(40, 91, 5), rng.randrange(40, 91, 5), rng.randint(2, 5)
    text = (
        f"Two cars {(a + b) * hours} km apart drive towards each other at {a} and {b} km per hour. "
        f"After how many hours do they meet?"
    )
    return text, hours


def _ratio(rng: random.Random) -> Story:
    a, b, k = rng.randint(2, 5), rng.randint(3, 7), rng.randint(3, 12)
    who, other = _two(rng)
    text = (
        f"{who} and {other} split ${(a + b) * k} in the ratio {a}:{b}. {who} then gives $1 to "
        "charity. "
        f"How many dollars does {who} have?"
    )
    return text, a * k - 1


_STORIES: Final[Stories] = {
    1: (_gain, _loss, _packs, _share),
    2: (_packs_sold, _change, _travel, _ages),
    3: (_wages, _half_then, _discount, _meeting, _ratio),
}


def _interest(rng: random.Random) -> Story:
    sum_, rate, years = rng.randrange(200, 2001, 100), rng.randint(2, 8), rng.randint(2, 6)
    return (
        f"${sum_} earns {rate}% simple interest a year. How many dollars of interest after "
        f"{years} years?",
        sum_ * rate * years // 100,
    )


def _profit(rng: random.Random) -> Story:
    cost, gain = rng.randint(5, 60), rng.randint(2, 30)
    return (
        f"A trader buys a {rng.choice(GOODS)[:-1]} for ${cost} and sells it for ${cost + gain}. "
        "What is the profit in dollars?",
        gain,
    )


def _margin(rng: random.Random) -> Story:
    price, margin = rng.randrange(20, 201, 20), rng.randrange(5, 61, 5)
    cost = Fraction(price * (100 - margin), 100)
    return (
        f"An item costs ${float(cost):g} to make and sells for ${price}. What is the profit "
        "margin in percent of the price?",
        margin,
    )


def _units_to_even(rng: random.Random) -> Story:
    fixed_units, contribution, cost = rng.randint(20, 150), rng.randint(3, 20), rng.randint(2, 15)
    text = (
        f"Fixed costs are ${fixed_units * contribution}. Each unit costs ${cost} to make and "
        "sells for "
        f"${cost + contribution}. How many units must be sold to break even?"
    )
    return text, fixed_units


def _compound(rng: random.Random) -> Story:
    sum_, rate = rng.randrange(1000, 5001, 1000), rng.choice((5, 10, 20))
    return (
        f"${sum_} grows by {rate}% a year, compounded yearly. How many dollars is it after 2 "
        "years?",
        Fraction(sum_ * (100 + rate) ** 2, 10_000),
    )


def _budget(rng: random.Random) -> Story:
    month, spent = rng.randrange(100, 901, 50), rng.randint(20, 99)
    return f"A budget is ${month} and ${spent} is spent. How many dollars remain?", month - spent


_MONEY: Final[Stories] = {
    1: (_profit, _budget),
    2: (_interest, _profit, _interest),
    3: (_margin, _units_to_even, _compound),
}


def _force(rng: random.Random) -> Story:
    mass, pull = rng.randint(2, 40), rng.randint(2, 12)
    return (
        f"A mass of {mass} kg accelerates at {pull} m/s². What force in newtons acts on it?",
        mass * pull,
    )


def _voltage(rng: random.Random) -> Story:
    amps, ohms = rng.randint(2, 12), rng.randint(3, 40)
    return (
        f"A current of {amps} A flows through a resistance of {ohms} ohms. What is the voltage "
        "in volts?",
        amps * ohms,
    )


def _density(rng: random.Random) -> Story:
    density, volume = rng.randint(2, 15), rng.randint(2, 30)
    return (
        f"A block of {volume} cm³ has a mass of {density * volume} g. What is its density in "
        "g/cm³?",
        density,
    )


def _power(rng: random.Random) -> Story:
    volts, ohms = rng.choice((6, 10, 12, 20, 24)), rng.choice((2, 4, 5, 8))
    return (
        f"A resistor of {ohms} ohms is connected to {volts} V. What power in watts does it draw?",
        Fraction(volts * volts, ohms),
    )


def _kinetic(rng: random.Random) -> Story:
    mass, speed = rng.randrange(2, 21, 2), rng.randint(2, 12)
    return (
        f"A body of {mass} kg moves at {speed} m/s. What is its kinetic energy in joules?",
        mass * speed * speed // 2,
    )


def _parallel(rng: random.Random) -> Story:
    a, b = rng.choice(
        ((6, 3), (12, 6), (20, 5), (10, 10), (30, 15), (12, 4), (8, 8), (60, 20), (40, 10), (24, 8))
    )
    volts = rng.choice((12, 24, 30, 36, 60))
    text = (
        f"Resistors of {a} and {b} ohms are in parallel on a {volts} V supply. What total "
        "current in amperes flows?"
    )
    return text, Fraction(volts * (a + b), a * b)


def _fall(rng: random.Random) -> Story:
    start, pull, time = rng.randint(2, 15), rng.randint(2, 6), rng.randrange(2, 9, 2)
    text = (
        f"A car at {start} m/s accelerates at {pull} m/s² for {time} s. How many metres does "
        "it travel meanwhile?"
    )
    return text, start * time + pull * time * time // 2


_FORMULAE: Final[Stories] = {
    1: (_force, _voltage),
    2: (_density, _power, _voltage),
    3: (_kinetic, _parallel, _fall),
}


def _family(name: str, domain: str, stories: Stories) -> Family:
    def draw(rng: random.Random, level: Difficulty) -> Item:
        story, answer = rng.choice(stories[level])(rng)
        grader = Grader(type="number", params={"tolerance": 0.005})
        reference = f"{float(answer):.10g}" if isinstance(answer, Fraction) else str(answer)
        labels = {"complexity": "multi_step" if level == 3 else "single_step"}
        return Item(slots={"story": story}, reference=reference, grader=grader, labels=labels)

    return Family(
        name=name,
        labels=labelled("mathematical_reasoning", domain, "number"),
        wordings=_WORDINGS,
        held_out=_HELD_OUT,
        draw=draw,
    )


FAMILIES: Final = (
    _family("word_problems", "mathematics", _STORIES),
    _family("money_problems", "finance", _MONEY),
    _family("formulae", "engineering", _FORMULAE),
)
