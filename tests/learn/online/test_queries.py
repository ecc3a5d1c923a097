"""Queries that stray from those that were learnt from."""

from __future__ import annotations

import numpy as np
import pytest

from emafusion.errors import ArtefactError, DataError
from emafusion.learn.online import Reference, Stray

DIM = 16


def unit(centre: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Unit vectors around `centre`."""
    raw = centre + np.random.default_rng(seed).standard_normal((count, DIM))
    found: np.ndarray = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return found


HERE = np.zeros(DIM)
THERE = np.eye(DIM)[0] * 1.5


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.fit(unit(HERE, 1500, 0))


def test_queries_like_those_learnt_from_do_not_stray(reference: Reference) -> None:
    stray = Stray(reference)
    assert not any(stray.observe(one) for one in unit(HERE, 3000, 1))
    assert 0.0 < stray.distance < stray.threshold


def test_other_queries_stray_within_a_window(reference: Reference) -> None:
    stray = Stray(reference)
    for one in unit(HERE, 400, 2):
        assert not stray.observe(one)
    seen = [stray.observe(one) for one in unit(THERE, 200, 3)]
    assert any(seen)
    assert seen.index(True) < 120
    assert seen[-1]


def test_a_window_is_judged_when_it_is_full(reference: Reference) -> None:
    stray = Stray(reference)
    assert not any(stray.observe(one) for one in unit(THERE, 199, 4))
    assert stray.distance == 0.0
    assert stray.observe(unit(THERE, 1, 5)[0])


def test_the_threshold_is_passed_about_as_seldom_as_it_says(reference: Reference) -> None:
    rng = np.random.default_rng(6)
    vectors = unit(HERE, 20_000, 7)
    turns = vectors @ reference.waves
    features = (
        np.concatenate([np.cos(turns), np.sin(turns)], axis=1) / reference.waves.shape[1] ** 0.5
    )
    rows = rng.integers(20_000, size=(2000, 200))
    far = np.array([((features[r].mean(axis=0) - reference.centre) ** 2).sum() for r in rows])
    share = float((far > reference.threshold(50.0)).mean())
    assert 0.005 < share < 0.06


def test_it_goes_into_an_artefact_and_comes_back(reference: Reference) -> None:
    again = Reference.from_arrays(reference.to_arrays())
    assert again.threshold(1000.0) == reference.threshold(1000.0)
    broken = {**reference.to_arrays(), "centre": np.zeros(3)}
    with pytest.raises(ArtefactError, match="fit together"):
        Reference.from_arrays(broken)


def test_one_query_is_no_reference() -> None:
    with pytest.raises(DataError, match="at least two"):
        Reference.fit(unit(HERE, 1, 0))
