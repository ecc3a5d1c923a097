"""Agreement in content: who says what most others say, who says little, who pads."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emafusion.learn.labelling.content import shared

FULL = "The meeting moved to Tuesday, the budget was approved, and Mara writes the report."
OTHER = "Budget approved; the meeting moved to Tuesday. Mara writes the report on Friday."
THIN = "The meeting moved."
STRANGE = "Bananas grow in warm countries near rivers and lakes."


def test_what_most_say_counts_and_what_nobody_else_says_does_not() -> None:
    (row,) = shared([[FULL, OTHER, THIN, STRANGE]])
    assert row[0] > row[2] > row[3]
    assert row[1] > row[2]
    assert row[3] < 0.1


def test_length_beyond_the_usual_earns_nothing() -> None:
    words = [f"word{n}" for n in range(1000)]
    usual = " ".join(words[:40])
    (row,) = shared([[usual, usual + " x", " ".join(words[:120]), " ".join(words)]])
    (alone,) = shared([[usual, usual + " x", " ".join(words[:120]), " ".join(words[:400])]])
    assert row[3] == alone[3]


def test_the_usual_length_of_two_drafts_is_that_of_the_shorter() -> None:
    words = [f"word{n}" for n in range(1000)]
    usual = " ".join(words[:40])
    (row,) = shared([[usual, " ".join(words)]])
    (cut,) = shared([[usual, " ".join(words[:120])]])
    np.testing.assert_array_equal(row, cut)


def test_copies_are_one_voice() -> None:
    (few,) = shared([[FULL, STRANGE, THIN]])
    (many,) = shared([[FULL, STRANGE, STRANGE, STRANGE, THIN]])
    assert many[0] == few[0]
    assert many[1] == many[2] == many[3] == few[1]


def test_no_draft_and_no_other_draft_have_no_share() -> None:
    found = shared([[FULL, None, None], [FULL, FULL, None], [FULL, THIN, None]])
    assert np.isnan(found[:2]).all()
    assert np.isnan(found[2]).tolist() == [False, False, True]
    assert shared([]).shape == (0, 0)


def test_scripts_without_spaces_are_read_too() -> None:
    (row,) = shared([["会議は火曜日に移りました", "会議は火曜日です", "バナナ"]])
    assert row[0] > row[2]
    assert row[1] > row[2]


@given(st.lists(st.text(max_size=60), min_size=2, max_size=5))
def test_it_is_a_share_and_does_not_depend_on_the_order(texts: list[str]) -> None:
    (row,) = shared([texts])
    (back,) = shared([texts[::-1]])
    known = row[~np.isnan(row)]
    assert ((known >= 0.0) & (known <= 1.0)).all()
    np.testing.assert_array_equal(row, back[::-1])
