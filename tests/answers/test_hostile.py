"""Prompts that would keep a careless pattern busy for minutes."""

from __future__ import annotations

import pytest

from emafusion.answers import guess_kind


@pytest.mark.parametrize(
    "prompt", ["9" * 4000, "1," * 2000, "1 " * 2000 + "Summarise this table for me.", "what " * 900]
)
def test_long_runs_of_figures_are_read_at_once(prompt: str) -> None:
    assert guess_kind(prompt) in {"number", "text"}


def test_a_story_with_figures_asks_for_a_number() -> None:
    assert guess_kind("A box weighs 3 kg and holds 12 cans. What does a can weigh?") == "number"
