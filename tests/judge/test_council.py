"""The laws of weighing drafts together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.errors import ArtefactError
from emafusion.judge import council
from emafusion.judge.council import COMMON, Council, Heard

POOL = ("other", "a", "b", "c", "d", "e")


def heard(seed: int, size: int, *, queries: int = 12) -> Heard:
    """Random drafts, few enough answers that many agree and some cannot be read."""
    rng = np.random.default_rng(seed)
    return Heard(
        answers=rng.integers(-1, 3, (queries, size)),
        trust=rng.normal(0.0, 2.0, (queries, size)),
        priors=rng.normal(0.0, 1.0, (queries, size)),
        ease=rng.normal(0.0, 1.0, queries),
    )


def permuted(told: Heard, order: list[int]) -> Heard:
    return Heard(
        answers=told.answers[:, order],
        trust=told.trust[:, order],
        priors=told.priors[:, order],
        ease=told.ease,
    )


def weighing(size: int, seed: int = 0) -> Council:
    """One council of random weights for the whole set of `size` members."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0.0, 0.3, council.width(size) + 1)
    return Council(POOL[1 : size + 1], {(1 << size) - 1: weights})


SEEDS = st.integers(0, 10_000)
ORDERS = st.integers(2, 5).flatmap(lambda size: st.permutations(range(size)))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_set_has_as_many_columns_as_it_says(size: int) -> None:
    assert council.columns(heard(0, size), 0).shape == (12, council.width(size))


@given(SEEDS, ORDERS)
def test_the_members_order_changes_only_whose_columns_are_whose(
    seed: int, order: list[int]
) -> None:
    size = len(order)
    told = heard(seed, size)
    other = permuted(told, order)
    own = [COMMON + block * size + place for block in range(3) for place in order]
    for place, origin in enumerate(order):
        before = council.columns(told, origin)
        after = council.columns(other, place)
        assert after[:, :COMMON] == pytest.approx(before[:, :COMMON])
        assert after[:, COMMON:] == pytest.approx(before[:, own])


@given(SEEDS, ORDERS)
def test_an_answers_confidence_does_not_depend_on_the_members_order(
    seed: int, order: list[int]
) -> None:
    """The set's weights permuted with its members."""
    size = len(order)
    number = (1 << size) - 1
    weights = np.random.default_rng(seed).normal(0.0, 0.3, council.width(size) + 1)
    own = [1 + COMMON + block * size + place for block in range(3) for place in order]
    moved = np.concatenate([weights[: 1 + COMMON], weights[own]])
    told = heard(seed, size)
    before = Council(POOL[:size], {number: weights}).confidences(number, told)
    after = Council([POOL[i] for i in order], {number: moved}).confidences(
        number, permuted(told, order)
    )
    assert after == pytest.approx(before[:, order])


@given(SEEDS, st.integers(2, 5))
def test_equal_answers_get_equal_confidence(seed: int, size: int) -> None:
    told = heard(seed, size)
    found = weighing(size, seed).confidences((1 << size) - 1, told)
    assert ((found > 0.0) & (found < 1.0)).all()
    for one in range(size):
        for other in range(size):
            same = (told.answers[:, one] == told.answers[:, other]) & (told.answers[:, one] >= 0)
            assert found[same, one] == pytest.approx(found[same, other])


@given(SEEDS, st.integers(2, 5))
def test_unread_answers_never_support_each_other(seed: int, size: int) -> None:
    """What an unread draft gets is what it would get were the other unread ones different."""
    told = heard(seed, size)
    supporters = 5
    for place in range(size):
        unread = told.answers[:, place] < 0
        found = council.columns(told, place)
        assert (found[unread, supporters] == 1.0).all()
        strength = np.log1p(np.exp(told.trust[unread, place]))
        assert found[unread, 1] == pytest.approx(strength)
        others = np.delete(found[unread, COMMON : COMMON + size], place, axis=1)
        silent = np.delete(told.answers[unread], place, axis=1) < 0
        assert (others[silent] == 0.0).all()
        assert (others[~silent] == -1.0).all()


@given(SEEDS, st.integers(1, 5))
def test_the_first_of_each_answer_is_told_apart(seed: int, size: int) -> None:
    answers = heard(seed, size).answers
    fresh = council.first(answers)
    for row, marks in zip(answers.tolist(), fresh.tolist(), strict=True):
        assert marks == [key < 0 or key not in row[:at] for at, key in enumerate(row)]


def test_agreement_and_contradiction_are_told_apart() -> None:
    """Support with support's weight alone: two that agree against one that does not."""
    weights = np.zeros(council.width(3) + 1)
    weights[1 + 8] = 4.0  # the share of the voices
    told = Heard(
        answers=np.array([[0, 0, 1]]),
        trust=np.zeros((1, 3)),
        priors=np.zeros((1, 3)),
        ease=np.zeros(1),
    )
    agreed, also, alone = Council(("a", "b", "c"), {7: weights}).confidences(7, told)[0]
    assert agreed == also > alone


def test_a_council_survives_its_arrays() -> None:
    rng = np.random.default_rng(3)
    weights = {
        number: rng.normal(size=council.width(number.bit_count()) + 1) for number in (1, 2, 5, 7)
    }
    before = Council(("c", "a", "b"), weights)
    after = Council.from_arrays(before.to_arrays(POOL), POOL)
    assert after.members == ("c", "a", "b")
    assert [number for number in range(8) if after.knows(number)] == [1, 2, 5, 7]
    for number in weights:
        told = heard(number, number.bit_count())
        assert np.array_equal(after.confidences(number, told), before.confidences(number, told))


def test_weights_for_other_sets_are_refused() -> None:
    arrays = weighing(2).to_arrays(POOL)
    arrays["council_weights"] = arrays["council_weights"][:-1]
    with pytest.raises(ArtefactError, match="fit it anew"):
        Council.from_arrays(arrays, POOL)
