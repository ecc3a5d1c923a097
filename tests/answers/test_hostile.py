"""Prompts that would keep a careless pattern busy for minutes."""

from __future__ import annotations

import math
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.answers import guess_kind, source


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
    spent = {25_000: math.inf, 100_000: math.inf}
    for length in [*spent] * 5:
        text = (odd * length)[:length]
        began = time.process_time()
        for _ in range(10):
            source.program(text)
        spent[length] = min(spent[length], time.process_time() - began)
    # Linear time quadruples, quadratic time grows sixteenfold; a hundredth of a second is noise.
    assert spent[100_000] < 7.0 * spent[25_000] or spent[100_000] < 0.01


@given(st.text(st.sampled_from("``` \n\tpy"), max_size=40))
def test_fenced_blocks_are_what_a_plain_pattern_finds(text: str) -> None:
    plain = re.findall(r"```[^\n]*\n(.*?)(?:\n[ \t]*```|\Z)", text, re.DOTALL)
    assert list(source._blocks(text)) == plain
