"""Surface features: named, finite, bounded, and moved by what their names say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.encoders import surface
from emafusion.encoders.words import words

PIECES = (
    "What",
    "how",
    "is",
    "many",
    "write",
    "a",
    "DEF",
    "two",
    "7",
    "²",
    "é",
    "show that",
    "?\n",
)


def value(text: str, name: str) -> float:
    return float(surface.features([text])[0, surface.NAMES.index(name)])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(max_size=300), max_size=4))
def test_features_are_finite_and_small(texts: list[str]) -> None:
    found = surface.features(texts)
    assert found.shape == (len(texts), len(surface.NAMES))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found < 5).all()


def test_names_are_distinct() -> None:
    assert len(set(surface.NAMES)) == len(surface.NAMES)


@pytest.mark.parametrize(
    ("name", "more", "less"),
    [
        ("options", "Which?\n(A) one\n(B) two\n(C) three", "Which one, two or three?"),
        ("options", "Which?\nA. one\nB. two\nC. three", "Which?\n1. one\n2. two"),
        ("bullets", "- one\n- two\n3. three", "one, two and three"),
        ("backslashes", r"Find $\frac{1}{2} + \sqrt{2}$.", "Find 1/2 + the root of 2."),
        ("keys", '{"name": "Ann", "age": 3}', "Ann is 3."),
        ("fences", "```python\nx = 1\n```", "x is one"),
        ("code_words", "def f(x):\n    return x", "a function of x"),
        ("numbers", "3 apples and 4 pears and 5 figs", "apples and pears"),
        ("long", "word " * 3000, "word"),
        ("ends_question", "Is it so?", "It is so."),
        ("cue_summarise", "Please summarize the report.", "Please shred the report."),
        ("cue_translate", "Translate this.", "Burn this."),
        ("opens_translate", "Translate: " + "la la " * 30, "la la " * 30 + "translate"),
        ("counting_story", "Ann has 3 figs and buys 4. How many figs?", "Ann likes figs."),
        ("not_ascii", "naïve", "naive"),
    ],
)
def test_a_feature_tells_what_its_name_says(name: str, more: str, less: str) -> None:
    assert value(more, name) > value(less, name)


def test_options_are_no_counting_story() -> None:
    question = "Ann has 3 figs and buys 4. How many figs has she?"
    assert value(question, "counting_story") == 1.0
    assert value(f"{question}\n(A) 5\n(B) 6\n(C) 7", "counting_story") == 0.0


def plainly(text: str) -> dict[str, float]:
    """Shares, counts of words and cues of a short `text`, read in the plainest way."""
    tokens = words(text)
    pairs = [" ".join(pair) for pair in itertools.pairwise(tokens)]
    opening = [*tokens[:6], *pairs[:5]]
    found = {
        "numbers": math.log1p(len([one for one in tokens if one.isdigit()])) / 4,
        "code_words": math.log1p(len([one for one in tokens if one in surface._CODE_WORDS])) / 4,
    }
    for name, characters in surface._CLASSES.items():
        found[f"share_{name}"] = sum(c in characters for c in text) / max(1, len(text))
    for name, group in surface._CUES.items():
        phrases = set(group.split("|"))
        found[f"cue_{name}"] = float(not phrases.isdisjoint([*tokens, *pairs]))
        found[f"opens_{name}"] = float(not phrases.isdisjoint(opening))
    return found


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text('aB9 .$+"(', max_size=5), max_size=30))
def test_a_row_says_what_the_plainest_reading_says(pieces: list[str]) -> None:
    text = " ".join(pieces)
    for name, expected in plainly(text).items():
        assert value(text, name) == np.float32(expected), name
