"""Each baseline's own rule, checked against a slower way to the same or a case done by hand."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from emafusion.evaluate import metrics
from emafusion.evaluate.baselines import BASELINES, cascade_routing, frugal_gpt, kmeans
from emafusion.evaluate.baselines import matrix_factorisation as factorisation
from emafusion.evaluate.baselines.cascades import Chain, levels, replay
from emafusion.evaluate.baselines.drafts import Scorer
from emafusion.evaluate.baselines.neighbours import averages, nearest
from emafusion.evaluate.baselines.plays import figures
from emafusion.evaluate.baselines.settings import worthwhile
from emafusion.evaluate.baselines.singles import accuracies, best, mean_costs
from emafusion.evaluate.baselines.voting import agreement, seated, voices, vote
from emafusion.evaluate.runs import Table

from .tables import COSTS, punched, replaced, tables

Array = NDArray[np.float64]

TRAIN, VAL, TEST = tables(seed=11, rows=(400, 200, 150))
RANKING = accuracies(TRAIN, VAL)


def small(answers: list[list[int]], scores: list[list[float]] | None = None) -> Table:
    """A table of these answers, whose scores are 1 for answer 0 unless said otherwise."""
    found = np.array(answers)
    n, m = found.shape
    right = (found == 0).astype(np.float64) if scores is None else np.array(scores)
    return Table(
        queries=tuple(f"q{i}" for i in range(n)),
        tasks=("",) * n,
        models=tuple(f"m{j}" for j in range(m)),
        scores=right,
        costs=np.where(np.isnan(right), np.nan, 1.0),
        vectors=np.ones((n, 1)),
        answers=found,
        surface=np.zeros((n, m, 1)),
    )


# --- frontier ---------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 10)), min_size=1, max_size=40),
    st.integers(2, 10),
)
def test_worthwhile_settings_rise_and_keep_both_ends(
    points: list[tuple[float, float]], most: int
) -> None:
    kept = [points[k] for k in worthwhile(points, most=most)]
    assert 1 <= len(kept) <= most
    assert kept == sorted(kept)
    assert kept[-1][0] == max(score for score, _ in points)
    assert kept[0][1] == pytest.approx(min(cost for _, cost in points))  # of equals, the better
    for score, cost in kept:
        assert not any(s > score and c <= cost for s, c in points)


# --- neighbours -------------------------------------------------------------------------------


def test_neighbours_are_those_that_a_full_search_finds() -> None:
    found = nearest(TRAIN.vectors, VAL.vectors, 7)
    closeness = VAL.vectors @ TRAIN.vectors.T
    full = np.sort(closeness, axis=1)[:, ::-1][:, :7]
    assert np.take_along_axis(closeness, found, axis=1) == pytest.approx(full, abs=1e-6)


def test_averages_leave_gaps_out() -> None:
    values = np.array([[1.0, np.nan], [0.0, np.nan], [np.nan, 0.5]])
    found = averages(values, np.array([[0, 1], [1, 2], [0, 2]]))
    assert found == pytest.approx(np.array([[0.5, 0.5], [0.0, 0.5], [1.0, 0.5]]))


@pytest.mark.parametrize("name", ["knn", "guarded_knn", "kmeans"])
def test_routers_find_the_specialists(name: str) -> None:
    runs = BASELINES[name](TRAIN, VAL, TEST, seed=0).runs
    thrifty = [run for run in runs if run.cost_usd < 0.6]
    specialist = max(float(TEST.scores[:, j].mean()) for j in (1, 2))
    assert max(run.accuracy for run in thrifty) > specialist + 0.1


def test_a_guard_keeps_the_default_where_prompts_tell_nothing() -> None:
    blind = [
        replaced(table, vectors=np.ones((len(table.queries), 2)) / np.sqrt(2))
        for table in (TRAIN, VAL, TEST)
    ]
    top = BASELINES["guarded_knn"](*blind, seed=0).runs[-1]
    assert top.sources is not None
    assert len(set(top.sources)) == 1


def test_clusters_follow_the_papers_score() -> None:
    profiles = kmeans.Profiles(
        centres=np.zeros((1, 2)),
        accuracy=np.array([[0.2, 0.6, 1.0]]),
        cost=np.array([[1.0, 2.0, 5.0]]),
    )
    # p̃ = (0, ½, 1), q̃ = (0, ¼, 1).
    assert profiles.scores(1.0) == pytest.approx(np.array([[0.0, 0.5, 1.0]]))
    assert profiles.scores(0.0) == pytest.approx(np.array([[1.0, 0.75, 0.0]]))
    assert profiles.scores(0.4) == pytest.approx(np.array([[0.6, 0.65, 0.4]]))


# --- single models ----------------------------------------------------------------------------


def test_the_zero_router_mixes_along_the_hull() -> None:
    runs = BASELINES["zero_router"](TRAIN, VAL, TEST, seed=0).runs
    points = np.column_stack([mean_costs(TRAIN, VAL), RANKING])
    corners = metrics.hull(points)
    assert len(runs) > len(corners)
    # On the rows it was estimated from, each mix lies on the hull; on others, between the models.
    for run in runs:
        low, high = TEST.scores.min(axis=1), TEST.scores.max(axis=1)
        assert ((run.scores >= low - 1e-12) & (run.scores <= high + 1e-12)).all()
    assert runs[-1].accuracy == pytest.approx(TEST.scores[:, best(TRAIN, VAL)].mean())
    seen = BASELINES["zero_router"](TRAIN, VAL, TRAIN, seed=0).runs
    for run, again in zip(seen, runs, strict=True):
        mean = (run.cost_usd * 400 + (again.tuned or (0, 0))[1] * 200) / 600
        assert mean == pytest.approx(float(run.knob.removeprefix("usd=")), rel=0.02)


def test_the_oracle_takes_the_cheapest_right_answer() -> None:
    run = BASELINES["oracle"](TRAIN, VAL, TEST, seed=0).runs[0]
    for i, source in enumerate(run.sources or ()):
        row, j = TEST.scores[i], TEST.models.index(source)
        assert row[j] == row.max()
        assert all(TEST.costs[i, j] <= TEST.costs[i, k] for k in np.flatnonzero(row == row.max()))


def test_random_choice_is_the_mean_of_the_pool() -> None:
    run = BASELINES["random"](TRAIN, VAL, TEST, seed=0).runs[0]
    assert run.accuracy == pytest.approx(TEST.scores.mean())
    assert run.cost_usd == pytest.approx(TEST.costs.mean())


# --- preferences ------------------------------------------------------------------------------


def test_factors_learn_who_wins_where() -> None:
    factors = factorisation.fit(TRAIN, seed=0, epochs=15)
    strengths = factors.strengths(TEST.vectors)
    sums = np.array(TEST.tasks) == "sums"
    assert (strengths[sums, 1] > strengths[sums, 2]).mean() > 0.9
    assert (strengths[~sums, 1] < strengths[~sums, 2]).mean() > 0.9


def test_slopes_are_those_of_the_likelihood() -> None:
    rng = np.random.default_rng(2)
    weights = [rng.normal(size=(4, 3)), rng.normal(size=(6, 3)), rng.normal(size=3)]
    vectors, scores = TRAIN.vectors[:9], TRAIN.scores[:9]
    wins = scores[:, :, None] > scores[:, None, :]

    def loss() -> float:
        strength = (vectors @ weights[1] + weights[2]) @ weights[0].T
        gaps = strength[:, :, None] - strength[:, None, :]
        return float(np.log1p(np.exp(-gaps))[wins].mean())

    slopes = factorisation._slopes(weights, vectors, wins)
    for place, slope in enumerate(slopes):
        spot = (0,) * slope.ndim
        weights[place][spot] += 1e-5
        above = loss()
        weights[place][spot] -= 2e-5
        below = loss()
        weights[place][spot] += 1e-5
        assert slope[spot] == pytest.approx((above - below) / 2e-5, rel=1e-3, abs=1e-7)


# --- cascades ---------------------------------------------------------------------------------


def test_a_chain_stops_at_the_first_draft_that_is_sure_enough() -> None:
    table = small([[0, 0, 0]] * 3)
    sure = np.array([[0.9, 0.1, 0.2], [0.1, 0.8, 0.2], [0.1, 0.2, 0.3]])
    chain = Chain(order=(0, 1, 2), thresholds=(0.5, 0.5))
    play = replay(table, chain, confidences=sure, ranking=np.ones(3))
    assert play.calls.tolist() == [[0, -1, -1, -1], [0, 1, -1, -1], [0, 1, 2, -1]]
    assert play.chosen.tolist() == [0, 1, 2]
    assert play.confidences == pytest.approx([0.9, 0.8, 0.3])


def test_a_chain_passes_over_gaps() -> None:
    nan = np.nan
    table = small([[-1, 0, 0, 0], [0, 0, -1, 0]], [[nan, 1, nan, 1], [nan, nan, nan, 1.0]])
    chain = Chain(order=(0, 1, 2), thresholds=(0.5, 0.5))
    play = replay(table, chain, confidences=np.zeros((2, 4)), ranking=np.arange(4.0))
    assert play.calls.tolist() == [[-1, 1, -1, -1], [-1, -1, -1, 3]]
    assert play.chosen.tolist() == [1, 3]


def test_a_higher_threshold_never_costs_less() -> None:
    sure = np.random.default_rng(1).random(TEST.scores.shape)
    costs = [
        figures(
            TEST,
            replay(TEST, Chain(order=(0, 3), thresholds=(t,)), confidences=sure, ranking=RANKING),
        )[1]
        for t in levels(sure[:, 0], 20)
    ]
    assert costs == sorted(costs)


def test_the_sums_of_a_list_are_its_replays_figures() -> None:
    sure = np.random.default_rng(8).random(VAL.scores.shape)
    places = frugal_gpt._reached(sure)[:, [2, 0]]
    both = np.hstack([VAL.scores, VAL.costs]) / len(VAL.queries)
    sums = frugal_gpt._pair(places, both, (2, 0), third=np.array([1, 3]))
    for low, high, last in [(0, 0, 0), (3, 0, 1), (3, 7, 0), (9, 2, 1), (15, 15, 1)]:
        chain = frugal_gpt._chain((2, 0, (1, 3)[last], low, high), VAL, sure)
        assert len(chain.order) == 1 + (low > 0) + (low > 0 and high > 0)
        replayed = figures(VAL, replay(VAL, chain, **_given(sure)))
        assert sums[low, high, last] == pytest.approx(replayed)


def test_the_search_over_chains_adds_up_as_their_replays_do() -> None:
    sure = np.random.default_rng(6).random(VAL.scores.shape)
    found = frugal_gpt._search(VAL, sure)
    assert len(found) > 3
    tops = []
    for setting in found:
        chain = frugal_gpt._chain(setting, VAL, sure)
        tops.append(figures(VAL, replay(VAL, chain, confidences=sure, ranking=RANKING)))
    grid = [
        figures(VAL, replay(VAL, Chain(order=order, thresholds=(a, b)), **_given(sure)))
        for order in permutations(range(4), 3)
        for a in levels(sure[:, order[0]], frugal_gpt.THRESHOLDS)[::5]
        for b in levels(sure[:, order[1]], frugal_gpt.THRESHOLDS)[::5]
    ]
    # The most accurate chain found is at least as good as any that is tried by hand.
    assert max(score for score, _ in tops) >= max(score for score, _ in grid) - 1e-12
    assert min(cost for _, cost in tops) <= min(cost for _, cost in grid) + 1e-12


def _given(sure: Array) -> dict[str, Array]:
    return {"confidences": sure, "ranking": RANKING}


def test_the_scorer_tells_right_drafts_from_wrong_ones_and_is_calibrated() -> None:
    sure = Scorer(TRAIN, VAL, seed=0).confidences(TEST)
    right = TEST.scores.astype(bool)
    assert sure[right].mean() > sure[~right].mean() + 0.2
    assert metrics.ece(sure.ravel(), TEST.scores.ravel()) < 0.08


def test_the_scorer_knows_nothing_of_models_it_never_saw() -> None:
    train = replaced(TRAIN, scores=np.where(np.arange(4) == 1, np.nan, TRAIN.scores))
    assert (Scorer(train, VAL, seed=0).confidences(TEST)[:, 1] == 0).all()


def test_the_scorer_takes_scores_between_right_and_wrong() -> None:
    partly = [replaced(table, scores=0.2 + 0.5 * table.scores) for table in (TRAIN, VAL, TEST)]
    sure = Scorer(partly[0], partly[1], seed=0).confidences(partly[2])
    assert sure.mean() == pytest.approx(partly[2].scores.mean(), abs=0.06)


# --- cascade routing --------------------------------------------------------------------------


def beliefs(n: int = 5, *, seed: int = 0) -> cascade_routing.Estimates:
    rng = np.random.default_rng(seed)
    return cascade_routing.Estimates(
        before=rng.random((n, 4)),
        after=rng.random((n, 4)),
        cost=np.tile(np.array(COSTS), (n, 1)),
        there=np.ones((n, 4), dtype=bool),
    )


def test_a_supermodels_quality_is_the_expected_maximum() -> None:
    estimates = beliefs()
    noise = np.random.default_rng(3).normal(0, 0.2, (4, 30))
    values = cascade_routing.value(estimates, (0, 1, 3), noise)
    # Model 0 was run; of 1 and 3 there are only estimates: state 0b001, supermodel 0b111.
    guesses = estimates.before[:, [1, 3], None] + noise[None, [1, 3]]
    tops = np.maximum(guesses.max(axis=1), estimates.after[:, [0]])
    assert values.quality[0b001, 0b111] == pytest.approx(tops.mean(axis=1), abs=1e-5)
    assert values.cost[0b101] == pytest.approx(np.full(5, COSTS[0] + COSTS[3]))
    assert np.isneginf(values.quality[0b010, 0b101]).all()


def test_cascade_routing_buys_by_the_price_of_money() -> None:
    estimates = beliefs(len(TEST.queries), seed=1)
    values = cascade_routing.value(estimates, (0, 1, 2, 3), np.zeros((4, 2)))

    def calls(price: float) -> NDArray[np.int64]:
        play = cascade_routing.replay(TEST, values, estimates, price=price, ranking=RANKING)
        return np.asarray((play.calls >= 0).sum(axis=1))

    dear = cascade_routing.replay(TEST, values, estimates, price=1e6, ranking=RANKING)
    assert (dear.calls[:, 0] == 0).all()
    assert (calls(1e6) == 1).all()
    assert calls(0.0).mean() > calls(0.2).mean() >= 1


def test_cascade_routing_stops_once_nothing_promises_more() -> None:
    estimates = cascade_routing.Estimates(
        before=np.tile([0.5, 0.6, 0.6, 0.7], (2, 1)),
        after=np.array([[0.95, 0.5, 0.5, 0.5], [0.1, 0.65, 0.5, 0.9]]),
        cost=np.tile([0.01, 0.02, 0.02, 0.1], (2, 1)),
        there=np.ones((2, 4), dtype=bool),
    )
    table = small([[0] * 4] * 2)
    values = cascade_routing.value(estimates, (0, 1, 2, 3), np.zeros((4, 2)))
    play = cascade_routing.replay(table, values, estimates, price=5.0, ranking=np.ones(4))
    # By hand: 0.5 − 0.05, 0.6 − 0.1 and 0.7 − 0.5: the second model first; then 0.7 is not worth
    # 0.5 more, and what was seen (0.5 or 0.65) is no worse than the others' promise.
    assert play.calls[:, 0].tolist() == [1, 1]
    assert play.chosen.tolist() == [1, 1]


def test_cascade_routing_runs_the_cheapest_of_what_it_wants_first() -> None:
    estimates = cascade_routing.Estimates(
        before=np.tile([0.1, 0.8, 0.1, 0.9], (2, 1)),
        after=np.tile([0.1, 0.3, 0.1, 0.4], (2, 1)),
        cost=np.tile([0.01, 0.02, 0.02, 0.1], (2, 1)),
        there=np.ones((2, 4), dtype=bool),
    )
    # The second and the fourth err apart from each other, so that asking both promises most.
    noise = np.zeros((4, 2))
    noise[1], noise[3] = [0.5, -0.5], [-0.5, 0.5]
    values = cascade_routing.value(estimates, (0, 1, 2, 3), noise)
    play = cascade_routing.replay(
        small([[0] * 4] * 2), values, estimates, price=0.1, ranking=np.ones(4)
    )
    assert play.calls[:, :2].tolist() == [[1, 3], [1, 3]]
    assert play.chosen.tolist() == [3, 3]


def test_draws_have_the_spread_of_what_drafts_reveal() -> None:
    estimates = beliefs(4000)
    draws = cascade_routing._noise(estimates, seed=0)
    assert draws.mean(axis=1) == pytest.approx(np.zeros(4), abs=1e-12)
    assert draws.std(axis=1) == pytest.approx(
        (estimates.after - estimates.before).std(axis=0), rel=0.35
    )


# --- votes ------------------------------------------------------------------------------------


def test_the_most_supported_answer_is_given_by_its_earliest_voter() -> None:
    table = small([[5, 0, 0], [1, 2, 3], [4, 4, 0]])
    play = vote(table, np.array([0, 1, 2]), weights=np.ones(3))
    assert play.chosen.tolist() == [1, 0, 0]
    assert play.confidences == pytest.approx([2 / 3, 1 / 3, 2 / 3])
    assert (play.calls >= 0).all()


def test_answers_that_cannot_be_read_never_vote_together() -> None:
    table = small([[-1, -1, 0], [-1, -1, -1]])
    assert not agreement(table)[:, 0, 1].any()
    play = vote(table, np.array([0, 1, 2]), weights=np.ones(3))
    assert play.chosen.tolist() == [2, 0]


def test_gaps_never_vote_and_their_seats_go_to_the_next() -> None:
    nan = np.nan
    # Equal numbers in cells without a record must not agree either.
    table = small([[3, 3, 0, 0]], [[nan, nan, 1, 1]])
    assert not agreement(table)[0, 0, 1]
    assert seated(table, np.array([0, 1, 2, 3]), 3).tolist() == [[2, 3, -1]]
    play = vote(table, np.array([0, 1, 2, 3]), weights=np.ones(4))
    assert play.chosen.tolist() == [2]
    assert play.calls.tolist() == [[-1, -1, 2, 3]]


def test_a_heavy_voice_outweighs_two_light_ones() -> None:
    table = small([[0, 7, 7]])
    assert vote(table, np.arange(3), weights=np.array([3.0, 1, 1])).chosen.tolist() == [0]
    assert vote(table, np.arange(3), weights=np.array([1.5, 1, 1])).chosen.tolist() == [1]


def test_voices_grow_with_accuracy_and_are_positive() -> None:
    found = voices(TRAIN, np.array([0.0, 0.3, 0.6, 1.0]))
    assert (np.diff(found) > 0).all()
    assert (found > 0).all()


def test_majority_votes_cost_what_all_members_cost() -> None:
    run = BASELINES["majority_vote"](TRAIN, VAL, TEST, seed=0).runs[0]
    order = np.argsort(-RANKING)[:3]
    assert run.costs == pytest.approx(TEST.costs[:, order].sum(axis=1))


def test_fused_panels_beat_their_members_here() -> None:
    runs = BASELINES["always_fuse"](TRAIN, VAL, TEST, seed=0).runs
    assert max(run.tuned[0] for run in runs if run.tuned) >= VAL.scores.mean(axis=0).max()


def test_gaps_in_training_are_survived_by_every_estimate() -> None:
    holed = punched(TRAIN, seed=1, share=0.6)
    factors = factorisation.fit(holed, seed=0, epochs=5)
    assert np.isfinite(factors.strengths(TEST.vectors)).all()
    assert np.isfinite(Scorer(holed, VAL, seed=0).confidences(TEST)).all()
    assert np.isfinite(accuracies(holed)).all()
    assert np.isfinite(voices(holed, accuracies(holed))).all()
