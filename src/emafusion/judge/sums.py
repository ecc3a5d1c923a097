"""Does a draft's arithmetic add up? Checks the sums that it writes out, as "3 × 4 = 12".

Knows +, −, × and ÷ between plain numbers; not whether the right sum was chosen.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Final

NUMBER: Final = r"\(?-?\d[\d.,]*+\)?"
SUM: Final = re.compile(
    rf"(?<![\w.,:+*/^%(-])(?<![-+*/^] )((?:{NUMBER} ?[-+*/] ?){{1,12}}+{NUMBER}) ?[=≈] ?"
    r"(-?\d[\d,]*+(?:\.\d++)?+)(?! ?[-+*/^%:\\(]|[\d.]*\d)"
)
SIGNS: Final = (
    ("\\times", "*"), ("\\cdot", "*"), ("\\div", "/"), ("\\approx", "≈"), ("\\,", ""),
    ("×", "*"), ("·", "*"), ("÷", "/"), ("−", "-"), ("$", ""),
)  # fmt: skip
EQUAL_SIGNS: Final = ("=", "≈", "\\approx")
LONGEST: Final = 8000
"""Characters of a draft that are looked at."""
ROUGH: Final = 0.02
"""Share of a result that a draft may have rounded away."""
_OPERATORS: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def checked(text: str) -> tuple[int, int]:
    """How many sums `text` writes out, and how many of them are wrong."""
    text = text[:LONGEST]
    if not any(sign in text for sign in EQUAL_SIGNS):
        return 0, 0
    for sign, plain in SIGNS:
        text = text.replace(sign, plain)
    count = wrong = 0
    for found in SUM.finditer(text):
        result = found.group(2).replace(",", "")
        try:
            value = _value(ast.parse(found.group(1).replace(",", ""), mode="eval").body)
            stated = float(result)
        except (SyntaxError, ValueError, ArithmeticError):
            continue
        decimals = len(result.partition(".")[2])
        slack = max(0.51 * 10.0**-decimals, ROUGH * abs(value))
        count += 1
        wrong += abs(value - stated) > slack
    return count, wrong


def _value(node: ast.expr) -> float:
    """What an expression of numbers comes to; raises ``ValueError`` for anything else."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left), _value(right))
    raise ValueError("not a sum of plain numbers")
