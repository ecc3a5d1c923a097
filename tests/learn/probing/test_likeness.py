"""What few scores say of many: on worlds whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from emafusion.errors import DataError
from emafusion.learn.fit import logistic
from emafusion.learn.probing import choosing, likeness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ROWS, MODELS, PROBES = 1500, 8, 60


def world(seed: int) -> tuple[Array, Array, Array]:
    """Scores and forecasts of models that share what is hard; the last column is the newcomer."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(0.5, 2.0, ROWS)
    ability = rng.normal(0.0, 0.8, MODELS + 1)
    odds = ease[:, None] + ability + rng.normal(0.0, 0.7, (ROWS, MODELS + 1))
    scores = (rng.random(odds.shape) < logistic.sigmoid(odds)).astype(np.float64)
    priors = odds / 2.0 + rng.normal(0.0, 1.0, odds.shape)
    return scores[:, :-1], priors[:, :-1], scores[:, -1]


def loss(rates: Array, scores: Array) -> float:
    bounded = np.clip(rates, 1e-3, 1 - 1e-3)
    return -float(np.mean(scores * np.log(bounded) + (1 - scores) * np.log(1 - bounded)))


def test_sixty_probes_say_nearly_what_all_rows_would() -> None:
    lost = {"constant": 0.0, "prior": 0.0, "probes": 0.0, "all": 0.0}
    for seed in range(5):
        scores, priors, own = world(seed)
        table, prior = likeness.columns(scores, priors), likeness.pooled(scores, priors)
        rows = choosing.informative(table, prior, PROBES)
        lost["constant"] += loss(np.full(ROWS, own.mean()), own)
        lost["prior"] += loss(logistic.sigmoid(table @ prior.mean), own)
        lost["probes"] += loss(likeness.fit(table[rows], own[rows], prior).rates(table), own)
        lost["all"] += loss(likeness.fit(table, own, prior).rates(table), own)
    assert lost["all"] < lost["probes"] < lost["prior"]
    assert lost["probes"] - lost["all"] < 0.15 * (lost["constant"] - lost["all"])


def test_the_stated_error_is_honest() -> None:
    """The newcomer's mean lies as many standard errors off as it should, over many worlds."""
    off = []
    for seed in range(12):
        scores, priors, own = world(seed)
        table, prior = likeness.columns(scores, priors), likeness.pooled(scores, priors)
        rows = choosing.informative(table, prior, PROBES)
        mean, error = likeness.fit(table[rows], own[rows], prior).level(table, 0)
        off.append((mean - own.mean()) / error)
    assert 0.4 < float(np.sqrt(np.mean(np.square(off)))) < 1.6


def test_chosen_rows_leave_less_doubt_than_drawn_ones() -> None:
    scores, priors, _ = world(0)
    table, prior = likeness.columns(scores, priors), likeness.pooled(scores, priors)

    def doubt(rows: NDArray[np.int64]) -> float:
        """The mean posterior variance of P(right), as the design sees it."""
        rates = logistic.sigmoid(table @ prior.mean)
        sharp = rates * (1.0 - rates)
        gram = (table[rows] * sharp[rows, None]).T @ table[rows] + np.diag(prior.spread**-2.0)
        spread = np.einsum("ij,jk,ik->i", table, np.linalg.inv(gram), table)
        return float((sharp**2 * spread).mean())

    rows = choosing.informative(table, prior, PROBES)
    rng = np.random.default_rng(0)
    drawn = [doubt(rng.choice(ROWS, PROBES, replace=False)) for _ in range(20)]
    assert doubt(rows) < min(drawn)
    assert len(set(rows.tolist())) == PROBES
    assert np.array_equal(rows, choosing.informative(table, prior, PROBES))


def test_a_pool_of_one_has_a_prior_too() -> None:
    scores, priors, own = world(3)
    alone, said = scores[:, :1], priors[:, :1]
    table, prior = likeness.columns(alone, said), likeness.pooled(alone, said)
    rows = choosing.informative(table, prior, 20)
    found = likeness.fit(table[rows], own[rows], prior).rates(table)
    assert loss(found, own) < loss(np.full(ROWS, 0.5), own)


def test_more_probes_than_rows_are_refused() -> None:
    scores, priors, _ = world(0)
    table, prior = likeness.columns(scores, priors), likeness.pooled(scores, priors)
    with pytest.raises(DataError, match="1501 cannot be chosen"):
        choosing.informative(table, prior, ROWS + 1)
