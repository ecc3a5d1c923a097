"""Bounds that no stream passes, and propensities that are true."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.errors import ConfigError
from emafusion.learn.online import Exploration, Spent, Terms
from emafusion.types import Estimate, Forecast

POOL = ("a", "b", "c")


def forecast(qualities: list[float], costs: list[float], std: float = 0.1) -> Forecast:
    """One estimate for each of the pool."""
    return Forecast(
        estimates=tuple(
            Estimate(model=name, quality=q, quality_std=std, cost_usd=cost, latency_s=0.0)
            for name, q, cost in zip(POOL, qualities, costs, strict=True)
        )
    )


rates = st.floats(0.01, 0.99)
bills = st.floats(0.0, 1.0)
requests = st.lists(
    st.tuples(
        st.lists(rates, min_size=3, max_size=3),
        st.lists(bills, min_size=3, max_size=3),
        st.sampled_from(POOL),
        st.sampled_from([0.0, 0.3, 5.0, math.inf]),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(
    requests,
    st.floats(0.0, 1.0),
    st.floats(0.0, 2.0),
    st.one_of(st.none(), st.floats(0.0, 1.0)),
    st.integers(0, 2**16),
)
def test_neither_bound_is_ever_passed(
    stream: list[tuple[list[float], list[float], str, float]],
    share: float,
    budget: float,
    most: float | None,
    seed: int,
) -> None:
    """After every single request, whatever the forecasts and the dials."""
    explore = Exploration(Terms(share=share, budget=budget, max_usd=most, floor=0.5))
    random = np.random.default_rng(seed)
    greedy_usd = extra_usd = 0.0
    explored = 0
    for count, (qualities, costs, greedy, price) in enumerate(stream, 1):
        told = forecast(qualities, costs)
        choice = explore.choose(told, greedy, allowed=POOL, usd_per_quality=price, random=random)
        greedy_usd += told[greedy].cost_usd
        extra_usd += max(told[choice.model].cost_usd - told[greedy].cost_usd, 0.0)
        explored += choice.model != greedy
        assert extra_usd <= min(budget * greedy_usd, math.inf if most is None else most) + 1e-9
        assert explored <= share * count
        assert 0.0 < choice.propensity <= 1.0 + 1e-12
        assert choice.explored == (choice.model != greedy)
    assert explore.spent.extra_usd == pytest.approx(extra_usd)
    assert explore.spent.seen == len(stream)


def test_propensities_are_true() -> None:
    """Weighting by their inverse gives each model's own mean, whoever was favoured."""
    random = np.random.default_rng(0)
    explore = Exploration(Terms(share=1.0, budget=10.0, floor=0.3))
    told = forecast([0.8, 0.6, 0.3], [1.0, 1.0, 1.0])
    sums = dict.fromkeys(POOL, 0.0)
    count = 6000
    for _ in range(count):
        choice = explore.choose(told, "a", allowed=POOL, usd_per_quality=50.0, random=random)
        sums[choice.model] += 1.0 / choice.propensity
    for name in POOL:
        assert sums[name] / count == pytest.approx(1.0, abs=0.1), name


def test_the_uncertain_model_is_explored_more_than_the_surely_worse_one() -> None:
    random = np.random.default_rng(0)
    explore = Exploration(Terms(share=0.5, budget=1.0, floor=0.0))
    estimates = [
        Estimate(model=name, quality=q, quality_std=std, cost_usd=1.0, latency_s=0.0)
        for name, q, std in (("a", 0.7, 0.02), ("b", 0.6, 0.2), ("c", 0.6, 0.01))
    ]
    told = Forecast(estimates=tuple(estimates))
    asked = [
        explore.choose(told, "a", allowed=POOL, usd_per_quality=100.0, random=random).model
        for _ in range(500)
    ]
    assert asked.count("b") > 50
    assert asked.count("c") == 0


@pytest.mark.parametrize(
    ("allowed", "price", "share"),
    [((), 5.0, 1.0), (("a",), 5.0, 1.0), (POOL, 0.0, 1.0), (POOL, 5.0, 0.0)],
)
def test_nothing_is_explored_where_it_may_not_be(
    allowed: tuple[str, ...], price: float, share: float
) -> None:
    random = np.random.default_rng(0)
    explore = Exploration(Terms(share=share, budget=9.0))
    told = forecast([0.5, 0.9, 0.9], [1.0, 0.1, 0.1])
    for _ in range(50):
        choice = explore.choose(told, "a", allowed=allowed, usd_per_quality=price, random=random)
        assert (choice.model, choice.propensity, choice.explored) == ("a", 1.0, False)


def test_a_model_outside_the_permitted_ones_is_never_asked() -> None:
    random = np.random.default_rng(0)
    explore = Exploration(Terms(share=1.0, budget=9.0, floor=1.0))
    told = forecast([0.5, 0.9, 0.9], [1.0, 1.0, 1.0])
    asked = {
        explore.choose(told, "a", allowed=("b",), usd_per_quality=5.0, random=random).model
        for _ in range(60)
    }
    assert asked == {"a", "b"}


def test_it_goes_on_from_what_was_spent() -> None:
    random = np.random.default_rng(0)
    spent = Spent(seen=10, explored=0, greedy_usd=10.0, extra_usd=1.0)
    explore = Exploration(Terms(share=1.0, budget=0.1, floor=1.0), spent=spent)
    told = forecast([0.5, 0.5, 0.5], [1.0, 3.0, 3.0])
    choice = explore.choose(told, "a", allowed=POOL, usd_per_quality=5.0, random=random)
    assert choice.model == "a"


@pytest.mark.parametrize("terms", [{"share": 1.5}, {"budget": -0.1}, {"floor": 2.0}])
def test_terms_are_shares(terms: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be a share"):
        Terms(**terms)
