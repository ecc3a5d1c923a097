"""A least quality is bought as cheaply as the dial can, and what cannot be promised is said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.plan import UtilityPlanner
from emafusion.plan.floor import FloorPlanner
from emafusion.types import Estimate, Forecast, Knobs, Model, Request, Single, replace

NAMES = ("small", "middle", "large")
POOL = tuple(
    Model(name=name, provider="p", upstream=name, usd_per_mtok_in=price, usd_per_mtok_out=price)
    for name, price in zip(NAMES, (0.1, 0.5, 2.0), strict=True)
)


def forecast(*qualities: float) -> Forecast:
    return Forecast(
        estimates=tuple(
            Estimate(model=name, quality=quality, quality_std=0.02, cost_usd=cost, latency_s=1.0)
            for name, quality, cost in zip(NAMES, qualities, (1e-6, 5e-6, 2e-5), strict=True)
        )
    )


def request(**knobs: object) -> Request:
    told = Knobs(arrangement="single", **knobs)  # type: ignore[arg-type]  # the knobs are right
    return Request(id="x", messages=({"role": "user", "content": "2 + 2?"},), knobs=told)


def test_a_cheap_setting_spends_more_where_its_plan_promises_too_little() -> None:
    planner, known = FloorPlanner(UtilityPlanner()), forecast(0.5, 0.7, 0.85)
    assert planner.plan(request(prefer=0.0), known, POOL).arrangement == Single(model="small")
    plan = planner.plan(request(prefer=0.0, min_quality=0.6), known, POOL)
    assert plan.arrangement == Single(model="middle")
    assert plan.reason.endswith("; for a quality of 0.6")
    plan = planner.plan(request(prefer=0.0, min_quality=0.8), known, POOL)
    assert plan.arrangement == Single(model="large")


def test_a_plan_that_promises_enough_is_left_as_it_is() -> None:
    known, asked = forecast(0.5, 0.7, 0.85), request(prefer=0.0, min_quality=0.5)
    free = replace(asked, knobs=replace(asked.knobs, min_quality=None))
    plain = UtilityPlanner()
    assert FloorPlanner(plain).plan(asked, known, POOL) == plain.plan(free, known, POOL)


def test_what_nobody_promises_is_tried_with_the_best_and_said() -> None:
    plan = FloorPlanner(UtilityPlanner()).plan(
        request(prefer=0.2, min_quality=0.99), forecast(0.5, 0.7, 0.85), POOL
    )
    assert plan.arrangement == Single(model="large")
    assert plan.reason.endswith("a quality of 0.99 cannot be promised")


@settings(max_examples=60)
@given(
    qualities=st.tuples(*[st.floats(0.05, 0.95)] * 3),
    floor=st.floats(0.0, 1.0),
    prefer=st.floats(0.0, 1.0),
)
def test_a_floor_never_lowers_what_is_promised(
    qualities: tuple[float, float, float], floor: float, prefer: float
) -> None:
    known, plain = forecast(*qualities), UtilityPlanner()
    before = plain.plan(request(prefer=prefer), known, POOL)
    after = FloorPlanner(plain).plan(request(prefer=prefer, min_quality=floor), known, POOL)
    assert after.quality >= before.quality
    reachable = plain.plan(request(prefer=1.0), known, POOL).quality
    assert after.quality >= min(floor, reachable) - 1e-9 or after.quality == pytest.approx(
        max(before.quality, reachable)
    )
