"""The composites' file and the measures of splitting."""

from __future__ import annotations

from pathlib import Path

import pytest

from emafusion.errors import DataError
from emafusion.evaluate.composites import Composite, measure, read, write
from emafusion.types import Part, Split

PROMPTS = {"a": "What is\nlove?", "b": "Who are you?", "c": "Why?"}


def split(*texts: str) -> Split:
    return Split(parts=tuple(Part(text=text) for text in texts))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = [
        Composite(prompt="1. é\u2028 2. b", parts=("a", "b"), phrasing="dots"),
        Composite(prompt="one", parts=None),
    ]
    write(tmp_path / "c.jsonl", made)
    assert read(tmp_path / "c.jsonl") == made


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"parts": null}',
        '{"prompt": 1, "parts": null}',
        '{"prompt": "x", "parts": ["a"]}',
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(f'{{"prompt": "x", "parts": null}}\n\n{line}\n', encoding="utf-8")
    with pytest.raises(DataError, match="line 3"):
        read(path)


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        read(tmp_path / "nowhere")


def test_the_shares_are_counted() -> None:
    both = Composite(prompt="p", parts=("a", "b"))
    three = Composite(prompt="p", parts=("a", "b", "c"))
    single = Composite(prompt="p", parts=None)
    measured = measure(
        [both, both, three, both, single, single],
        [
            split("What is  love?", "Who are you?"),
            split("Who are you?", "What is love?"),
            split("What is love?", "Who are you? Why?"),
            None,
            split("x", "y"),
            None,
        ],
        PROMPTS,
    )
    assert (measured.composites, measured.singles) == (4, 2)
    assert measured.false_splits == 0.5
    assert measured.recovered == 0.25
    assert measured.right_count == 0.5
    assert measured.part_recovered == pytest.approx(5 / 9)
    assert measured.precision == 0.75
    assert measured.recall == 0.75


def test_an_unknown_query_and_a_wrong_length_are_errors() -> None:
    with pytest.raises(DataError, match="'z'"):
        measure([Composite(prompt="p", parts=("a", "z"))], [None], PROMPTS)
    with pytest.raises(DataError, match="one each"):
        measure([], [None], PROMPTS)
