"""The laws of notes: what is alike agrees, what differs is told apart, and all of it is bounded."""

from __future__ import annotations

import string
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.answers import KINDS, Kind
from emafusion.execute.notes import LONGEST_POINT, MOST_POINTS, Notes, Point, notes
from growth import LINEAR, growth

SENTENCES = st.lists(
    st.sampled_from(["river", "Oslo", "not", "7", "1932", "the", "bridge", "opened", "yes", "が"]),
    min_size=1,
    max_size=8,
).map(" ".join)
LETTERS = [a + b for a in string.ascii_lowercase[:10] for b in string.ascii_lowercase[:10]]
DRAFTS = st.lists(SENTENCES, max_size=12).map(".\n".join)


def every_point(found: Notes) -> list[Point]:
    sides = [point for contradiction in found.contradictions for point in contradiction]
    return [*found.answers, *found.agreements, *sides, *found.gaps]


@given(DRAFTS | st.text(), st.integers(2, 4), st.sampled_from(KINDS))
def test_identical_drafts_neither_contradict_nor_lack(text: str, count: int, kind: Kind) -> None:
    found = notes([text] * count, kind)
    assert found.contradictions == ()
    assert found.gaps == ()
    assert len(found.answers) <= 1


@given(st.lists(DRAFTS | st.text(), max_size=5), st.sampled_from(KINDS))
def test_notes_are_bounded_and_name_real_drafts(texts: list[str], kind: Kind) -> None:
    found = notes(texts, kind)
    for points in (found.answers, found.agreements, found.contradictions, found.gaps):
        assert len(points) <= MOST_POINTS
    for point in every_point(found):
        assert len(point.text) <= LONGEST_POINT
        assert point.text.isprintable()
        assert list(point.drafts) == sorted(set(point.drafts))
        assert set(point.drafts) <= set(range(len(texts)))
    assert all(len(point.drafts) >= 2 for point in found.agreements)
    assert all(len(sides) >= 2 for sides in found.contradictions)
    assert all(len(point.drafts) == 1 for point in found.gaps)


def test_a_shared_statement_agrees_and_another_number_contradicts() -> None:
    found = notes(
        [
            "The harbour bridge was opened in 1932. It carries eight lanes of traffic.",
            "The harbour bridge was opened in 1923. It carries 8 lanes of traffic.",
        ],
        "text",
    )
    assert [point.drafts for point in found.agreements] == [(0, 1)]
    (sides,) = found.contradictions
    assert [(side.drafts, side.text) for side in sides] == [
        ((0,), "The harbour bridge was opened in 1932."),
        ((1,), "The harbour bridge was opened in 1923."),
    ]
    assert found.gaps == ()


def test_a_negation_contradicts() -> None:
    texts = [
        "Honey does spoil quickly at room temperature. Store jars dry.",
        "Honey does not spoil quickly at room temperature. Keep lids closed.",
    ]
    (sides,) = notes(texts, "text").contradictions
    assert [side.drafts for side in sides] == [(0,), (1,)]


def test_another_name_contradicts() -> None:
    texts = [
        "We looked it up. The capital city of Australia is Sydney. It lies on the coast.",
        "We looked it up. The capital city of Australia is Canberra. It lies far inland.",
    ]
    (sides,) = notes(texts, "text").contradictions
    assert [side.text.split()[-1] for side in sides] == ["Sydney.", "Canberra."]


def test_three_drafts_take_two_sides() -> None:
    template = "The total price of the four tickets is {} euros."
    texts = [template.format(price) for price in (48, 52, 48)]
    (sides,) = notes(texts, "text").contradictions
    assert [side.drafts for side in sides] == [(0, 2), (1,)]


def test_numbers_of_different_things_do_not_contradict() -> None:
    texts = [
        "The committee meets on 3 days of every month in winter.",
        "The committee of 12 members meets in every month of winter.",
    ]
    assert notes(texts, "text").contradictions == ()
    assert notes(texts, "text").agreements == ()


def test_what_one_draft_says_alone_is_a_gap_of_the_others() -> None:
    texts = [
        "Boil the pasta for nine minutes.",
        "Boil the pasta for nine minutes. Finely grated pecorino rounds the flavour off.",
    ]
    (gap,) = notes(texts, "text").gaps
    assert gap == Point(text="Finely grated pecorino rounds the flavour off.", drafts=(1,))


