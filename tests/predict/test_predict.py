"""Both routers, their union, and what is expected of an unknown model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from emafusion.encoders import surface
from emafusion.predict import Features, Fitted, LearnedRouter, Lengths, Suitability, Union, prior
from emafusion.types import Labels, Model, Request

NAMES = {
    "task": ("extraction", "translation"),
    "complexity": ("recall", "multi_step"),
    "domain": ("general", "law"),
    "format": ("free_text", "json"),
}


class Letters:
    """An encoder of two dimensions: how many a's, and one."""

    name = "letters"
    dim = 2

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[text.count("a"), 1.0] for text in texts], dtype=np.float32)


def labels(task: float = 1.0, familiarity: float = 0.5) -> Labels:
    axes = {axis: {names[0]: 1.0, names[1]: 0.0} for axis, names in NAMES.items()}
    axes["task"] = {"extraction": task, "translation": 1.0 - task}
    return Labels(axes=axes, familiarity=familiarity)


def model(name: str, price: float = 1.0, **more: object) -> Model:
    return Model(
        name=name,
        provider="p",
        upstream=name,
        usd_per_mtok_in=price,
        usd_per_mtok_out=price,
        **more,  # type: ignore[arg-type]  # the tests' fields are right
    )


def request(text: str = "aaa", **params: object) -> Request:
    return Request(id="x", messages=({"role": "user", "content": text},), params=params)


def counted(trials: float, successes: Sequence[float]) -> Suitability:
    """Two models that were seen on extraction of recall in general only."""
    n, s = np.zeros((8, 2)), np.zeros((8, 2))
    n[0], s[0] = trials, successes
    return Suitability(NAMES, n, s, strength=5.0)


def fitted(
    gate: tuple[float, float] = (0.0, 0.0), *, overhead: tuple[float, float] = (0.0, 1.0)
) -> Fitted:
    features = Features(Letters(), NAMES)
    dim = features.vectors(["x"], [labels()]).shape[1]
    weights = np.zeros((2, dim, 2))
    weights[:, 0, 0] = 1.0
    return Fitted(
        pool=("a", "b"),
        features=features,
        suitability=counted(40.0, (36.0, 12.0)),
        learned=LearnedRouter(weights, np.array([[-1.0, 0.0], [-1.0, 0.2]])),
        lengths=Lengths(
            np.zeros((dim, 2)),
            np.log([10.0, 100.0]),
            spreads=np.zeros(2),
            paces=np.array([[0.5, 1.0], [0.0, 0.01], [0.02, 0.1]]),
        ),
        gate=gate,
        overhead=np.repeat(np.array(overhead)[:, None], 2, axis=1),
    )


def test_features_lie_side_by_side() -> None:
    vector = Features(Letters(), NAMES).vectors(["aa"], [labels(0.25)])[0]
    assert len(vector) == 2 + 8 + len(surface.NAMES)
    assert vector[:4].tolist() == [2.0, 1.0, 0.25, 0.75]


def test_rates_shrink_from_the_cell_to_the_whole() -> None:
    rate, error = counted(40.0, (36.0, 12.0)).rate(labels())
    assert rate[0] == pytest.approx(0.9, abs=0.03)
    assert rate[1] == pytest.approx(0.3, abs=0.03)
    elsewhere, doubt = counted(40.0, (36.0, 12.0)).rate(labels(task=0.0))
    assert rate[1] < elsewhere[1] < 0.5 or elsewhere[1] == pytest.approx(rate[1], abs=0.05)
    assert (doubt > error).all()


def test_a_model_on_the_whole_is_all_it_did_whatever_the_request_says() -> None:
    union = Union(fitted())
    usual = union.usual(
        request("aaa"), [model("a"), model("b"), model("new", ability={"law": 0.1})]
    )
    a, b, new = usual.estimates
    assert (a.quality, b.quality) == pytest.approx(((36 + 2.5) / 45, (12 + 2.5) / 45))
    assert (a.tokens, b.tokens) == pytest.approx((10.0, 100.0))
    assert b.cost_usd - a.cost_usd == pytest.approx(90e-6)
    assert new.quality_std > 2 * a.quality_std
    assert union.usual(request("xyz"), [model("a")]).estimates == (a,)
    assert union.usual(request("aaa", max_tokens=5), [model("b")]).estimates[0].tokens == 5.0


