"""Heads that learn one outcome at a time."""

from __future__ import annotations

import numpy as np
import pytest

from emafusion.errors import ArtefactError
from emafusion.learn.fit import logistic
from emafusion.learn.online.heads import Doubt, Heads
from emafusion.predict import LearnedRouter

RNG = np.random.default_rng(0)
WIDTH = 5
TRUE = np.array([0.3, 1.5, -1.0, 0.5, 0.0, 0.0])


def outcomes(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and scores by the law :data:`TRUE`."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, WIDTH))
    rates = 1.0 / (1.0 + np.exp(-(x @ TRUE[1:] + TRUE[0])))
    return x, (rng.random(count) < rates).astype(float)


def test_one_outcome_at_a_time_comes_near_to_the_batch_fit() -> None:
    x, y = outcomes(2000)
    heads = Heads.cold(
        np.zeros(1), WIDTH, doubt=Doubt(shared_intercept=0.0, shared_weight=0.0, weight=0.1)
    )
    for row, score in zip(x, y, strict=True):
        heads.update(0, row, float(score))
    batch = logistic.fit(x, y, 10.0)
    assert heads.means[1] == pytest.approx(batch, abs=0.06)
    told, variance = heads.odds(x[:200])
    assert told[:, 0] == pytest.approx(x[:200] @ TRUE[1:] + TRUE[0], abs=0.8)
    assert variance.max() < 0.1


def test_its_standard_errors_are_those_of_the_batch_fit() -> None:
    x, y = outcomes(500)
    heads = Heads.cold(
        np.zeros(1), WIDTH, doubt=Doubt(shared_intercept=0.0, shared_weight=0.0, weight=0.1)
    )
    for row, score in zip(x, y, strict=True):
        heads.update(0, row, float(score))
    table = np.column_stack([np.ones(len(x)), x])
    rates = logistic.sigmoid(table @ heads.means[1])
    precision = (table * (rates * (1.0 - rates))[:, None]).T @ table
    precision += np.diag([1.0 / Doubt().intercept] + [10.0] * WIDTH)
    errors = np.sqrt(np.diag(np.linalg.inv(precision)))
    assert np.sqrt(np.diag(heads.covariances[1])) == pytest.approx(errors, rel=0.1)


def test_what_all_models_share_is_learnt_of_any() -> None:
    """How hard a query is shows on whoever answered it; a model never asked profits."""
    x, y = outcomes(600)
    apart = Doubt(shared_weight=0.1, weight=0.001)
    heads = Heads.cold(np.zeros(3), WIDTH, doubt=apart)
    for place, (row, score) in enumerate(zip(x, y, strict=True)):
        heads.update(place % 2, row, float(score))
    told, variance = heads.odds(x[:100])
    assert np.corrcoef(told[:, 2], x[:100] @ TRUE[1:])[0, 1] > 0.9
    assert (variance[:, 2] > variance[:, 0]).all()


def test_weight_0_changes_nothing_and_half_a_vote_moves_less_than_one() -> None:
    moved = []
    for weight in (0.0, 0.5, 1.0):
        heads = Heads.cold(np.zeros(1), WIDTH)
        heads.update(0, np.ones(WIDTH), 1.0, weight=weight)
        moved.append(float(heads.odds(np.ones((1, WIDTH)))[0][0, 0]))
    assert moved[0] == 0.0
    assert 0.0 < moved[1] < moved[2]


def test_draws_have_the_mean_and_the_spread_of_the_belief() -> None:
    x, y = outcomes(100)
    heads = Heads.cold(np.zeros(2), WIDTH, doubt=Doubt(weight=0.2, shared_weight=0.2))
    for place, (row, score) in enumerate(zip(x, y, strict=True)):
        heads.update(place % 2, row, float(score))
    weights, biases = heads.draws(2001, seed=3)
    odds = np.einsum("nd,kdm->knm", x[:20], weights) + biases[:, None, :]
    told, variance = heads.odds(x[:20])
    assert odds.mean(axis=0) == pytest.approx(told)
    assert odds.var(axis=0) == pytest.approx(variance, rel=0.15)
    rate, spread = LearnedRouter(weights, biases).rate(x[0])
    assert rate.shape == spread.shape == (2,)


def test_doubt_keeps_the_mean_and_lets_it_move_as_far_as_models_differ() -> None:
    x, y = outcomes(300)
    prior = Doubt(shared_intercept=0.0, shared_weight=0.0)
    heads = Heads.cold(np.zeros(1), WIDTH, doubt=prior)
    for row, score in zip(x, y, strict=True):
        heads.update(0, row, float(score))
    told, variance = heads.odds(x[:10])
    heads.doubt(0, prior)
    now, wider = heads.odds(x[:10])
    assert now == pytest.approx(told)
    assert (wider > variance + prior.intercept - 1e-9).all()


def test_a_fit_is_believed_the_more_outcomes_it_has_seen() -> None:
    heads = Heads.fitted(
        np.ones((WIDTH, 2)), np.zeros(2), trials=np.array([10.0, 5000.0]), penalty=100.0
    )
    told, variance = heads.odds(np.eye(WIDTH)[:1])
    assert told == pytest.approx(1.0)
    assert variance[0, 0] > 3.0 * variance[0, 1]


def test_an_even_number_of_draws_has_no_mean_in_it() -> None:
    with pytest.raises(ArtefactError, match="pairs"):
        Heads.cold(np.zeros(1), WIDTH).draws(8)


def test_shapes_must_fit() -> None:
    with pytest.raises(ArtefactError, match="do not fit"):
        Heads(np.zeros((2, 3)), np.zeros((2, 3, 4)))
