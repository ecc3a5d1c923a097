"""Heads: what few drafts of each model teach, where models' drafts are read much alike."""

from __future__ import annotations

import numpy as np

from emafusion.judge import surface
from emafusion.judge.heads import Heads
from emafusion.learn.fit import answering, logistic
from emafusion.learn.fit.evidence import Evidence

POOL = ("a", "b", "c", "d", "e", "f")


def world(count: int, *, own: float, seed: int = 0) -> tuple[Evidence, np.ndarray]:
    """Drafts whose faces tell how right they are, to each model's reader `own` differently."""
    rng = np.random.default_rng(seed)
    shape = (count, len(POOL))
    surfaces = rng.normal(size=(*shape, len(surface.NAMES)))
    weights = np.zeros((len(POOL), len(surface.NAMES)))
    weights[:, :4] = 0.7 + own * np.random.default_rng(1).normal(size=(len(POOL), 4))
    chances = logistic.sigmoid((surfaces * weights).sum(axis=2))
    evidence = Evidence(
        pool=POOL,
        priors=np.zeros(shape),
        expected=np.full(shape, 1e-3),
        surplus=np.zeros(shape),
        surfaces=surfaces,
        answers=np.full(shape, -1),
        flagged=np.zeros(shape, dtype=bool),
        scores=(rng.random(shape) < chances).astype(float),
        costs=np.full(shape, 1e-3),
        fold=np.arange(count) % 5,
    )
    return evidence, chances


def _off(trust: np.ndarray, chances: np.ndarray) -> float:
    return float(np.abs(logistic.sigmoid(trust) - chances).mean())


def test_few_rows_borrow_from_what_all_models_have_in_common() -> None:
    evidence, chances = world(150, own=0.0)
    _, trust = answering.fit_heads(evidence)
    one, _ = world(150, own=0.0)
    alone = np.where(np.arange(len(POOL)) == 0, one.scores, np.nan)
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    _, lonely = answering.fit_heads(Evidence(**{**fields, "scores": alone}))
    assert _off(trust[:, 0], chances[:, 0]) < 0.85 * _off(lonely[:, 0], chances[:, 0])


def test_many_rows_give_each_model_a_head_of_its_own() -> None:
    evidence, _ = world(2500, own=0.7)
    arrays, _ = answering.fit_heads(evidence)
    assert np.ptp(arrays["weights"][:, 1:5], axis=0).max() > 1.0
    fresh, truth = world(500, own=0.7, seed=5)
    told = answering.read_heads(Heads(POOL, **arrays), fresh)
    assert _off(told, truth) < 0.07


def test_no_row_is_read_by_weights_that_saw_its_score() -> None:
    evidence, _ = world(100, own=0.0)
    _, before = answering.fit_heads(evidence)
    fields = {name: getattr(evidence, name) for name in evidence.__struct_fields__}
    scores = np.where((evidence.fold == 2)[:, None], 1.0 - evidence.scores, evidence.scores)
    _, after = answering.fit_heads(Evidence(**{**fields, "scores": scores}))
    # Two Newton steps from the whole fit leave a trace of it, no more.
    left_out = evidence.fold == 2
    moved = np.abs(after - before).mean(axis=1)
    assert moved[left_out].mean() < 0.05 < moved[~left_out].mean()
