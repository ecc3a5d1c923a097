"""Ranking open-ended drafts: a fit finds what was preferred, and what it expects is calibrated."""

from __future__ import annotations

import numpy as np
import pytest

from emafusion.judge import surface
from emafusion.judge.ranker import Ranker
from emafusion.learn.fit import ranking
from emafusion.learn.fit.evidence import Evidence

POOL = ("plain", "florid", "brief")
BOLD = surface.NAMES.index("bold")
LENGTH = surface.NAMES.index("length")


def world(count: int, *, seed: int = 0, mute: bool = True) -> Evidence:
    """Drafts that score better the more bold type they have; names add a little."""
    rng = np.random.default_rng(seed)
    shape = (count, len(POOL))
    surfaces = np.zeros((*shape, len(surface.NAMES)))
    surfaces[:, :, BOLD] = rng.exponential(1.0, shape)
    surfaces[:, :, LENGTH] = rng.normal(6.0, 1.0, shape)
    ease = rng.normal(0.0, 0.5, (count, 1))
    odds = ease + surfaces[:, :, BOLD] - 1.0 + np.array([0.3, 0.0, -0.3])
    scores = 1.0 / (1.0 + np.exp(-(odds + rng.normal(0.0, 0.7, shape))))
    return Evidence(
        pool=POOL,
        priors=np.broadcast_to(ease, shape).copy(),
        expected=np.full(shape, 1e-3),
        surplus=np.zeros(shape),
        surfaces=surfaces,
        answers=np.full(shape, -1) if mute else np.zeros(shape, dtype=np.int64),
        flagged=np.zeros(shape, dtype=bool),
        scores=scores,
        costs=np.full(shape, 1e-3),
        fold=np.arange(count) % 5,
    )


def chosen(scores: np.ndarray, expected: np.ndarray) -> float:
    return float(scores[np.arange(len(scores)), expected.argmax(axis=1)].mean())


def test_the_draft_chosen_beats_every_model_and_every_blind_choice() -> None:
    seen = world(400)
    fitted, held_out = ranking.fit(seen)
    assert fitted is not None
    fresh = world(400, seed=1)
    for told, found in ((seen, held_out), (fresh, ranking.read(fitted, fresh))):
        score = chosen(told.scores, found)
        assert score > told.scores.mean(axis=0).max() + 0.08
        assert score > chosen(told.scores, told.surfaces[:, :, LENGTH]) + 0.08


def test_what_it_expects_is_what_comes() -> None:
    fitted, _ = ranking.fit(world(600))
    fresh = world(600, seed=2)
    found = ranking.read(fitted, fresh)
    assert found.mean() == pytest.approx(fresh.scores.mean(), abs=0.02)
    high = found > np.quantile(found, 0.8)
    assert found[high].mean() == pytest.approx(fresh.scores[high].mean(), abs=0.06)


def test_it_survives_its_arrays() -> None:
    seen = world(100)
    fitted, _ = ranking.fit(seen)
    assert fitted is not None
    again = Ranker.from_arrays(fitted.to_arrays(), POOL)
    assert ranking.read(again, seen) == pytest.approx(ranking.read(fitted, seen))
    assert Ranker.from_arrays({}, POOL) is None


def test_without_open_ended_queries_there_is_no_ranker() -> None:
    for seen in (world(400, mute=False), world(ranking.FEWEST - 1)):
        fitted, found = ranking.fit(seen)
        assert fitted is None
        assert np.isnan(found).all()


def test_merit_that_misleads_is_not_turned_round() -> None:
    """Whatever the scores, the draft of most merit is expected to score most."""
    seen = world(200)
    noise = np.random.default_rng(3).uniform(size=seen.scores.shape)
    fitted, _ = ranking.fit(
        Evidence(**{**{f: getattr(seen, f) for f in seen.__struct_fields__}, "scores": noise})
    )
    assert fitted is not None
    merits = fitted.merits(range(3), seen.surfaces, seen.priors)
    found = fitted.expected(merits, seen.priors.mean(axis=1))
    assert (merits.argmax(axis=1) == found.argmax(axis=1)).all()
