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


def test_who_asks_alone_is_the_traffic_and_drifts_with_it(reference: Reference) -> None:
    stray = Stray(reference)
    stray.take(unit(HERE, 300, 8), ["ann"] * 300)
    stray.take(unit(THERE, 200, 9), ["ann"] * 200)
    assert stray.strayed


@pytest.mark.parametrize("sybils", [1, 400])
def test_one_caller_who_floods_odd_queries_makes_no_drift(
    reference: Reference, sybils: int
) -> None:
    """Neither under one name nor, behind one key, under many."""
    stray = Stray(reference)
    eve = [f"evil/{n % sybils}" for n in range(4000)]
    for number, one in enumerate(unit(HERE, 80, 10)):
        flood = slice(50 * number, 50 * number + 50)
        stray.take(unit(THERE, 50, 1000 + number), eve[flood])
        stray.take(one[None, :], [f"ours/{number % 4}"])
        # Until the others have said enough, he is all there is.
        assert number < 50 or not stray.strayed
    assert stray.full
    assert stray.distance > stray.threshold


def test_a_drift_of_all_callers_is_one_though_each_asks_little(reference: Reference) -> None:
    stray = Stray(reference)
    stray.take(unit(THERE, 200, 11), [f"caller {n % 40}" for n in range(200)])
    assert stray.strayed


def test_a_query_asked_again_and_again_counts_once(reference: Reference) -> None:
    stray = Stray(reference)
    stray.take(unit(HERE, 150, 12), [""] * 150)
    ping = unit(THERE, 1, 13).repeat(500, axis=0)
    stray.take(ping, ["probe"] * 500, texts=["ping"] * 500)
    assert (stray.seen, stray.full, stray.strayed) == (151, False, False)


def test_a_law_along_few_axes_has_its_own_threshold() -> None:
    """Three kinds of query alone: what a normal law's tail says is too little."""
    kinds = np.eye(DIM)[:3] * 30.0
    rng = np.random.default_rng(14)

    def drawn(count: int) -> np.ndarray:
        raw = kinds[rng.integers(3, size=count)] + rng.standard_normal((count, DIM))
        found: np.ndarray = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        return found

    far = 0
    for seed in range(15):
        found = Reference.fit(drawn(600), seed=seed)
        stray = Stray(found, patience=100.0)
        far += sum(stray.observe(one) for one in drawn(600))
    assert far <= 15 * 400 / 100
