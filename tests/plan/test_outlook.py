"""The binormal outlook against a simulation of what it models."""

from __future__ import annotations

import numpy as np
import pytest

from emafusion.plan.outlook import Signals, accepted, chain
from emafusion.types import Estimate

CHEAP = Estimate(model="cheap", quality=0.55, quality_std=0, cost_usd=1.0, latency_s=1.0)
DEAR = Estimate(model="dear", quality=0.8, quality_std=0, cost_usd=10.0, latency_s=5.0)
SIGNALS = Signals(alone={"cheap": 1.4}, drop={"cheap>dear": 0.9}, recovery=0.5, damage=0.2)


def simulated(threshold: float, draws: int = 200_000) -> tuple[float, float]:
    """Quality and cost of cheap → dear, drawn query by query."""
    rng = np.random.default_rng(0)
    d = 1.4
    right = rng.random(draws) < 0.55
    shift = rng.normal(np.where(right, d * d / 2, -d * d / 2), d)
    confident = np.log(0.55 / 0.45) + shift >= np.log(threshold / (1 - threshold))
    odds = 4.0 * np.exp(-0.9)
    given_wrong = odds / (1 + odds)
    given_right = (0.8 - 0.45 * given_wrong) / 0.55
    second = rng.random(draws) < np.where(right, given_right, given_wrong)
    keep = rng.random(draws)
    final = np.where(right & ~second, keep < 0.5, second & (right | (keep >= 0.2)))
    return float(np.where(confident, right, final).mean()), float(1 + 10 * (~confident).mean())


@pytest.mark.parametrize("threshold", [0.4, 0.6, 0.8, 0.95])
def test_the_outlook_is_the_mean_of_the_simulation(threshold: float) -> None:
    outlook = chain((CHEAP, DEAR), np.array([[threshold]]), SIGNALS)
    quality, cost = simulated(threshold)
    assert outlook.quality[0] == pytest.approx(quality, abs=0.005)
    assert outlook.cost[0] == pytest.approx(cost, abs=0.03)


def test_a_perfect_judge_accepts_the_right_and_only_them() -> None:
    half = np.array([0.5])
    kept_right, kept_wrong = accepted(half, half, threshold=np.array([0.5]), signal=40.0)
    assert kept_right[0] == pytest.approx(1.0)
    assert kept_wrong[0] == pytest.approx(0.0)


def test_a_higher_bar_costs_more() -> None:
    bars = np.array([[0.3], [0.6], [0.9]])
    assert (np.diff(chain((CHEAP, DEAR), bars, SIGNALS).cost) > 0).all()


def test_signals_survive_their_arrays() -> None:
    signals = Signals(
        alone={"a": 1.0, "b": 2.0},
        later={"a": 1.5, "b": 2.5},
        drop={"a>b": 0.1, "b>a": 0.2},
        recovery=0.3,
        damage=0.05,
        gains={"a+b": 0.4},
        judges={"a": 0.0, "b": 0.6},
    )
    assert Signals.from_arrays(signals.to_arrays(("a", "b")), ("a", "b")) == signals
