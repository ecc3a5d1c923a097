"""Prompts that would keep a careless pattern busy for minutes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.answers import guess_kind, source
from growth import LINEAR, growth


@pytest.mark.parametrize(
    "prompt", ["9" * 4000, "1," * 2000, "1 " * 2000 + "Summarise this table for me.", "what " * 900]
)
def test_long_runs_of_figures_are_read_at_once(prompt: str) -> None:
    assert guess_kind(prompt) in {"number", "text"}


def test_a_story_with_figures_asks_for_a_number() -> None:
    assert guess_kind("A box weighs 3 kg and holds 12 cans. What does a can weigh?") == "number"


FENCES = ("`", "```\n", "\n```", "``` ", "\n ")


@pytest.mark.parametrize("odd", FENCES, ids=ascii)
def test_fences_are_found_in_time_linear_in_the_text(odd: str) -> None:
    quarter, whole = ((odd * length)[:length] for length in (25_000, 100_000))
    assert growth(source.program, quarter, whole) < LINEAR


@given(st.text(st.sampled_from("``` \n\tpy"), max_size=40))
def test_fenced_blocks_are_what_a_plain_pattern_finds(text: str) -> None:
    plain = re.findall(r"```[^\n]*\n(.*?)(?:\n[ \t]*```|\Z)", text, re.DOTALL)
    assert list(source._blocks(text)) == plain
