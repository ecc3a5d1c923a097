"""One draft alone, weighed without arrays: the same figure as among many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.judge import evidence
from emafusion.judge.council import Council, Heard
from emafusion.judge.panel import CalibratedPanel
from emafusion.types import Completion, Draft, Estimate, Forecast, Usage

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