def test_a_long_draft_leaves_room_for_the_gaps_of_another() -> None:
    long = " ".join(
        f"Word{chr(97 + i)} alpha{chr(97 + i)} beta{chr(97 + i)} is." for i in range(26)
    )
    found = notes([long, "Penguins huddle together against cold winds."], "text")
    assert len(found.gaps) == MOST_POINTS
    assert (1,) in [gap.drafts for gap in found.gaps]


def test_final_answers_are_told_with_who_gives_them() -> None:
    texts = ["So it is 12.\nAnswer: 12", "Answer: 12.0", "Answer: 15"]
    found = notes(texts, "number").answers
    assert found == (Point(text="12", drafts=(0, 1)), Point(text="15", drafts=(2,)))


def test_yes_and_no_are_final_answers_too() -> None:
    found = notes(["**Yes**, it does.", "No, it never did.", "Nobody knows."], "text").answers
    assert [(point.text, point.drafts) for point in found] == [("Yes", (0,)), ("No", (1,))]


def test_json_is_compared_field_by_field() -> None:
    texts = [
        'Here: {"city": "Oslo", "size": {"people": 700000}, "river": "Akerselva"}',
        '{"size": {"people": 1}, "city": "Oslo"}',
        "no value at all",
    ]
    found = notes(texts, "json")
    assert [(p.text, p.drafts) for p in found.agreements] == [('city = "Oslo"', (0, 1))]
    assert [[(p.text, p.drafts) for p in sides] for sides in found.contradictions] == [
        [("size.people = 700000", (0,)), ("size.people = 1", (1,))]
    ]
    assert [p.text for p in found.gaps] == ['river = "Akerselva"']


def test_code_and_pleasantries_are_not_statements() -> None:
    texts = [
        "Sure, here you are now.\n```python\nprint(total_price)\n```",
        "Something else entirely.",
    ]
    assert [gap.drafts for gap in notes(texts, "text").gaps] == [(1,)]


def test_one_draft_or_none_has_no_notes() -> None:
    assert notes([], "text") == Notes()
    assert notes(["Only one draft speaks here."], "text") == Notes()


@pytest.mark.parametrize(
    "piece", ["a. ", "-", "```\n", "* #", "7 ", "A b. ", "not x y z 1. ", "[{"]
)
@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_hostile_draft_takes_linear_time(piece: str, kind: Kind) -> None:
    quarter, whole = (piece * (size // len(piece)) for size in (15_000, 60_000))
    work = growth(lambda text: notes([text, text + "x", text[::-1]], kind), quarter, whole)
    assert work < LINEAR


def test_many_statements_of_common_words_take_linear_time() -> None:
    random = Random(4)
    drafts = [
        [" ".join(f"w{random.choice(LETTERS)}" for _ in range(29)) for _ in range(600)]
        for _ in range(6)
    ]
    quarter, whole = ([".\n".join(draft[:size]) for draft in drafts] for size in (150, 600))
    assert growth(lambda texts: notes(texts, "text"), quarter, whole) < LINEAR


def test_names_that_each_draft_knows_do_not_contradict() -> None:
    texts = [
        "We compared two towns. A pretty harbour is what makes Lagos nice. Faro is not as big.",
        "We compared two towns. A pretty harbour is what makes Faro nice. Lagos is much older.",
    ]
    assert notes(texts, "text").contradictions == ()


def test_a_statement_is_held_against_its_own_counterpart() -> None:
    texts = [
        "The fee for children is 4 euros. The fee for adults is 9 euros.",
        "The fee for adults is 9 euros.",
    ]
    found = notes(texts, "text")
    assert found.contradictions == ()
    assert [point.text for point in found.agreements] == ["The fee for adults is 9 euros."]


def test_one_label_with_two_numbers_contradicts() -> None:
    (sides,) = notes(["- Speed: 110", "- Speed: 120"], "text").contradictions
    assert [side.text for side in sides] == ["Speed: 110", "Speed: 120"]


def test_another_label_is_no_contradiction() -> None:
    texts = [
        "In the Job Market, see below.\nJob Title: Software Engineer",
        "In the Job Market, see below.\nJob Description: Software Engineer",
    ]
    assert notes(texts, "text").contradictions == ()


def test_sentences_with_numbers_of_different_things_do_not_agree_either() -> None:
    texts = [
        "In all 12 people in the old town hall sang loudly.",
        "People in the old town hall sang loudly for 5 hours.",
    ]
    assert notes(texts, "text") == Notes()
