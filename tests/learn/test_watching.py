"""What a fit leaves behind for the watch: a calibrated forecast and the usual lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emafusion import encoders
from emafusion.evaluate.recorded import read
from emafusion.learn import traffic
from emafusion.learn.fit import logistic, watching
from emafusion.learn.online import Reference
from emafusion.types import replace

from .test_fit import world

pytest.importorskip("pyarrow")


def test_forecasts_are_calibrated_and_lengths_kept_where_there_are_enough(tmp_path: Path) -> None:
    world(tmp_path)
    recorded = read(tmp_path)
    rng = np.random.default_rng(0)
    # Log-odds half as large as they should be, over rates that are known.
    truth = np.clip(recorded.scores * 0.6 + 0.2 + rng.normal(0, 0.02, recorded.scores.shape), 0, 1)
    rates = np.where(rng.random(truth.shape) < truth, 1.0, 0.0)
    shy = logistic.sigmoid(logistic.log_odds(truth) / 2)
    surplus = rng.normal(0.3, 0.5, rates.shape)
    found = watching.arrays(shy, replace(recorded, scores=rates), surplus)
    assert found["calibration"] == pytest.approx([0.0, 2.0], abs=0.35)
    assert found["habits"].shape == (watching.LEVELS, rates.shape[1])
    assert found["habits"][50] == pytest.approx(np.median(surplus, axis=0))


def test_of_a_model_with_few_answers_nothing_is_told(tmp_path: Path) -> None:
    world(tmp_path, count=100)
    recorded = read(tmp_path)
    tokens = recorded.tokens.copy()
    tokens[watching.FEWEST - 1 :, 1] = np.nan
    found = watching.arrays(
        np.full(recorded.scores.shape, 0.5),
        replace(recorded, tokens=tokens),
        np.zeros(recorded.scores.shape),
    )
    assert not np.isnan(found["habits"][:, 0]).any()
    assert np.isnan(found["habits"][:, 1]).all()


def test_good_models_agree_more_often(tmp_path: Path) -> None:
    world(tmp_path)
    recorded = read(tmp_path)
    rng = np.random.default_rng(1)
    rates = np.full(recorded.scores.shape, 0.9)
    rates[:, 0] = rng.uniform(0.1, 0.9, len(rates))
    right = rng.random(rates.shape) < rates
    answers = np.where(right, 0, 1 + rng.integers(3, size=rates.shape))
    found = watching.agreement(rates, right.astype(float), answers)["agreement"]
    assert found.shape == (4,)
    sure, unsure = (found @ [1.0, odds, 2.0, 2.0 * odds] for odds in (2.0, -2.0))
    assert sure > unsure
    assert watching.agreement(rates, right.astype(float), np.full(rates.shape, -1)) == {}


def test_callers_own_queries_are_the_reference_where_they_are_enough(tmp_path: Path) -> None:
    world(tmp_path)
    recorded = read(tmp_path)
    prompts = recorded.prompts
    count = len(prompts) - 1
    asked = replace(recorded, queries=(*(traffic.identifier(one) for one in prompts[:count]), "q"))
    encoder = encoders.default()
    told = watching.queries(asked, encoder)
    assert int(told["queries_count"][0]) == (count if count >= watching.ENOUGH_ASKED else count + 1)
    assert int(watching.queries(recorded, encoder)["queries_count"][0]) == count + 1
    assert bool(told["queries_of_callers"][0]) is (count >= watching.ENOUGH_ASKED)
    assert not watching.queries(recorded, encoder)["queries_of_callers"][0]
    Reference.from_arrays({n.removeprefix("queries_"): a for n, a in told.items()})
