"""Both routers' beliefs, updated, stored, and served through the types that serve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emafusion import artefacts, config, encoders
from emafusion.errors import ArtefactError
from emafusion.learn.online import Estimates
from emafusion.predict import Fitted, Union
from emafusion.types import Labels, Model, Request
from emafusion.understand import FastClassifier

LABELS = {"task": ("code", "talk"), "complexity": ("low", "high"), "domain": ("any",)}
WIDTH = 4
CODE = Labels(axes={"task": {"code": 0.75, "talk": 0.25}, "complexity": {"low": 1.0}})


def model(name: str, price: float) -> Model:
    """A model at this price for a million tokens."""
    return Model(
        name=name, provider="p", upstream=name, usd_per_mtok_in=price, usd_per_mtok_out=price
    )


def cold() -> Estimates:
    """Two models, nothing known."""
    return Estimates.cold([model("cheap", 0.1), model("dear", 10.0)], WIDTH, labels=LABELS)


def test_a_cold_start_prefers_the_dearer_model_by_a_little() -> None:
    odds, _ = cold().heads.odds(np.zeros((1, WIDTH)))
    assert 0.0 < odds[0, 1] - odds[0, 0] < 2.0


def test_counts_are_the_soft_labels_times_reward_and_weight() -> None:
    estimates = cold()
    estimates.update(np.zeros(WIDTH), CODE, model="dear", reward=0.5, weight=0.8)
    # Cells in C order: task, complexity, domain.
    assert estimates.trials[:, 1] == pytest.approx([0.6, 0.0, 0.2, 0.0])
    assert estimates.successes[:, 1] == pytest.approx([0.3, 0.0, 0.1, 0.0])
    assert not estimates.trials[:, 0].any()


def test_one_outcome_at_a_time_equals_the_batch_of_counts() -> None:
    rng = np.random.default_rng(0)
    estimates = cold()
    rewards = rng.random(50)
    for reward in rewards:
        estimates.update(rng.standard_normal(WIDTH), CODE, model="cheap", reward=float(reward))
    rate = estimates.suitability(5.0).rate(CODE)[0][0]
    assert estimates.trials[:, 0].sum() == pytest.approx(50.0)
    assert abs(rate - rewards.mean()) < 0.06


def test_state_goes_out_and_comes_back() -> None:
    rng = np.random.default_rng(0)
    estimates = cold()
    for _ in range(20):
        estimates.update(rng.standard_normal(WIDTH), CODE, model="cheap", reward=1.0)
    again = Estimates.from_arrays(estimates.to_arrays(), estimates.pool, labels=LABELS)
    for one in (estimates, again):
        one.update(np.ones(WIDTH), CODE, model="dear", reward=0.0)
    assert again.heads.covariances == pytest.approx(estimates.heads.covariances, abs=1e-15)
    for name, array in estimates.serving().items():
        assert again.serving()[name] == pytest.approx(array, abs=1e-9), name


def test_forgetting_lets_new_outcomes_count_more() -> None:
    moved = []
    for forget in (False, True):
        estimates = cold()
        for _ in range(200):
            estimates.update(np.zeros(WIDTH), CODE, model="dear", reward=1.0)
        if forget:
            estimates.forget("dear")
        for _ in range(20):
            estimates.update(np.zeros(WIDTH), CODE, model="dear", reward=0.0)
        moved.append(float(estimates.suitability(5.0).rate(CODE)[0][1]))
    assert moved[1] < 0.5
    assert moved[0] > 0.8


@pytest.mark.parametrize(("reward", "weight"), [(1.1, 1.0), (-0.1, 1.0), (0.5, 1.5)])
def test_rewards_and_weights_are_shares(reward: float, weight: float) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        cold().update(np.zeros(WIDTH), CODE, model="dear", reward=reward, weight=weight)


def test_the_shipped_policy_serves_what_was_learnt_since() -> None:
    """Update the artefact that ships, and ask the predictor that serves: nothing else changes."""
    shipped = artefacts.read(Path(config.__file__).parent / "policy")
    pool = shipped.manifest.pool
    encoder = encoders.default()
    classifier = FastClassifier.from_arrays(shipped.under("understand"), encoder)
    labels: dict[str, tuple[str, ...]] = {a: h.labels for a, h in classifier.heads.items()}
    fitted = Fitted.from_arrays(shipped.under("predict"), pool, encoder=encoder, labels=labels)
    estimates = Estimates.fitted(
        shipped.under("predict"),
        pool,
        labels=labels,
        penalty=shipped.manifest.settings["penalty"],
    )
    request = Request(id="r", messages=({"role": "user", "content": "What is 17 + 25?"},))
    read = classifier.read(request.text)
    vector = fitted.features.vectors([request.text], [read])[0]
    models = [model(name, 1.0) for name in pool]
    before = Union(estimates.applied(fitted)).predict(request, read, models)
    for _ in range(60):
        estimates.update(vector, read, model=pool[0], reward=0.0)
    after = Union(estimates.applied(fitted)).predict(request, read, models)
    assert after[pool[0]].quality < before[pool[0]].quality - 0.1
    assert after[pool[1]].quality == pytest.approx(before[pool[1]].quality, abs=0.02)


def test_estimates_of_another_pool_are_refused() -> None:
    with pytest.raises(ArtefactError, match="do not fit"):
        Estimates.from_arrays(cold().to_arrays(), ("one",), labels=LABELS)


def test_a_model_is_believed_again_as_it_was_and_no_other_is_touched() -> None:
    estimates, before = cold(), cold()
    for name in ("cheap", "dear"):
        for _ in range(5):
            estimates.update(np.ones(WIDTH), CODE, model=name, reward=1.0)
    other = estimates.heads.means[2].copy()
    estimates.restore("cheap", before)
    assert (estimates.heads.means[1] == before.heads.means[1]).all()
    assert (estimates.trials[:, 0] == 0.0).all()
    assert (estimates.heads.means[2] == other).all()
    assert estimates.trials[:, 1].sum() == pytest.approx(5.0)