def test_few_trials_say_little() -> None:
    few, _ = counted(1.0, (1.0, 0.0)).rate(labels())
    many, _ = counted(400.0, (400.0, 0.0)).rate(labels())
    assert 0.5 < few[0] < many[0]
    assert 0.5 > few[1] > many[1]


@given(st.floats(0, 1))
def test_cells_share_a_query_out(task: float) -> None:
    weights = counted(1.0, (1.0, 0.0)).weights([labels(task)])
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()


def test_the_gate_moves_from_one_router_to_the_other() -> None:
    pool = (model("a"), model("b"))
    taxonomy = Union(fitted(), share=0.0).predict(request(), labels(), pool)
    learned = Union(fitted(), share=1.0).predict(request(), labels(), pool)
    both = Union(fitted()).predict(request(), labels(), pool)
    assert taxonomy["a"].quality == pytest.approx(0.9, abs=0.03)
    assert learned["a"].quality == pytest.approx(1 / (1 + np.exp(-2.0)))
    low, high = sorted((taxonomy["b"].quality, learned["b"].quality))
    assert low < both["b"].quality < high
    assert both.gate == pytest.approx(0.5)


def test_familiar_queries_can_lean_the_other_way() -> None:
    union = Union(fitted(gate=(-3.0, 6.0)))
    assert union.gate(labels(familiarity=0.0)) < 0.1
    assert union.gate(labels(familiarity=1.0)) > 0.9


def test_costs_follow_expected_lengths_and_the_callers_bound() -> None:
    pool = (model("a"), model("b"))
    free = Union(fitted()).predict(request(), labels(), pool)
    bounded = Union(fitted()).predict(request(max_tokens=20), labels(), pool)
    assert free["b"].tokens == pytest.approx(100.0)
    assert bounded["b"].tokens == 20.0
    assert bounded["b"].cost_usd < free["b"].cost_usd
    assert free["b"].latency_s > free["a"].latency_s > 0.5


def test_each_models_own_count_of_the_prompt_is_paid() -> None:
    """One US dollar a million tokens: the templates' 30 tokens, and the prompt counted twice."""
    pool = (model("a"),)
    plain = Union(fitted()).predict(request("word " * 40), labels(), pool)["a"]
    wordy = Union(fitted(overhead=(30.0, 2.0))).predict(request("word " * 40), labels(), pool)["a"]
    counted = plain.cost_usd * 1e6 - plain.tokens
    assert counted > 20.0
    assert (wordy.cost_usd - plain.cost_usd) * 1e6 == pytest.approx(30.0 + counted)


def test_an_unknown_model_gets_a_wide_prior() -> None:
    told = Union(fitted()).predict(request(), labels(), (model("a"), model("new", 10.0)))
    assert 0.5 < told["new"].quality < 0.9
    assert told["new"].quality_std > told["a"].quality_std
    assert Union().predict(request(), labels(), (model("new"),))["new"].quality > 0.5


def test_dearer_unknown_models_are_expected_to_be_better() -> None:
    cheap, dear = (prior.estimate(model("m", p), labels(), 10.0) for p in (0.1, 10.0))
    assert cheap.quality < dear.quality
    assert cheap.cost_usd < dear.cost_usd


def test_an_experts_word_counts_as_outcomes() -> None:
    told = model("m", ability={"overall": 0.9, "translation": 0.2}, ability_weight=100.0)
    assert prior.estimate(told, labels(task=1.0), 10.0).quality > 0.85
    assert prior.estimate(told, labels(task=0.0), 10.0).quality < 0.3
    pool = (model("b", ability={"overall": 0.95}, ability_weight=500.0),)
    without = Union(fitted()).predict(request(), labels(), (model("b"),))["b"].quality
    assert Union(fitted()).predict(request(), labels(), pool)["b"].quality > without
