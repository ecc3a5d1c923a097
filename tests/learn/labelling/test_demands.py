"""What a prompt's wording demands of form, and which texts meet it."""

from __future__ import annotations

import pytest

from emafusion.learn.labelling.demands import demanded, share


@pytest.mark.parametrize(
    ("prompt", "meets", "fails"),
    [
        ("Summarise this in at most 5 words.", "The deal was signed.", "It was " * 6),
        ("Tell me the story in no fewer than four words.", "Once upon a time.", "The end."),
        ("Explain it in exactly three words.", "Because it rains.", "Because it rains today."),
        ("Describe it in 8 words.", "It is one of the tall old trees.", "Tall."),
        ("Answer in two sentences.", "It rains. We stay.", "It rains."),
        ("Give the risks as three bullet points.", "- a\n- b\n- c", "- a\n- b"),
        ("Reply with one word.", "Yes", "Yes, it is"),
        ("Return the result as JSON.", '{"a": 1}', "a is 1"),
        ("Give it as valid JSON only.", '```json\n{"a": 1}\n```', "{a: 1}"),
        ("Write the title in capital letters.", "RAIN TODAY", "Rain today"),
        ('Thank them and mention the word "refund".', "Your refund comes.", "Money comes."),
        ('Apologise, but do not use the word "sorry".', "We regret it.", "We are sorry."),
    ],
)
def test_a_demand_is_found_and_checked(prompt: str, meets: str, fails: str) -> None:
    checks = demanded(prompt)
    assert checks
    assert share(checks, meets) == 1.0
    assert share(checks, fails) < 1.0


@pytest.mark.parametrize(
    "prompt",
    [
        "Write to a customer who waited three weeks for two chairs.",
        "What did he mean by JSON and XML?",
        "In 1990 five people met. Who were they?",
        "Tell me about Words, the 1982 song.",
        "He spoke with two sentences of Latin on a wall of 90 words. What did he mean?",
    ],
)
def test_other_numbers_and_names_are_no_demands(prompt: str) -> None:
    assert demanded(prompt) == ()


def test_several_demands_share_the_mark() -> None:
    checks = demanded("Answer in two sentences and at most 4 words.")
    assert share(checks, "It rains. We stay in the house.") == 0.5


@pytest.mark.parametrize(
    ("prompt", "meets", "fails"),
    [
        ("Write a maximum of 20 words.", "Two words.", "It rains. " * 20),
        ("Give a minimum of 3 words, please.", "It rains. " * 20, "Two words."),
        ("Reply in not more than one word.", "Rain.", "Two words."),
    ],
)
def test_a_bound_is_no_exact_length(prompt: str, meets: str, fails: str) -> None:
    (check,) = demanded(prompt)
    assert check(meets)
    assert not check(fails)
