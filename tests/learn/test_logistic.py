"""Our Newton fits against scikit-learn's optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emafusion.learn.fit import logistic

linear_model = pytest.importorskip("sklearn.linear_model")

Array = NDArray[np.float64]


def sample(
    seed: int, rows: int = 400, columns: int = 4, *, steepness: float = 1.0
) -> tuple[Array, Array]:
    """Standard normal columns, and targets drawn from a logistic model of them."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, columns))
    odds = inputs @ rng.normal(size=columns) * steepness + 0.3
    targets = (rng.random(rows) < logistic.sigmoid(odds)).astype(float)
    targets[:2] = 0.0, 1.0
    return inputs, targets


def reference(inputs: Array, targets: Array, penalty: float, shares: Array | None = None) -> Array:
    """scikit-learn's optimum, intercept first; `shares` are times each row counts."""
    # Newton steps reach the optimum; a line search to 1e-10 may end in rounding.
    model = linear_model.LogisticRegression(C=1.0 / penalty, solver="newton-cholesky", tol=1e-9)
    model.fit(inputs, targets, sample_weight=shares)
    return np.concatenate([model.intercept_, model.coef_[0]])


def loss(weights: Array, inputs: Array, targets: Array, penalty: float) -> float:
    """What both minimise."""
    odds = inputs @ weights[1:] + weights[0]
    misfit = np.logaddexp(0.0, odds) - targets * odds
    return float(misfit.sum() + penalty * (weights[1:] ** 2).sum() / 2.0)


@pytest.mark.parametrize("penalty", [1.0, 10.0, 100.0])
def test_the_weights_are_scikit_learns(penalty: float) -> None:
    inputs, targets = sample(0)
    found = logistic.fit(inputs, targets, penalty)
    assert found == pytest.approx(reference(inputs, targets, penalty), abs=2e-3)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(20, 300),
    columns=st.integers(1, 6),
    penalty=st.sampled_from([1.0, 10.0, 100.0]),
    steepness=st.floats(0.0, 6.0),
)
def test_no_fit_is_above_scikit_learns_minimum(
    seed: int, rows: int, columns: int, penalty: float, steepness: float
) -> None:
    """But for the fiftieth of an observation that the intercept is held by."""
    inputs, targets = sample(seed, rows, columns, steepness=steepness)
    found = logistic.fit(inputs, targets, penalty)
    least = reference(inputs, targets, penalty)
    held = 0.02 * least[0] ** 2 / 2.0
    assert loss(found, inputs, targets, penalty) <= (
        loss(least, inputs, targets, penalty) + held + 1e-3
    )
    assert logistic.fit(inputs, targets, penalty, start=found) == pytest.approx(found, abs=3e-3)


def test_a_fraction_counts_as_that_share_of_a_success() -> None:
    inputs, _ = sample(1)
    shares = np.random.default_rng(2).random(len(inputs))
    twice = np.concatenate([inputs, inputs])
    sides = np.repeat([1.0, 0.0], len(inputs))
    expected = reference(twice, sides, 10.0, np.concatenate([shares, 1.0 - shares]))
    assert logistic.fit(inputs, shares, 10.0) == pytest.approx(expected, abs=2e-3)


def test_two_steps_from_nearly_the_same_rows_are_enough() -> None:
    inputs, targets = sample(3)
    whole = logistic.fit(inputs, targets, 10.0)
    part = logistic.fit(inputs[80:], targets[80:], 10.0, start=whole, steps=2)
    assert part == pytest.approx(reference(inputs[80:], targets[80:], 10.0), abs=2e-3)


@pytest.mark.parametrize("side", [0.0, 1.0])
def test_a_one_sided_sample_stays_finite(side: float) -> None:
    inputs, targets = sample(4, rows=50)
    found = logistic.fit(inputs, np.full_like(targets, side), 10.0)
    assert np.isfinite(found).all()
    rates = logistic.sigmoid(inputs @ found[1:] + found[0])
    assert (np.abs(rates - side) < 0.05).all()


def test_every_row_counted_once_changes_nothing() -> None:
    inputs, targets = sample(5)
    weights = logistic.fit(inputs, targets, 10.0)
    again = logistic.resampled(
        inputs, targets, 10.0, weights=weights, shares=np.ones((1, len(inputs)))
    )
    assert again[0] == pytest.approx(weights, abs=1e-3)


def test_one_step_bootstraps_spread_as_refits_do() -> None:
    inputs, targets = sample(6, rows=1500)
    weights = logistic.fit(inputs, targets, 10.0)
    shares = np.random.default_rng(7).poisson(1.0, (60, len(inputs))).astype(float)
    found = logistic.resampled(inputs, targets, 10.0, weights=weights, shares=shares)
    refits = np.array([reference(inputs, targets, 10.0, row) for row in shares])
    assert found.std(axis=0) == pytest.approx(refits.std(axis=0), rel=0.2)
    moved = np.linalg.norm(refits - weights, axis=1)
    assert (np.linalg.norm(found - refits, axis=1) < 0.5 * moved).mean() > 0.95


@given(st.floats(-1e6, 1e6))
def test_log_odds_undo_the_sigmoid_within_their_bounds(odds: float) -> None:
    rate = logistic.sigmoid(np.array([odds]))
    bound = np.log(0.995 / 0.005)
    assert logistic.log_odds(rate)[0] == pytest.approx(min(max(odds, -bound), bound))


def test_weights_are_shrunk_towards_where_they_are_told() -> None:
    inputs, targets = sample(3)
    centre = np.array([0.0, 2.0, -1.0, 0.5, 0.0])
    free = logistic.fit(inputs, targets, 1.0)
    near, held = (logistic.fit(inputs, targets, p, towards=centre) for p in (100.0, 1e6))
    assert held[1:] == pytest.approx(centre[1:], abs=1e-2)
    off = [float(np.abs(one - centre)[1:].sum()) for one in (held, near, free)]
    assert off == sorted(off)
