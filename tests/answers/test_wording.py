"""The quick way of finding a wording finds what ignoring case does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.answers.wording import Wording

PATTERNS = (
    r"\b(?:kiss|sin|is)\b",
    r"k\s*=\s*\?",
    r"(?:^|\s)[a-z]{2,3}\d",
    r"\bi(?:'m| am) sick\b|é",
)
TEXTS = st.text(alphabet="kKiIsSnN aAmM'=?2\u0130\u0131\u017f\u212aéÉß\n", max_size=30)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=TEXTS)
def test_it_finds_the_same_places_as_ignoring_case_does(pattern: str, text: str) -> None:
    wording, plain = Wording(pattern), re.compile(pattern, re.IGNORECASE)
    found, expected = wording.search(text), plain.search(text)
    assert (found and found.span()) == (expected and expected.span())
    assert wording.ends(text) == [match.end() for match in plain.finditer(text)]


@pytest.mark.parametrize("text", ["I'M SICK", "I\u2019m", "\u212aISS", "\u017fick ſin", "É"])
def test_capitals_and_odd_letters_count(text: str) -> None:
    pattern = r"\b(?:i'm sick|kiss|sin|é)"
    assert bool(Wording(pattern).search(text)) is bool(re.search(pattern, text, re.IGNORECASE))
