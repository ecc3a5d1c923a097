"""Grades a prompt 1 (a small model should manage) to 3, from what can be seen without asking one.

Knows lengths, counts and graders; the weights are a rule of thumb, and a seed may state its own
difficulty instead. What a variation adds comes on top.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Final

from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.seeds.expressions import Expression
from emafusion.learn.seeds.seed import Seed

COMPLEXITY: Final[Mapping[int, str]] = {1: "recall", 2: "single_step", 3: "multi_step"}
"""The complexity that stands for a difficulty where neither seed nor classifier says one."""

_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)?")
_LONG: Final = (80, 160)
_MANY_NUMBERS: Final = 8
_WRITTEN: Final = frozenset({"code", "sql"})
_FEW_PARAMETERS: Final = 2


def grade(
    seed: Seed, prompt: str, grader: Grader, *, stated: Difficulty | None, harder: float
) -> Difficulty:
    """The difficulty of one prompt.

    Parameters
    ----------
    seed, prompt, grader
        What it was made from, its text, and how a reply is marked.
    stated
        The seed's own word, which replaces the estimate.
    harder
        What its variations add, in levels.
    """
    base = float(stated) if stated is not None else estimate(seed, prompt, grader)
    return _level(base + harder)


def estimate(seed: Seed, prompt: str, grader: Grader) -> float:
    """A difficulty from 1 upwards, in quarters and halves of a level."""
    words = len(prompt.split())
    points = 1.0 + sum(0.5 for bound in _LONG if words > bound)
    points += 0.25 * (len(_NUMBER.findall(prompt)) > _MANY_NUMBERS)
    points += 1.0 * (grader.type in _WRITTEN)
    points += 0.5 * (grader.type in {"json", "list"})
    points += 0.5 * (grader.type == "constraint" and len(grader.params) > _FEW_PARAMETERS)
    steps = sum(_operations(each) for each in (*seed.computed.values(), seed.answer) if each)
    return points + min(1.0, 0.25 * steps)


def _level(points: float) -> Difficulty:
    if points < 1.75:
        return 1
    return 2 if points < 2.75 else 3


def _operations(expression: Expression) -> int:
    """How many operations an expression carries out, a loop counted twice."""
    nodes = list(ast.walk(ast.parse(expression.source.strip(), mode="eval")))
    loops = sum(isinstance(node, ast.ListComp | ast.GeneratorExp) for node in nodes)
    return sum(isinstance(node, ast.BinOp | ast.Compare | ast.Call) for node in nodes) + loops
