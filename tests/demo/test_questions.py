"""The questions' file: the shipped one is sound, and a wrong one is named where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.staged import write_questions
from emafusion.demo.questions import choose, load
from emafusion.errors import DataError


def test_the_shipped_questions_are_many_distinct_and_of_every_kind() -> None:
    entries = load()
    assert len(entries) >= 60
    assert len({entry.question.id for entry in entries}) == len(entries)
    short = choose(entries)
    assert len(short) == 20
    assert {entry.kind for entry in short} == {entry.kind for entry in entries}
    assert choose(entries, full=True) == entries


def test_a_smaller_number_takes_every_kind_in_turn() -> None:
    entries = load()
    few = choose(entries, count=9)
    assert len(few) == len({entry.kind for entry in few}) == 9
    assert all(entry.default for entry in few)
    assert len(choose(entries, count=30)) == 30
    assert choose(entries, count=10_000) == entries


def test_without_marked_questions_all_are_asked(tmp_path: Path) -> None:
    path = write_questions(tmp_path / "q.toml")
    path.write_text(path.read_text().replace("default = true", "default = false"))
    assert len(choose(load(path))) == 6


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('type = "number"', 'type = "numbr"', r"question 1 \('sum-0'\): unknown grader type"),
        ('reference = "1"', 'reference = "one?"', r"question 1 \('sum-0'\): .*not a number"),
        ('prompt = "What is 0 + 1?"\n', "", "question 1 .* needs 'prompt', a text"),
        ("[question.grader]\n", "", r"has no \[question.grader\]"),
        ('format = "number"', 'fromat = "number"', "needs labels for task, complexity"),
        ('"sum-0"', '"sum-1"', "two questions with id 'sum-1'"),
        ("[[question]]", "[[question", "is not TOML"),
    ],
)
def test_a_wrong_question_is_named(tmp_path: Path, before: str, after: str, said: str) -> None:
    path = write_questions(tmp_path / "q.toml", count=2)
    path.write_text(path.read_text().replace(before, after, 1))
    with pytest.raises(DataError, match=said):
        load(path)


def test_a_file_without_questions_or_none_at_all_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("[query]\n")
    with pytest.raises(DataError, match=r"has no \[\[question\]\]"):
        load(tmp_path / "empty.toml")
    with pytest.raises(DataError, match=r"cannot read the questions in .*No such file"):
        load(tmp_path / "none.toml")
