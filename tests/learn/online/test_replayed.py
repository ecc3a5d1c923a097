"""The benchmark's streams: a small world whose best routing is known."""

from __future__ import annotations

import numpy as np
import pytest

from emafusion.errors import DataError
from emafusion.learn.benchmark.drifting import Change, World
from emafusion.learn.benchmark.online import COLD, Scale, Tariff, rows
from emafusion.learn.online import Exploration
from emafusion.types import Model

POOL = tuple(
    Model(name=name, provider="p", upstream=name, usd_per_mtok_in=price, usd_per_mtok_out=price)
    for name, price in (("cheap", 1.0), ("dear", 20.0))
)


def test_a_change_is_read_from_the_command_line() -> None:
    found = Change.read("cheap=dear@300", ("cheap", "dear"))
    assert (found.model, found.weaker, found.row) == ("cheap", "dear", 300)
    assert Change.read("a=b@c@7", ("a", "b@c")).weaker == "b@c"


@pytest.mark.parametrize("text", ["cheap", "cheap=dear", "cheap=dear@soon", "other=dear@3"])
def test_what_is_no_change_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        Change.read(text, ("cheap", "dear"))


def test_a_changed_world_leaves_the_other_as_it_was() -> None:
    world = World(scores=np.array([[1.0, 0.0]]), tokens=np.array([[5.0, 9.0]]))
    after = world.changed(0, 1)
    assert after.scores.tolist() == [[0.0, 0.0]]
    assert after.tokens.tolist() == [[9.0, 9.0]]
    assert world.scores.tolist() == [[1.0, 0.0]]


def test_rows_come_again_only_when_all_have_come() -> None:
    order = rows(7, 17, np.random.default_rng(0))
    assert len(order) == 17
    assert sorted(order[:7]) == sorted(order[7:14]) == list(range(7))


def test_routing_by_the_truth_at_every_price() -> None:
    """At a low price of quality the cheap model answers all, at a high one each answers its own."""
    scores = np.array([[1.0, 0.0], [0.0, 1.0]])
    scale = Scale(
        scores=scores,
        costs=np.array([[0.1, 1.0], [0.1, 1.0]]),
        prices=np.array([0.5, 10.0]),
        dearest=2.0,
    )
    points = scale.routed(np.where(scores > 0.5, 4.0, -4.0), scale.costs)
    assert points == pytest.approx(np.array([[0.1, 0.5], [0.55, 1.0]]))
    told = scale.utilities(points, points)
    assert told["prefer=0.75"] == pytest.approx((1.0 - 0.055,) * 2)


def test_bills_correct_the_price_list() -> None:
    tariff = Tariff(POOL)
    prompts = np.array([100.0])
    before = tariff.expected(prompts)[0]
    assert before[1] == pytest.approx(20.0 * before[0])
    for _ in range(200):
        tariff.billed(0, 100.0, 3.0 * float(before[0]))
    after = tariff.expected(prompts)[0]
    assert after[0] == pytest.approx(3.0 * before[0], rel=0.03)
    assert after[1] == before[1]


def test_a_cold_start_may_explore_at_every_query() -> None:
    explore = Exploration(COLD)
    assert explore.terms.share == 1.0
    assert explore.terms.budget < np.inf
