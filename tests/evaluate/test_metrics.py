"""Laws of the benchmark's figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from emafusion.errors import DataError
from emafusion.evaluate import metrics
from emafusion.evaluate.runs import Run

Array = NDArray[np.float64]

costs = st.floats(1e-4, 10.0)
shares = st.floats(0.0, 1.0)
points = st.lists(st.tuples(costs, shares), min_size=1, max_size=12)
confidences = hnp.arrays(np.float64, st.integers(1, 60), elements=shares)


def run(knob: str, tuned: tuple[float, float] | None) -> Run:
    return Run(knob=knob, scores=np.ones(1), costs=np.ones(1), tuned=tuned)


def test_aiq_is_the_area_that_one_computes_by_hand() -> None:
    # From (0, 0) up to (1, 0.6), on to (3, 0.8), flat to 4: 0.3 + 1.4 + 0.8 = 2.5.
    assert metrics.aiq([(1.0, 0.6), (3.0, 0.8), (2.0, 0.5)], 4.0) == pytest.approx(2.5 / 4)


def test_aiq_cuts_the_hull_where_the_range_ends() -> None:
    assert metrics.aiq([(2.0, 1.0)], 1.0) == pytest.approx(0.25)


def test_aiq_of_a_free_right_answer_is_one() -> None:
    assert metrics.aiq([(0.0, 1.0)], 1.0) == pytest.approx(1.0)


def test_aiq_needs_a_range() -> None:
    with pytest.raises(DataError, match="above 0"):
        metrics.aiq([(1.0, 1.0)], 0.0)


@given(points, costs, st.floats(0.0, 0.5))
def test_aiq_rises_with_accuracy(
    found: list[tuple[float, float]], dearest: float, more: float
) -> None:
    better = [(cost, accuracy + more) for cost, accuracy in found]
    assert metrics.aiq(better, dearest) >= metrics.aiq(found, dearest) - 1e-12


@given(points, costs, st.floats(0.0, 5.0), st.floats(0.0, 1.0))
def test_a_dominated_point_changes_nothing(
    found: list[tuple[float, float]], dearest: float, dearer: float, worse: float
) -> None:
    cost, accuracy = found[0]
    more = [*found, (cost + dearer, accuracy - worse * accuracy)]
    assert metrics.aiq(more, dearest) == pytest.approx(metrics.aiq(found, dearest), abs=1e-12)


@given(points, costs, st.tuples(costs, shares))
def test_a_further_point_never_lowers_aiq(
    found: list[tuple[float, float]], dearest: float, point: tuple[float, float]
) -> None:
    assert metrics.aiq([*found, point], dearest) >= metrics.aiq(found, dearest) - 1e-12


@given(points)
def test_the_hull_rises_flattens_and_covers_every_point(found: list[tuple[float, float]]) -> None:
    corners = metrics.hull(found)
    xs, ys = corners.T
    assert (np.diff(xs) > 0).all()
    assert (np.diff(ys) > 0).all()
    slopes = np.diff(ys) / np.diff(xs)
    assert (np.diff(slopes) <= 1e-9 * np.abs(slopes[:-1]) + 1e-12).all()
    given_costs, accuracies = np.array(found).T
    assert (np.interp(given_costs, xs, ys) >= accuracies - 1e-9).all()


@given(points)
def test_the_corners_are_points(found: list[tuple[float, float]]) -> None:
    assert {tuple(corner) for corner in metrics.hull(found).tolist()} <= set(found)


@pytest.mark.parametrize("bad", [[], [(-1.0, 0.5)], [(1.0, float("nan"))]])
def test_the_hull_refuses_what_is_no_point(bad: list[tuple[float, float]]) -> None:
    with pytest.raises(DataError, match="points"):
        metrics.hull(bad)


def test_cost_save_reads_the_hull_between_points() -> None:
    found = [(1.0, 0.5), (3.0, 0.9)]
    assert metrics.cost_save(found, (4.0, 0.7)) == pytest.approx(1 - 2.0 / 4.0)
    assert metrics.cost_save(found, (4.0, 0.95)) is None
    assert metrics.cost_save(found, (4.0, 0.1)) == pytest.approx(0.75)


@given(points, costs)
def test_cost_save_of_a_frontier_through_the_best_single_is_not_negative(
    found: list[tuple[float, float]], cost: float
) -> None:
    best = (cost, max(accuracy for _, accuracy in found))
    saved = metrics.cost_save([*found, best], best)
    assert saved is not None
    assert saved >= -1e-12


def test_router_arena_is_one_at_its_best_and_zero_at_its_worst() -> None:
    assert metrics.router_arena(1.0, 0.0044) == pytest.approx(1.0)
    assert metrics.router_arena(1.0, 200.0) == 0.0
    assert metrics.router_arena(0.0, 200.0) == 0.0
    assert metrics.router_arena(1.0, 1e-9) == pytest.approx(1.0)


@given(shares, st.floats(0.01, 150.0))
def test_router_arena_prefers_the_right_and_the_cheap(accuracy: float, cost: float) -> None:
    here = metrics.router_arena(accuracy, cost)
    assert 0.0 <= here <= 1.0
    assert metrics.router_arena(min(1.0, accuracy + 0.1), cost) >= here - 1e-12
    assert metrics.router_arena(accuracy, cost * 1.3) <= here + 1e-12


def test_oracle_gap() -> None:
    assert metrics.oracle_gap(0.75, 0.7, 0.9) == pytest.approx(0.25)
    assert np.isnan(metrics.oracle_gap(0.7, 0.7, 0.7))


@given(confidences)
def test_certainties_that_come_true_have_no_calibration_error(found: Array) -> None:
    sure = np.round(found)
    assert metrics.ece(sure, sure) == 0.0
    assert metrics.ece_equal_mass(sure, sure) == 0.0


@given(confidences, st.integers(1, 30))
def test_calibration_error_is_bounded_by_the_mean_absolute_error(found: Array, bins: int) -> None:
    scores = np.round(found[::-1])
    whole = abs(float((found - scores).mean()))
    for measure in (metrics.ece, metrics.ece_equal_mass):
        error = measure(found, scores, bins=bins)
        assert whole - 1e-9 <= error <= float(np.abs(found - scores).mean()) + 1e-9


def test_calibration_error_by_hand() -> None:
    # Two in the bin at 0.9, half right; one in the bin at 0.1, wrong: (2 · 0.4 + 1 · 0.1) / 3.
    assert metrics.ece([0.9, 0.9, 0.1], [1.0, 0.0, 0.0]) == pytest.approx(0.3)


@given(confidences)
def test_a_frequency_that_is_stated_is_calibrated(found: Array) -> None:
    stated = np.full(len(found), found.mean())
    assert metrics.ece(stated, found) == pytest.approx(0.0, abs=1e-12)
    assert metrics.ece_equal_mass(stated, found) == pytest.approx(0.0, abs=1e-12)


@given(confidences, st.integers(0, 2**31))
def test_the_bootstrap_interval_is_reproducible_and_turns_with_its_sign(
    found: Array, seed: int
) -> None:
    other = found[::-1].copy()
    mean, low, high = metrics.paired_bootstrap(found, other, seed=seed, rounds=150)
    assert metrics.paired_bootstrap(found, other, seed=seed, rounds=150) == (mean, low, high)
    turned = metrics.paired_bootstrap(other, found, seed=seed, rounds=150)
    assert turned == pytest.approx((-mean, -high, -low))
    assert low <= high


def test_the_bootstrap_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(200):
        a, b = rng.random((2, 80))
        _, low, high = metrics.paired_bootstrap(a, b - 0.1, seed=trial, rounds=300)
        hits += low <= 0.1 <= high
    assert 0.89 <= hits / 200 <= 0.99


def test_the_bootstrap_pairs_queries() -> None:
    scores = np.random.default_rng(0).random(50)
    assert metrics.paired_bootstrap(scores + 0.25, scores, seed=1) == pytest.approx((0.25,) * 3)


@given(hnp.arrays(np.float64, st.integers(1, 200), elements=shares))
def test_the_interval_of_a_mean_holds_the_mean(scores: Array) -> None:
    low, high = metrics.mean_ci(scores)
    assert 0.0 <= low <= scores.mean() + 1e-12
    assert scores.mean() - 1e-12 <= high <= 1.0
    assert low < high


def test_the_interval_of_a_mean_narrows() -> None:
    few, many = metrics.mean_ci([1.0, 0.0] * 10), metrics.mean_ci([1.0, 0.0] * 1000)
    assert many[1] - many[0] < few[1] - few[0]


def test_uneven_rows_are_refused() -> None:
    with pytest.raises(DataError, match="equally long"):
        metrics.ece([0.5], [1.0, 0.0])
    with pytest.raises(DataError, match="equally long"):
        metrics.paired_bootstrap([], [], seed=0)
    with pytest.raises(DataError, match="no scores"):
        metrics.mean_ci([])


def test_the_headline_is_chosen_by_val_figures() -> None:
    runs = [
        run("cheap", (0.60, 0.1)),
        run("thrifty", (0.65, 0.2)),
        run("level", (0.71, 0.4)),
        run("dear level", (0.71, 0.6)),
        run("top", (0.75, 0.9)),
        run("dear top", (0.75, 1.1)),
        run("unknown", None),
    ]
    found = metrics.headline(runs, best_single=(1.0, 0.7), budget_usd=0.25)
    assert {point: chosen.knob for point, chosen in found.items()} == {
        "max_quality": "top",
        "parity": "level",
        "economy": "thrifty",
    }


def test_the_headline_falls_back_on_the_nearest_thing() -> None:
    runs = [run("cheap", (0.5, 0.4)), run("good", (0.6, 0.9))]
    found = metrics.headline(runs, best_single=(1.0, 0.7), budget_usd=0.1)
    assert found["parity"].knob == "good"
    assert found["economy"].knob == "cheap"
    with pytest.raises(DataError, match="val rows"):
        metrics.headline([run("unknown", None)], best_single=(1.0, 0.7), budget_usd=1.0)


@given(st.lists(st.tuples(shares, costs), min_size=1, max_size=8), shares, costs)
def test_the_headline_keeps_its_promises_where_they_can_be_kept(
    tuned: list[tuple[float, float]], accuracy: float, budget: float
) -> None:
    runs = [run(str(place), each) for place, each in enumerate(tuned)]
    found = metrics.headline(runs, best_single=(1.0, accuracy), budget_usd=budget)
    val = {point: chosen.tuned or (0.0, 0.0) for point, chosen in found.items()}
    most = max(score for score, _ in tuned)
    assert val["max_quality"][0] >= most - metrics.NEAR_BEST
    near = [cost for score, cost in tuned if score >= most - metrics.NEAR_BEST]
    assert val["max_quality"][1] == min(near)
    if any(score >= accuracy for score, _ in tuned):
        assert val["parity"][0] >= accuracy - metrics.LEVEL
        assert val["parity"][1] <= val["max_quality"][1]
    if any(cost <= budget for _, cost in tuned):
        assert val["economy"][1] <= budget


def test_a_perfect_judge_of_few_answers_seems_miscalibrated() -> None:
    confidences = np.random.default_rng(0).uniform(0.5, 1.0, 400)
    few = metrics.ece_of_a_perfect_judge(confidences[:100])
    many = metrics.ece_of_a_perfect_judge(confidences)
    assert 0.0 < many < few < 0.2
    assert few == pytest.approx(2 * many, rel=0.35)  # as the root of the number of answers
    assert metrics.ece_of_a_perfect_judge(np.ones(50)) == 0.0
