from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.answers import KINDS, Kind, guess_kind
from emafusion.learn.families import generate

_READ_AS: dict[str, Kind] = {
    "number": "number", "choice": "choice", "json": "json", "date": "date", "literal": "literal",
    "code": "code", "exact": "text", "list": "text", "constraint": "text",
}  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("How many legs has a spider?", "number"),
        ("What is 12 * 7?", "number"),
        ("Which is right?\nA) red\nB) blue", "choice"),
        ("Which is right? (A) red (B) blue", "choice"),
        ("Return the fields as JSON.", "json"),
        ("Write a Python function that adds two numbers.", "code"),
        ("What does this code print?\nprint(1 + 1)", "literal"),
        ("You are given a function. Complete the assertion: assert f(3) == ??", "literal"),
        ("Which date is 3 days after 2024-02-27? YYYY-MM-DD", "date"),
        ("Simplify $\\frac{x^2}{x}$.", "expression"),
        ("What is the capital of Peru?", "text"),
        ("Summarise the text in one sentence: 3 trees fell, how many we ask.", "text"),
    ],
)
def test_wording_decides(prompt: str, kind: Kind) -> None:
    assert guess_kind(prompt) == kind


def test_labels_decide_where_the_wording_does_not() -> None:
    assert guess_kind("And of the second?", {"number": 0.9, "free_text": 0.1}) == "number"
    assert guess_kind("And of the second?", {"number": 0.5, "free_text": 0.5}) == "text"
    assert guess_kind("What is 2 + 2?", {"free_text": 1.0}) == "number"


@given(st.text(max_size=300))
def test_any_prompt_has_a_kind(prompt: str) -> None:
    assert guess_kind(prompt) in KINDS


def test_most_prompts_of_unseen_wording_are_read_right() -> None:
    questions = generate(400, seed=11, split="test")
    right = [guess_kind(q.prompt) == _READ_AS[q.grader.type] for q in questions]
    assert sum(right) / len(right) > 0.9
