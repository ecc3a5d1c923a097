"""An interval covers what another sample would have shown, what is seldom too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emafusion.learn.bootstrap import mean, wary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SETS = 200
Draw = Callable[[np.random.Generator, int], "Array"]


def skewed(rare: float) -> Draw:
    """Saves a little on every row and loses an answer on the share `rare`: no gain in truth."""
    return lambda rng, count: rare - (rng.random(count) < rare).astype(np.float64)


def clear(gain: float) -> Draw:
    """Wins `gain` more rows than the 5 % it loses."""

    def draw(rng: np.random.Generator, count: int) -> Array:
        return rng.choice([-1.0, 0.0, 1.0], p=[0.05, 0.9 - gain, 0.05 + gain], size=count)

    return draw


def share_above(draw: Draw, count: int) -> float:
    """How often the gain's floor lies above 0."""
    rng = np.random.default_rng(0)
    clusters = [str(number) for number in range(count)]
    floors = [
        wary(draw(rng, count), clusters=clusters, worst=-1.0, seed=0).floor for _ in range(SETS)
    ]
    return float(np.mean(np.array(floors) > 0.0))


@pytest.mark.parametrize(("count", "rare"), [(50, 0.01), (120, 0.01), (120, 0.02), (300, 0.01)])
def test_what_is_lost_seldom_is_hardly_ever_taken_for_a_gain(count: int, rare: float) -> None:
    assert share_above(skewed(rare), count) <= 0.08


@pytest.mark.parametrize(("count", "gain"), [(60, 0.3), (300, 0.1)])
def test_a_clear_gain_is_seen(count: int, gain: float) -> None:
    assert share_above(clear(gain), count) >= 0.9


def test_wariness_lowers_the_lower_ends_alone() -> None:
    values = np.random.default_rng(1).normal(0.1, 1.0, 80)
    clusters = [str(number) for number in range(80)]
    plain = mean(values, clusters=clusters, seed=0)
    found = wary(values, clusters=clusters, worst=-1.0, seed=0)
    assert (found.value, found.high, found.ceiling) == (plain.value, plain.high, plain.ceiling)
    assert found.low < plain.low
    assert found.floor < plain.floor
    assert found.above < plain.above
