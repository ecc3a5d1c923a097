"""One caller moves what is believed by no more than the stated bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.errors import ConfigError
from emafusion.learn.online import Ballot, Ballots, Bounds, Doubt, Estimates, Heads
from emafusion.learn.online.ballots import odds_bound, rate_bound
from emafusion.types import Labels

LABELS = {"task": ("code", "talk"), "complexity": ("low", "high"), "domain": ("any",)}
CODE = Labels(axes={"task": {"code": 1.0}, "complexity": {"low": 1.0}, "domain": {"any": 1.0}})
WIDTH = 6
STRENGTH = 10.0
DOUBT = Doubt(shared_weight=0.02, weight=0.01)


def ballot(caller: str, number: int, reward: float = 1.0, model: str = "worst") -> Ballot:
    """A vote on a decision of the caller's own."""
    return Ballot(
        caller=caller,
        asker=caller,
        decision=f"{caller}-{number}",
        model=model,
        reward=reward,
        expected=0.3,
    )


def learnt(seed: int, count: int) -> Estimates:
    """Two models, one of them bad, after `count` honest outcomes."""
    rng = np.random.default_rng(seed)
    cells = 4
    estimates = Estimates(
        ("best", "worst"),
        Heads.cold(np.zeros(2), WIDTH, doubt=DOUBT),
        trials=np.zeros((cells, 2)),
        successes=np.zeros((cells, 2)),
        labels=LABELS,
    )
    for _ in range(count):
        name, rate = (("best", 0.9), ("worst", 0.2))[int(rng.integers(2))]
        reward = float(rng.random() < rate)
        estimates.update(rng.standard_normal(WIDTH), CODE, model=name, reward=reward)
    return estimates


def test_ten_thousand_votes_weigh_less_than_the_bound() -> None:
    ballots = Ballots(Bounds(votes=10.0))
    total = sum(ballots.weigh(ballot("eve", number)) for number in range(10_000))
    assert 9.99 < total <= 10.0 + 1e-9


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 200),
    st.floats(1.0, 30.0),
    st.integers(0, 2**16),
    st.sampled_from([0.0, 1.0]),
)
def test_a_hostile_caller_moves_both_routers_by_no_more_than_the_formulas(
    honest: int, votes: float, seed: int, reward: float
) -> None:
    """However many outcomes there were, whatever he votes on, and whichever way."""
    rng = np.random.default_rng(seed)
    estimates = learnt(seed, honest)
    queries = rng.standard_normal((20, WIDTH))
    cast = rng.standard_normal((150, WIDTH))
    rate = estimates.suitability(STRENGTH).rate(CODE)[0][1]
    odds, variance = estimates.heads.odds(queries)
    widest = float(estimates.heads.odds(cast)[1][:, 1].max())
    seen = float(estimates.trials[:, 1].sum())
    ballots = Ballots(Bounds(votes=votes))
    for number, vector in enumerate(cast):
        weight = ballots.weigh(ballot("eve", number, reward))
        estimates.update(vector, CODE, model="worst", reward=reward, weight=weight)
    moved = abs(estimates.suitability(STRENGTH).rate(CODE)[0][1] - rate)
    # Every outcome lies in one cell here: the counts are the same at each of the four levels.
    assert moved <= rate_bound(STRENGTH, (seen,) * 4, votes) + 1e-9
    now = estimates.heads.odds(queries)[0]
    for query in range(len(queries)):
        bound = odds_bound(float(variance[query, 1]), widest, votes)
        assert abs(now[query, 1] - odds[query, 1]) <= bound + 1e-9


def test_ten_thousand_votes_for_the_worst_model_do_not_make_it_the_choice() -> None:
    estimates = learnt(0, 600)
    ballots = Ballots()
    rng = np.random.default_rng(1)
    for number in range(10_000):
        weight = ballots.weigh(ballot("eve", number))
        if weight < 1e-15:
            continue  # All of the rest together are beyond what a double can tell.
        vector = rng.standard_normal(WIDTH)
        estimates.update(vector, CODE, model="worst", reward=1.0, weight=weight)
    rates = estimates.suitability(STRENGTH).rate(CODE)[0]
    odds, _ = estimates.heads.odds(rng.standard_normal((50, WIDTH)))
    assert rates[0] > rates[1] + 0.4
    assert (odds[:, 0] > odds[:, 1]).all()


def test_a_decision_is_voted_on_once_and_by_who_asked() -> None:
    ballots = Ballots()
    assert ballots.weigh(ballot("ann", 1)) == 1.0
    assert ballots.weigh(ballot("ann", 1)) == 0.0
    other = Ballot(caller="eve", asker="ann", decision="ann-2", model="worst", reward=1.0)
    assert ballots.weigh(other) == 0.0
    unknown = Ballot(caller="eve", asker=None, decision="none", model="worst", reward=1.0)
    assert ballots.weigh(unknown) == 0.0
    # A vote refused leaves the decision to who asked.
    assert ballots.weigh(ballot("ann", 2)) > 0.0


def test_other_callers_are_heard_as_before() -> None:
    ballots = Ballots()
    for number in range(1000):
        ballots.weigh(ballot("eve", number))
    assert ballots.weigh(ballot("ann", 0)) == 1.0
    assert ballots.weigh(ballot("eve", 2000, model="best")) == 1.0


def test_a_new_window_hears_everyone_again_but_no_decision_twice() -> None:
    ballots = Ballots()
    for number in range(100):
        ballots.weigh(ballot("eve", number))
    ballots.renew()
    assert ballots.weigh(ballot("eve", 100)) == 1.0
    assert ballots.weigh(ballot("eve", 5)) == 0.0


def test_a_caller_far_off_all_others_is_not_heard() -> None:
    rng = np.random.default_rng(0)
    ballots = Ballots(Bounds(votes=1000.0))
    for number in range(200):
        for name in ("ann", "bob", "cyd", "dan", "flo", "gus", "hal"):
            ballots.weigh(ballot(name, number, float(rng.random() < 0.3)))
    told = [ballots.weigh(ballot("eve", number)) for number in range(200)]
    assert sum(told[:10]) > 0.0
    assert sum(told[100:]) == 0.0
    assert ballots.weigh(ballot("ann", 999, 0.0)) > 0.0


def test_a_vote_weighs_one_at_least() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Ballots(Bounds(votes=0.5))
