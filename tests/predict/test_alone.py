"""One request is read as a batch of one would be: the quick way and the one that is fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from emafusion.predict.features import Features
from emafusion.predict.learned import LearnedRouter
from emafusion.predict.lengths import Lengths as Regression
from emafusion.predict.suitability import Suitability
from emafusion.predict.union import Fitted
from emafusion.types import AXES, Labels

NAMES = {"task": ("a", "b", "c"), "complexity": ("x", "y"), "domain": ("m", "n"), "format": ("p",)}
SEEDS = st.integers(0, 10_000)


def same(found: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


class Lengths:
    """An encoder of two coordinates."""

    name, dim = "lengths", 2

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [[len(text) / 100, text.count(" ") / 10] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), 2)


def labels(seed: int) -> Labels:
    rng = np.random.default_rng(seed)
    axes: dict[str, dict[str, float]] = {
        axis: dict(zip(NAMES[axis], rng.dirichlet(np.ones(len(NAMES[axis]))).tolist(), strict=True))
        for axis in AXES
    }
    if seed % 3 == 0:
        del axes["domain"]
    return Labels(axes=axes)


@given(st.text(), SEEDS)
def test_a_vector_is_the_row_of_a_batch(text: str, seed: int) -> None:
    plain = Features(Lengths(), NAMES)
    width = plain.vectors([text], [labels(seed)]).shape[1]
    rng = np.random.default_rng(seed)
    mean, scale = rng.normal(size=(1, width))[0], rng.uniform(0.01, 2.0, (1, width))[0]
    scaled = Features(Lengths(), NAMES, mean=mean, scale=scale)
    for features in (plain, scaled):
        expected = features.vectors([text, "other"], [labels(seed), labels(seed + 1)])[0]
        np.testing.assert_array_equal(features.vector(text, labels(seed)), expected)


@given(SEEDS)
def test_the_heads_rates_are_their_mean_and_spread(seed: int) -> None:
    rng = np.random.default_rng(seed)
    router = LearnedRouter(rng.normal(size=(5, 7, 3)), rng.normal(size=(5, 3)))
    vector = rng.normal(size=7)
    rates = router.rates(vector[None])[:, 0]
    mean, std = router.rate(vector)
    same(mean, rates.mean(axis=0))
    same(std, rates.std(axis=0))


@pytest.mark.parametrize("seed", range(6))
def test_a_rate_weighs_the_cells_as_a_batch_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trials = rng.uniform(0.0, 20.0, (12, 4))
    table = Suitability(NAMES, trials, trials * rng.random((12, 4)), strength=2.0)
    weights = table.weights([labels(seed)])[0]
    rate, std = table.rate(labels(seed))
    same(rate, weights @ table.rates)
    count = weights @ trials + 2.0
    same(std, np.sqrt(rate * (1.0 - rate) / (count + 1.0)))


@given(st.text(), SEEDS, st.floats(0.0, 1.0))
def test_a_request_is_forecast_as_one_of_a_batch(text: str, seed: int, gate: float) -> None:
    rng = np.random.default_rng(seed)
    features = Features(Lengths(), NAMES)
    told = labels(seed)
    vectors = features.vectors([text, "other"], [told, labels(seed + 1)])
    width, trials = vectors.shape[1], rng.uniform(0.0, 20.0, (12, 3))
    paces = np.array([[0.5, -9.0, 0.1], [0.01, 0.0, 0.0], [0.02, 0.01, 0.0]])
    fitted = Fitted(
        pool=("a", "b", "c"),
        features=features,
        suitability=Suitability(NAMES, trials, trials * rng.random((12, 3)), strength=2.0),
        learned=LearnedRouter(rng.normal(size=(4, width, 3)), rng.normal(size=(4, 3))),
        lengths=Regression(
            rng.normal(size=(width, 3)), np.full(3, 4.0), spreads=np.ones(3), paces=paces
        ),
        gate=(0.0, 0.0),
        overhead=rng.uniform(1.0, 2.0, (2, 3)),
    )
    odds = fitted.log_odds(vectors, [told, labels(seed + 1)], share=gate)[0]
    lengths = fitted.lengths.tokens(vectors)[0]
    read = fitted.read(text, told, gate=gate, prompt_tokens=30.0)
    quality, _, tokens, seconds, prompt = np.array([read.rows[name] for name in "abc"]).T
    same(quality, 1.0 / (1.0 + np.exp(-odds)))
    same(tokens, lengths)
    same(seconds, np.maximum(fitted.lengths.seconds(30.0, lengths), 0.0))
    same(prompt, fitted.prompts(30.0))
    assert read.context is not None
    same(np.array([read.context.mean, read.context.best]), np.array([odds.mean(), odds.max()]))
