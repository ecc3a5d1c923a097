from __future__ import annotations

import pytest

from emafusion.answers.structured import Json
from emafusion.errors import DataError
from emafusion.evaluate import Grader
from emafusion.evaluate.constraints import words


@pytest.mark.parametrize(
    ("params", "kept", "broken"),
    [
        ({"max_words": 3}, "one two three", "one two three four"),
        ({"min_words": 3}, "one two three", "one two"),
        ({"words": 3}, "It's well-known here.", "It is well-known here."),
        ({"include": ["pen"]}, "Two pens.", "Two mugs."),
        ({"any_of": ["pen", "mug"]}, "A mug.", "A cup."),
        ({"exclude": ["the"]}, "A theatre.", "See the sea."),
        ({"case": "upper"}, "ALL 3 UP", "All 3 up"),
        ({"case": "lower"}, "all 3 down", "All 3 down"),
        ({"sentences": 2}, "One here. Two there!", "One here, two there."),
        ({"sentences": 1}, "It cost 3.50 today.", "It cost. 3.50 today."),
        ({"bullets": 2}, "- one\n- two", "- one\n- two\n- three"),
        ({"starts_with": "yesterday"}, "Yesterday it rained.", "It rained."),
        ({"ends_with": "?"}, "Did it rain?", "It rained."),
        ({"keep": ["Oslo", "clos|shut"]}, "Oslo plant shuts.", "Oslo plant opens."),
        ({"keep": ["a1", "b2"], "keep_share": 0.5}, "only b2", "neither"),
    ],
)
def test_each_constraint(params: dict[str, Json], kept: str, broken: str) -> None:
    grader = Grader(type="constraint", params=params)
    assert grader.grade(kept, "") == 1.0
    assert grader.grade(broken, "") == 0.0
    assert grader.grade("", "") == 0.0


def test_a_lead_in_line_and_quotes_are_not_counted() -> None:
    grader = Grader(type="constraint", params={"max_words": 2, "case": "upper"})
    assert grader.grade('Here is the shortened text:\n\n"OSLO RAIN"', "") == 1.0


def test_a_malformed_constraint_is_an_error() -> None:
    malformed: list[dict[str, Json]] = [{"max_words": "ten"}, {"include": "pen"}]
    for params in malformed:
        with pytest.raises(DataError):
            Grader(type="constraint", params=params).grade("text", "")


def test_words_count_marks_apart() -> None:
    assert words("Well-known, it's 3.5 - or 4?") == 5
