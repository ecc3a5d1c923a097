"""One draft alone, weighed without arrays: the same figure as among many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.judge import evidence, heads, ranker, surface
from emafusion.judge.council import Council, Heard
from emafusion.judge.panel import CalibratedPanel
from emafusion.types import Completion, Context, Draft, Estimate, Forecast, Usage

ODDS = st.floats(-6.0, 6.0)


@given(trust=ODDS, prior=ODDS, ease=ODDS, weights=st.tuples(*[st.floats(-9.0, 9.0)] * 4))
def test_the_council_hears_one_draft_as_it_hears_many(
    trust: float, prior: float, ease: float, weights: tuple[float, ...]
) -> None:
    council = Council(["a"], {1: np.array(weights)})
    heard = Heard(
        answers=np.array([[0]]),
        trust=np.array([[trust]]),
        priors=np.array([[prior]]),
        ease=np.array([ease]),
    )
    told = council.alone(1, trust=trust, prior=prior, ease=ease)
    assert told == pytest.approx(float(council.confidences(1, heard)[0, 0]), rel=1e-12)


@pytest.mark.parametrize("model", ["a", "b", "stranger"])
def test_a_fitted_panel_weighs_what_the_rows_of_its_fit_say(model: str) -> None:
    weights = np.linspace(-1.0, 1.0, len(evidence.COMMON) + 2 * len(evidence.OWN))
    panel = CalibratedPanel({"weights": weights, "bias": np.array([0.3])}, ["a", "b"])
    estimate = Estimate(
        model=model, quality=0.7, quality_std=0.1, cost_usd=0.0, latency_s=1.0, tokens=50.0
    )
    forecast = Forecast(estimates=(estimate,))
    usage = Usage(prompt_tokens=5, completion_tokens=20)
    said = Completion(text="42", usage=usage, finish_reason="stop", logprobs=(-0.2, -0.4))
    drafts = [Draft(model=model, completion=said, cost_usd=0.0, latency_s=1.0)]
    scores: Mapping[str, Sequence[float | None]] = {
        "rules": [0.8],
        "logprob": [0.7],
        "agreement": [None],
    }
    table = evidence.rows(drafts, forecast, scores=scores, keys=["42"], pool=["a", "b"])
    expected = 1.0 / (1.0 + np.exp(-(table @ weights + 0.3)))
    found = panel.weigh(drafts, forecast, scores=scores, found=["42"])
    assert found == pytest.approx(expected.tolist(), rel=1e-12)


@given(seed=st.integers(0, 10_000), prior=ODDS, best=ODDS, surplus=st.floats(-3.0, 3.0))
def test_a_head_reads_one_draft_as_it_reads_many(
    seed: int, prior: float, best: float, surplus: float
) -> None:
    rng = np.random.default_rng(seed)
    shape = 2, len(surface.NAMES)
    head = heads.Heads(
        "ab",
        mean=rng.normal(size=shape),
        scale=rng.uniform(0.2, 2.0, shape),
        weights=rng.normal(size=(2, heads.WIDTH + 1)) / 20.0,
    )
    rows = rng.normal(scale=3.0, size=(3, len(surface.NAMES)))
    ease = best - 1.0
    many = head.log_odds(
        1,
        rows,
        np.full(3, prior),
        pool=np.tile([ease, best], (3, 1)),
        off_length=np.full(3, surplus),
    )
    context = Context(mean=ease, best=best)
    for row, expected in zip(rows.tolist(), many.tolist(), strict=True):
        told = head.lone(1, row, prior=prior, pool=context, off_length=surplus)
        assert told == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(seed=st.integers(0, 10_000), prior=ODDS, ease=ODDS)
def test_a_ranker_reads_one_draft_as_it_reads_many(seed: int, prior: float, ease: float) -> None:
    rng = np.random.default_rng(seed)
    size = len(surface.NAMES)
    one = ranker.Ranker(
        "ab",
        typical=np.stack([rng.normal(size=size), rng.uniform(0.2, 2.0, size)]),
        weights=rng.normal(size=ranker.WIDTH) / 5.0,
        models=rng.normal(size=2),
        level=rng.normal(size=3),
    )
    rows = rng.normal(scale=3.0, size=(2, size))
    many = one.expected(one.merits([0, 1], rows[None], np.full((1, 2), prior)), np.array([ease]))
    for model, row in enumerate(rows.tolist()):
        told = one.lone(model, row, prior=prior, ease=ease)
        assert told == pytest.approx(float(many[0, model]), rel=1e-12)
