"""The pieces that wordings are looked for by first: no match is lost by them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.answers import guess
from emafusion.answers.wording import Wording, stands
from emafusion.judge import rules, surface

LOOKED_FOR = [
    *(one for _, one in guess._RULES if isinstance(one, Wording)),
    rules.REFUSAL,
    rules.HEDGE,
    surface.REFUSAL,
]
COUNTED = [(surface.HEDGE, surface.HEDGES), (surface.TURN, surface.TURNS)]


@pytest.mark.parametrize("wording", LOOKED_FOR, ids=lambda one: one._small.pattern[:20])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_match_of_a_wording_holds_one_of_its_pieces(
    wording: Wording, data: st.DataObject
) -> None:
    text = data.draw(st.from_regex(wording._small)).lower()
    for found in wording._small.finditer(text):
        assert stands(wording._holds, found.group())


@pytest.mark.parametrize(("counted", "wordings"), COUNTED)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_counted_is_counted_with_its_pieces(
    counted: surface.Wording, wordings: tuple[str, ...], data: st.DataObject
) -> None:
    pattern: re.Pattern[str] = re.compile(data.draw(st.sampled_from(wordings)), re.ASCII)
    text: str = data.draw(st.from_regex(pattern))
    plain = surface.Wording(wordings, holds=())
    assert counted.count(text, text.lower()) == plain.count(text, text.lower())


def test_without_pieces_everything_is_looked_through() -> None:
    assert stands((), "any text")
    assert not stands(("answer", "reply"), "any text")
    assert Wording(r"\banswer\b", holds=("answer",)).search("The ANSWER") is not None
