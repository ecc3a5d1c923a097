"""Guarantees: exact on laws small enough to enumerate, kept on populations of known risk."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import exp, log, prod

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emafusion.errors import ConfigError, DataError
from emafusion.learn.fit.bounds import (
    LARGEST_ANSWERING_BET,
    LARGEST_BET,
    bernstein,
    bets,
    betting,
)
from emafusion.learn.fit.guarantee import (
    FEWEST,
    Answers,
    Terms,
    certify,
    least_abstention,
    least_alpha,
    loosest,
    rows_needed,
)
from emafusion.learn.fit.splits import verify

Array = NDArray[np.float64]
Law = Callable[[Array], Array]


def draw(count: int, seed: int, risk: Law, discordant: float = 0.12) -> Answers:
    """Answers whose mean loss at confidence c is risk(c), a share of them unlike the reference."""
    rng = np.random.default_rng(seed)
    confidences, luck = rng.random(count), rng.random(count)
    unlike = np.maximum(discordant, np.abs(risk(confidences)))
    worse = luck < (unlike + risk(confidences)) / 2
    better = ~worse & (luck < unlike)
    return Answers(
        confidences=confidences,
        scores=np.where(worse, 0.0, 1.0),
        reference=np.where(better, 0.0, 1.0),
    )


def falling(confidences: Array) -> Array:
    """Risk 0.3 at confidence 0 and −0.1 at 1: above t it is 0.1 − 0.2 t, so 0.05 at t = 0.25."""
    return 0.3 - 0.4 * confidences


def overconfident(confidences: Array) -> Array:
    """Sound in the middle, worst where it is surest."""
    return np.where(confidences > 0.8, 0.3, -0.1)


@st.composite
def some_answers(draw_: st.DrawFn, fewest: int = FEWEST) -> Answers:
    """Up to 150 answers with ties in confidence, fractional scores, and a leaning."""
    count = draw_(st.integers(fewest, 150))
    rng = np.random.default_rng(draw_(st.integers(0, 2**32 - 1)))
    leaning = draw_(st.floats(0, 1))
    better = rng.random(count) < leaning
    scores = np.round(rng.random(count), 1)
    reference = np.round(scores * rng.random(count), 1) if draw_(st.booleans()) else None
    return Answers(
        confidences=np.round(rng.random(count), draw_(st.integers(0, 3))),
        scores=np.where(better, 1.0, scores),
        reference=reference,
    )


def order(threshold: float | None) -> float:
    return float("inf") if threshold is None else threshold


ALPHAS = st.floats(0, 0.9)
DELTAS = st.floats(0.01, 0.9)


@given(some_answers(), st.tuples(ALPHAS, ALPHAS), DELTAS, st.sampled_from([None, 50, 1000]))
def test_more_risk_never_accepts_less(
    answers: Answers, alphas: tuple[float, float], delta: float, held_out: int | None
) -> None:
    strict, loose = sorted(alphas)
    less = loosest(answers, Terms(alpha=strict, delta=delta, held_out=held_out))
    assert order(loosest(answers, Terms(alpha=loose, delta=delta, held_out=held_out))) <= order(
        less
    )


@given(some_answers(), ALPHAS, st.tuples(DELTAS, DELTAS))
def test_more_doubt_never_accepts_less(
    answers: Answers, alpha: float, deltas: tuple[float, float]
) -> None:
    strict, loose = (loosest(answers, Terms(alpha=alpha, delta=delta)) for delta in sorted(deltas))
    assert order(loose) <= order(strict)


@given(some_answers(), ALPHAS, st.integers(0, 1000))
def test_the_order_of_rows_is_of_no_account(answers: Answers, alpha: float, seed: int) -> None:
    shuffled = answers.take(np.random.default_rng(seed).permutation(len(answers)))
    terms = Terms(alpha=alpha, delta=0.3)
    assert certify(shuffled, terms, seed=seed) == certify(answers, terms, seed=seed)


@given(some_answers(fewest=0).filter(lambda answers: len(answers) < FEWEST), ALPHAS)
def test_few_rows_are_never_enough(answers: Answers, alpha: float) -> None:
    found = certify(answers, Terms(alpha=alpha, delta=0.9))
    assert not found.certified
    assert f"at least {FEWEST}" in found.reason
    assert least_alpha(answers, Terms(alpha=alpha)) is None


@given(some_answers(), ALPHAS)
def test_rows_told_twice_count_at_least_twice(answers: Answers, alpha: float) -> None:
    # A mixture of squares is at least the square of the mixture.
    losses, accepted = answers.losses, np.ones((len(answers), 1), dtype=np.bool_)
    stakes = bets(losses, accepted, rows=len(losses))
    once = betting(losses, accepted, alpha, stakes=stakes)
    twice = betting(np.tile(losses, 2), np.tile(accepted, (2, 1)), alpha, stakes=stakes)
    assert twice[0] >= 2 * once[0] - 1e-9


WEIGHTS = st.tuples(*[st.floats(0.01, 1)] * 3)
VALUES = (-1.0, 0.0, 1.0)


@given(WEIGHTS, st.floats(0, 0.3))
def test_capital_has_a_mean_of_at_most_one_where_the_risk_exceeds_alpha(
    weights: tuple[float, float, float], room: float
) -> None:
    law = np.array(weights) / sum(weights)
    alpha = float(law @ VALUES) - room
    if not 0 <= alpha < 1:
        return
    everyone = np.ones((3, 1), dtype=np.bool_)
    stakes = bets(np.array(VALUES), everyone, rows=3)
    mean = 0.0
    for places in product(range(3), repeat=3):
        losses = np.array([VALUES[place] for place in places])
        capital = exp(betting(losses, everyone, alpha, stakes=stakes)[0])
        mean += prod(law[place] for place in places) * capital
    assert mean <= 1 + 1e-9
    assert room > 0 or mean == pytest.approx(1)


@example((1e-9, 0.9, 0.1), 0.1, (3, 3), 1.0)  # Skewed: where φ(λ) > λ²/2 matters.
@given(WEIGHTS, st.floats(0, 0.9), st.tuples(*[st.integers(1, 3)] * 2), st.floats(0.01, 1))
def test_capital_times_what_a_violation_pays_has_a_mean_of_at_most_one_under_any_law(
    weights: tuple[float, float, float], alpha: float, sizes: tuple[int, int], part: float
) -> None:
    law, (rows, held_out) = np.array(weights) / sum(weights), sizes
    stake = part * min(LARGEST_BET, LARGEST_ANSWERING_BET * held_out / rows)
    everyone, stakes = np.ones((rows, 1), dtype=np.bool_), np.full((1, 3), stake)
    capital = 0.0
    for places in product(range(3), repeat=rows):
        losses = np.array([VALUES[place] for place in places])
        log_capital = betting(losses, everyone, alpha, stakes=stakes, held_out=held_out)[0]
        capital += prod(law[place] for place in places) * exp(log_capital)
    # The held-out sum S > 0 is a violation: e^{λ′S} is at least 1 then.
    paid = float(law @ np.exp(stake * rows / held_out * (np.array(VALUES) - alpha))) ** held_out
    assert capital * paid <= 1 + 1e-9


def test_bernstein_is_the_bound_solved_for_its_level() -> None:
    losses = np.repeat([0.0, 1.0, -1.0], [900, 20, 80])
    everyone = np.ones((1000, 1), dtype=np.bool_)
    mean, variance = losses.mean(), losses.var(ddof=1)
    level = 0.05
    least = mean + np.sqrt(2 * variance * log(2 / level) / 1000) + 14 * log(2 / level) / (3 * 999)
    assert bernstein(losses, everyone, least, width=2.0)[0] == pytest.approx(-log(level))


@pytest.mark.parametrize("alpha", [0.0, 0.05])
def test_a_risk_just_above_alpha_everywhere_is_seldom_certified(alpha: float) -> None:
    def risk(confidences: Array) -> Array:
        return np.full_like(confidences, alpha + 1e-3)

    terms = Terms(alpha=alpha, delta=0.2)
    wrong = [loosest(draw(400, seed, risk), terms, seed=seed) is not None for seed in range(300)]
    assert 0 < np.mean(wrong) <= 0.2


def test_a_law_that_is_worst_where_it_is_surest_is_not_trusted() -> None:
    # The risk above t is 0.3 for t ≥ 0.8, else (0.1 t − 0.02)/(1 − t): within 0.05 for t ≤ 0.46.
    terms = Terms(alpha=0.05)
    drawn = [loosest(draw(1200, seed, overconfident), terms, seed=seed) for seed in range(60)]
    found = np.array([threshold for threshold in drawn if threshold is not None])
    assert len(found) > 30
    assert np.sum(found > 0.46) <= 6


def test_the_true_risk_of_what_is_accepted_stays_within_alpha() -> None:
    terms = Terms(alpha=0.05)
    drawn = [loosest(draw(1000, seed, falling), terms, seed=seed) for seed in range(200)]
    found = np.array([threshold for threshold in drawn if threshold is not None])
    assert len(found) > 150
    assert np.sum(found < 0.25) <= 20
    assert np.median(found) < 0.55


def test_betting_certifies_more_than_bernstein() -> None:
    answers = draw(2000, 0, falling)
    ours = certify(answers, Terms(alpha=0.05, bound="betting"))
    theirs = certify(answers, Terms(alpha=0.05, bound="bernstein"))
    assert ours.coverage > theirs.coverage + 0.1


@pytest.mark.parametrize("terms", [Terms(alpha=0.05), Terms(alpha=0.1, held_out=600)])
def test_splits_are_seldom_violated(terms: Terms) -> None:
    kept = verify(draw(1200, 3, falling), terms, splits=200)
    assert kept.certified > 0.3
    assert kept.coverage > 0.1
    assert kept.risk <= terms.alpha
    assert kept.beyond <= kept.violated <= terms.delta


def test_splits_of_a_loose_promise_are_violated_partly_by_noise() -> None:
    kept = verify(draw(1200, 3, falling), Terms(alpha=0.05, delta=0.9), splits=100)
    assert kept.violated > 0.1
    assert kept.beyond < kept.violated


def test_splits_that_certify_nothing_have_no_risk() -> None:
    kept = verify(draw(FEWEST, 0, falling), Terms(alpha=0.0), splits=3)
    assert (kept.certified, kept.violated, kept.coverage) == (0.0, 0.0, 0.0)
    assert np.isnan(kept.risk)


def test_without_a_reference_the_risk_is_absolute() -> None:
    rng = np.random.default_rng(0)
    confidences = rng.random(2000)
    scores = (rng.random(2000) < confidences).astype(np.float64)
    found = certify(Answers(confidences=confidences, scores=scores), Terms(alpha=0.2))
    # The risk above t is (1 − t)/2: it meets 0.2 at t = 0.6.
    assert found.certified
    assert 0.6 <= found.threshold < 0.75
    assert found.coverage == pytest.approx(1 - found.threshold, abs=0.05)
    assert not found.relative
    assert found.reason == (
        "accepted answers are wrong at most 20 %, with probability at least 0.9"
    )


def test_a_refusal_says_what_would_help() -> None:
    answers = draw(600, 0, falling)
    terms = Terms(alpha=0.01, delta=0.001)
    refused = certify(answers, terms)
    needed, least = rows_needed(answers, terms), least_alpha(answers, terms)
    assert (refused.certified, refused.coverage) == (False, 0.0)
    assert needed is not None and needed > 600
    assert least is not None and 0 < least < 0.5
    assert f"about {needed:,} rows that lean" in refused.reason
    assert f"least alpha they show is {least:g}" in refused.reason
    assert certify(answers, Terms(alpha=least, delta=0.001)).certified
    assert not certify(answers, Terms(alpha=least - 0.001, delta=0.001)).certified
    assert certify(draw(3 * needed, 1, falling), terms).certified


def test_what_no_number_of_rows_can_show_is_said() -> None:
    def bad(confidences: Array) -> Array:
        return np.full_like(confidences, 0.4)

    answers = draw(1000, 0, bad)
    refused = certify(answers, Terms(alpha=0.1))
    assert rows_needed(answers, Terms(alpha=0.1)) is None
    assert "no number of rows" in refused.reason
    assert f"{100 * least_abstention(answers, 0.1):.3g} %" in refused.reason


def test_answers_that_are_always_wrong_show_no_alpha() -> None:
    wrong = Answers(confidences=np.linspace(0, 1, 200), scores=np.zeros(200))
    assert least_alpha(wrong, Terms(alpha=0.5)) is None
    assert "they can show no alpha" in certify(wrong, Terms(alpha=0.5)).reason


def test_a_small_held_out_part_cannot_be_bounded_by_any_number_of_rows() -> None:
    assert rows_needed(draw(1000, 0, falling), Terms(alpha=0.01, held_out=20)) is None


@given(some_answers(), ALPHAS, st.integers(0, 1000))
def test_whoever_keeps_alpha_leaves_at_least_the_least(
    answers: Answers, alpha: float, seed: int
) -> None:
    # The best anyone can do is to accept the least losses, as many as keep α.
    losses = np.sort(answers.losses)
    means = np.cumsum(losses) / np.arange(1, len(losses) + 1)
    left = 1 - np.sum(means <= alpha) / len(losses)
    assert left >= least_abstention(answers, alpha) - 1e-9


@settings(max_examples=30)
@given(DELTAS)
def test_the_level_for_held_out_rows_solves_its_equation(delta: float) -> None:
    level = Terms(alpha=0.1, delta=delta, held_out=10).level
    assert level * (1 + log(1 / level)) == pytest.approx(delta)
    assert Terms(alpha=0.1, delta=delta).level == delta


def test_rows_given_to_shape_the_tests_leave_all_others_to_be_tested() -> None:
    answers, terms = draw(400, 0, falling), Terms(alpha=0.1, delta=0.2)
    found = [certify(answers, terms, aside=draw(200, 1, falling), seed=seed) for seed in (0, 1)]
    assert found[0] == found[1]
    assert found[0].certified


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"alpha": 1.0}, "alpha"),
        ({"alpha": -0.1}, "alpha"),
        ({"alpha": 0.1, "delta": 0.0}, "delta"),
        ({"alpha": 0.1, "held_out": 0}, "held_out"),
        ({"alpha": 0.1, "held_out": 5, "bound": "bernstein"}, "bernstein"),
    ],
)
def test_terms_that_make_no_sense_are_refused(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Terms(**fields)  # type: ignore[arg-type]  # what a user may write in a file


@pytest.mark.parametrize("bad", [np.ones(3), np.full(4, np.nan), np.full(4, 1.5)])
def test_rows_that_are_no_scores_are_refused(bad: Array) -> None:
    with pytest.raises(DataError, match="scores"):
        Answers(confidences=np.full(4, 0.5), scores=bad)
    with pytest.raises(DataError, match="reference"):
        Answers(confidences=np.full(4, 0.5), scores=np.ones(4), reference=bad)


@pytest.mark.parametrize(("share", "splits"), [(0.0, 10), (1.0, 10), (0.5, 0)])
def test_splits_that_split_nothing_are_refused(share: float, splits: int) -> None:
    with pytest.raises(ConfigError, match="hold out"):
        verify(draw(100, 0, falling), Terms(alpha=0.1), share=share, splits=splits)
