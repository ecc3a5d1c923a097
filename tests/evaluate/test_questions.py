from __future__ import annotations

import dataclasses
import json

import pytest

from emafusion.errors import DataError
from emafusion.evaluate import Grader, Question

_QUESTION = Question(
    prompt="What is 2 + 2?",
    reference="4",
    grader=Grader(type="number", params={"tolerance": 0.1}),
    labels={"task": "mathematical_reasoning"},
    family="sums",
    phrasing=3,
    held_out=True,
    difficulty=1,
)


def test_a_question_survives_json() -> None:
    assert Question.from_json(_QUESTION.to_json()) == _QUESTION
    assert "provenance" not in _QUESTION.to_json()
    told = dataclasses.replace(_QUESTION, provenance={"seed": "sums", "values": {"a": [2, "x"]}})
    assert Question.from_json(told.to_json()) == told


def test_the_id_depends_on_the_prompt_alone() -> None:
    fields = json.loads(_QUESTION.to_json())
    fields["reference"] = "5"
    assert Question.from_json(json.dumps(fields)).id == _QUESTION.id == fields["id"]


def test_it_marks_replies() -> None:
    assert _QUESTION.grade("That is 4.05.") == 1.0
    assert _QUESTION.grade("5") == 0.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", "Another?"),
        ("grader", {"type": "vibes"}),
        ("phrasing", "one"),
        ("labels", None),
        ("provenance", "a seed"),
    ],
)
def test_a_malformed_question_is_an_error(name: str, value: object) -> None:
    fields = {**json.loads(_QUESTION.to_json()), name: value}
    if value is None:
        del fields[name]
    with pytest.raises(DataError):
        Question.from_json(json.dumps(fields))
    with pytest.raises(DataError):
        Question.from_json("not json")
