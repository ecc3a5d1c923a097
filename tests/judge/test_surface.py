"""Every column of a draft's surface, and that no text breaks or stalls the reading."""

from __future__ import annotations

import itertools
import math
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.judge import options, surface
from emafusion.types import Completion, Draft, Request, Usage
from growth import LINEAR, growth

NUMBER = "How many are there?"
FREE = "Tell me about it."
FORMULA = "Simplify $\\frac{1}{x_2}$."
PRINTS = "What does this code print? ```print(1)```"


def draft(text: str, *, answer: str | None = None, **more: object) -> Draft:
    completion = Completion(text=text, usage=Usage(completion_tokens=7), answer=answer, **more)  # type: ignore[arg-type]  # the tests' fields are right
    return Draft(model="a", completion=completion, cost_usd=0.0, latency_s=0.0)


def look(one: Draft, prompt: str = FREE) -> dict[str, float]:
    """The columns of one draft, by name."""
    request = Request(id="", messages=({"role": "user", "content": prompt},))
    (row,) = surface.table(surface.looks(request, [one])).tolist()
    return dict(zip(surface.NAMES, row, strict=True))


def log(count: float) -> float:
    return math.log1p(count)


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        ("length", "abcd", log(4)),
        ("lines", "a\n\n \nb", log(2)),
        ("numbers", "1 and 2.5 and 30", log(3)),
        ("equations", "a = b = c", log(2)),
        ("hedges", "I think it is probably so; perhaps", log(3)),
        ("hedges", "It is so", 0.0),
        ("turns", "Wait, however, that was a mistake.", log(3)),
        ("refusal", "I'm sorry, no.", 1.0),
        ("refusal", "Sorry is a word.", 0.0),
        ("steps", "1. one\n  2) two\n- three\nnone", log(3)),
        ("repetition", "same\nsame\nsame\nother", 0.5),
        ("repetition", "", 0.0),
        ("concludes", "So the answer is (B).", 1.0),
        ("concludes", "So it is B.", 0.0),
        ("conclusions", "The answer is B. The answer: 12.", log(2)),
        ("wavers", "The answer is B. The answer is C.", 1.0),
        ("wavers", "The answer is B. Answer: b.", 0.0),
        ("ends_well", "It ends. ", 1.0),
        ("ends_well", "It does not", 0.0),
        ("backslashes", "\\frac \\pi", log(2)),
        ("code", "```x```", 1.0),
        ("code", "`x`", 0.0),
        ("questions", "Is it? Is it?", log(2)),
        ("number_density", "1 2 3", 3 / (1 + 2 + 1)),
        ("bold", "**a**", log(2)),
        ("truncated", "x", 0.0),
        ("tokens", "x", log(7)),
        ("no_logprob", "x", 1.0),
        ("rules", "A plain reply.", 1.0),
        ("rules", "", 0.0),
    ],
)
def test_a_column_counts_what_it_is_called(column: str, text: str, expected: float) -> None:
    assert look(draft(text))[column] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "prompt", "columns"),
    [
        ("12", NUMBER, {"unreadable": 0.0, "answer_length": log(2), "answer_whole": 1.0}),
        ("-12", NUMBER, {"answer_whole": 1.0, "answer_negative": 1.0, "answer_size": log(12)}),
        ("2.5", NUMBER, {"answer_whole": 0.0, "answer_decimal": 1.0, "answer_size": log(2.5)}),
        ("$\\frac{x}{7}$", FORMULA, {"answer_formula": 1.0, "answer_whole": 0.0}),
        ("[1, 2]", PRINTS, {"answer_bracketed": 1.0, "answer_several": 1.0}),
        ("B", FREE, {"unreadable": 0.0, "answer_size": 0.0, "answer_several": 0.0}),
    ],
)
def test_the_answers_shape_is_read(answer: str, prompt: str, columns: dict[str, float]) -> None:
    found = look(draft("text", answer=answer), prompt)
    assert {name: found[name] for name in columns} == pytest.approx(columns)


CHOICE = "How fast is it?\n\nA) 12 km per hour\nB) 20 km per hour\nC) no speed"
END = " That is far from a walk, as anybody can see. So the answer is (B)."
REASONED = "Dividing 60 by 3 gives 20 km per hour, no more." + END
GUESSED = "It is hard to say how fast it goes." + END


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (REASONED, {"option_stated": 1.0, "option_mentions": log(1), "rival_stated": 0.0}),
        (REASONED, {"option_computed": 1.0, "option_gap": 0.0, "option_number": 1.0}),
        (REASONED, {"rival_mentions": 0.0, "option_overlap": 4 / 5, "label_repeated": 0.0}),
        (GUESSED, {"option_stated": 0.0, "option_computed": 0.0, "option_gap": 3.0}),
        (GUESSED + " B) it is.", {"label_repeated": 1.0}),
        ("It has no speed. " + GUESSED, {"rival_stated": 1.0, "rival_mentions": log(1)}),
    ],
)
def test_whether_the_reasoning_arrives_at_its_option_is_read(
    text: str, columns: dict[str, float]
) -> None:
    found = look(draft(text, answer="B"), CHOICE)
    assert {name: found[name] for name in columns} == pytest.approx(columns)


