from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.answers import KINDS, Kind, canonical, equivalent, extract, shareable
from growth import LINEAR, growth

kinds = st.sampled_from(KINDS)
# Replies as models write them, cut and joined at random: far likelier to hit a reader's branches
# than text of arbitrary letters.
_PIECES = [
    "The answer is ", "Answer: ", "**", "```python\n", "```", "\\boxed{", "}", "\\frac{1}{2}", "$",
    "-", "3", "1,234.5", "1/2", "e9", " 10^", "(B)", "C.", " or ", "[1, 2", "]", '{"answer": ',
    '"x"', "'a\\d'", "\n", "2024-02-30", "3 March 2024", "Paris", " is ", "def f(x):", "####",
    "True", "%", "½", "É", "İ", "twenty-", "one", "\\text{cm}", "^{", "\\sqrt2", "=", ",", "(", ")",
]  # fmt: skip
replies = st.one_of(
    st.text(max_size=80), st.lists(st.sampled_from(_PIECES), max_size=14).map("".join)
)


@given(replies, kinds)
@settings(max_examples=600, deadline=None)
def test_any_string_can_be_read_and_the_key_is_settled(text: str, kind: Kind) -> None:
    found = extract(text, kind)
    if found is None:
        assert canonical(text, kind) is None
        assert not equivalent(text, text, kind)
        return
    assert found.kind == kind
    assert found.key
    assert canonical(found.key, kind) == found.key
    assert equivalent(text, found.key, kind)


@given(replies, replies, kinds)
@settings(max_examples=300, deadline=None)
def test_agreement_is_symmetric_and_is_equality_of_keys(a: str, b: str, kind: Kind) -> None:
    assert equivalent(a, b, kind) == equivalent(b, a, kind)
    key = canonical(a, kind)
    assert equivalent(a, b, kind) == (key is not None and key == canonical(b, kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["1e" + "9" * 500, "1e999999999", "1/" + "9" * 5000])
def test_a_number_beyond_all_bounds_is_read_without_being_computed(text: str, kind: Kind) -> None:
    extract(text, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("piece", "end"),
    [
        ("(", ""), ("[", ""), ("-", ""), ("{", "}"), ("9", ""), ("\\boxed{", ""), (" ", ""),
        ("answer is ", ""), ("**a** ", ""), ("```\n", ""), ("= 1 ", ""), ('"', ""), ("'\\", ""),
        ("one hundred ", ""), ("\\frac{1}{", ""), ("A) ", ""), ("A is B is ", ""), ("a.b/c-", ""),
        ("1 or ", ""), ("x = $", ""),
    ],
)  # fmt: skip
def test_hostile_text_is_read_in_linear_time(piece: str, end: str, kind: Kind) -> None:
    """Beyond 20,000 characters, up to which what was read before is known and takes no time."""
    quarter, whole = (
        piece * (size // len(piece)) + end * (size // len(piece)) for size in (24_000, 96_000)
    )
    assert growth(lambda text: extract(text, kind), quarter, whole) < LINEAR


def test_no_answer_never_agrees_with_no_answer() -> None:
    for kind in KINDS:
        assert canonical("", kind) is None
        assert not equivalent("", "", kind)
    assert not equivalent("I do not know.", "I do not know.", "number")


def test_a_key_is_shared_by_different_ways_to_say_it() -> None:
    assert canonical("1/2", "number") == canonical("The result is 0.50.", "number") == "0.5"
    assert equivalent("Sure! The capital is **Oslo**.", "oslo", "text")
    assert equivalent("{'a': 1, 'b': {2, 3}}", "```\n{'b': {3, 2}, 'a': 1}\n```", "literal")
    assert equivalent('{"a": 1.0, "b": [2]}', 'Here: {"b": [2], "a": 1}', "json")


def test_the_span_is_what_was_written() -> None:
    found = extract("That makes $1,250.00 in total.", "number")
    assert found is not None
    assert (found.span, found.key) == ("$1,250.00", "1250")


def test_an_essay_without_a_marked_conclusion_gives_no_answer_to_share() -> None:
    phrase = "It is Paris."
    essay = phrase + " The city lies on the Seine and has been the seat of kings." * 3
    assert shareable(phrase, "text") == canonical(phrase, "text") == "paris"
    assert canonical(essay, "text") is not None
    assert shareable(essay, "text") is None
    assert shareable(f"{essay} Answer: Paris", "text") == "paris"
    assert shareable(f"{essay} So it is 7.", "number") == "7"
    longest = "a" * 160
    assert (shareable(longest, "text"), shareable(f"{longest}a", "text")) == (longest, None)