def test_options_in_signs_alone_are_never_stated() -> None:
    found = look(draft(GUESSED, answer="B"), "Which sign?\n\nA) +\nB) \u2212\nC) \u00d7")
    assert found["option_stated"] == found["rival_stated"] == 0.0


def test_where_no_options_were_offered_nothing_is_said_of_them() -> None:
    found = look(draft(REASONED, answer="B"), FREE)
    assert all(found[name] == 0.0 for name in options.NAMES)


def test_a_draft_without_the_answer_that_was_asked_for_is_unreadable() -> None:
    found = look(draft("There are some."), NUMBER)
    assert found["unreadable"] == 1.0
    assert all(found[name] == 0.0 for name in surface.NAMES if name.startswith("answer_"))


def test_an_answer_that_the_upstream_extracted_comes_before_our_own() -> None:
    request = Request(id="", messages=({"role": "user", "content": NUMBER},))
    own, given_one = surface.looks(request, [draft("There are 4."), draft("4.", answer="5")])
    assert (own.key, given_one.key) == ("4", "5")


def test_the_ending_and_the_likelihood_are_read() -> None:
    found = look(draft("x", finish_reason="length", logprobs=(-0.1, -3.0), tool_calls=({},)))
    assert found["truncated"] == found["tool_call"] == 1.0
    assert found["logprob"] == pytest.approx(-1.55 - surface.TYPICAL_LOGPROB)
    assert found["lowest_logprob"] == pytest.approx(-0.5)
    assert found["sequence_logprob"] == pytest.approx(-3.1 / 5.0)
    assert found["no_logprob"] == 0.0


def test_of_a_very_long_draft_both_ends_are_read() -> None:
    found = look(draft("I'm sorry. " + "x" * 50_000 + "? The answer is 4."))
    assert found["length"] == pytest.approx(log(surface.LONGEST))
    assert found["refusal"] == found["concludes"] == 1.0
    assert found["questions"] == pytest.approx(log(1))


def test_no_columns_name_is_given_twice() -> None:
    assert len(set(surface.NAMES)) == len(surface.NAMES)


PROMPTS = (
    FREE,
    NUMBER,
    "Pick one. A) x B) y C) z",
    "Pick one.\nA) 1\nB) a a a\nC) 9\nD)  ",
    "Write a Python function f.",
    "Reply with JSON only.",
    FORMULA,
    PRINTS,
    "What date is it? YYYY-MM-DD",
)


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(st.characters(), max_size=200),
    answer=st.none() | st.text(st.characters(), max_size=60),
    prompt=st.sampled_from(PROMPTS) | st.text(max_size=40),
)
def test_any_text_has_a_surface(text: str, answer: str | None, prompt: str) -> None:
    found = look(draft(text, answer=answer), prompt)
    assert all(math.isfinite(value) for value in found.values())


ODD = (
    "answer ", " ", "1", "9" * 400 + ".", "1,", "-", "- ", "(", "[", "\\boxed{", "$", "```\n",
    "**", "re-", "I am ", "step ", "\n", "\r", "\u2028", "\u0661", "\u00b2", "\U0001d7d8",
    "e\u0301", "\u200f", "\x00", '{"a":', "Answer: 1,", "not ", "\ufdfa",
)  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=ascii)
@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt[:12])
def test_hostile_text_is_read_in_linear_time(odd: str, prompt: str) -> None:
    """Of texts that send careless patterns back, up to where no more of one is looked at."""
    turns = itertools.count(1)

    def read(text: str) -> None:
        new = text + "a" * next(turns)  # What was read before is known, which takes no time.
        assert all(math.isfinite(value) for value in look(draft(new), prompt).values())

    length = len(unicodedata.normalize("NFKC", odd))
    quarter, whole = (odd * (size // length) for size in (surface.LONGEST // 4, surface.LONGEST))
    assert growth(read, quarter, whole) < LINEAR


ABOUT_ANSWERS = (
    "answer",
    "Answer is",
    "ANSWER:",
    "answers",
    "my",
    " ",
    "\n",
    "B",
    "-3",
    "$4.",
    "[",
    "ſ",
)


@given(st.lists(st.sampled_from(ABOUT_ANSWERS), max_size=12))
def test_conclusions_are_found_where_the_pattern_finds_them(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert surface._concluded(text, text.lower()) == surface.CONCLUSION.findall(text)
