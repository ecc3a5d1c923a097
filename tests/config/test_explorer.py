"""Exploring stays within its bounds after every request, and says that it was done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion import config
from emafusion.client import request
from emafusion.config.explorer import BoundedExplorer
from emafusion.config.load import parse
from emafusion.engine import Engine, Stages
from emafusion.gateway import body as gateway_body
from emafusion.judge import CalibratedPanel
from emafusion.learn.online import Terms
from emafusion.plan import UtilityPlanner
from emafusion.protect import VisibilityProtector
from emafusion.record import Memory
from emafusion.testing import ScriptedProvider
from emafusion.types import (
    Adaptive,
    Estimate,
    Forecast,
    Fusion,
    Knobs,
    Labels,
    Model,
    Outcome,
    Plan,
    Request,
    Single,
    replace,
)

from .school import FAST, LARGE, MIDDLE, SMALL, Clock, models

USUAL = Knobs(arrangement="single", prefer=0.5)
ESTIMATES = tuple(
    Estimate(model=name, quality=q, quality_std=0.15, cost_usd=cost, latency_s=1.0, tokens=20.0)
    for name, q, cost in ((SMALL, 0.5, 1e-5), (MIDDLE, 0.6, 1e-4), (LARGE, 0.65, 3e-4))
)
FORECAST = Forecast(estimates=ESTIMATES)


class Fixed:
    """Always expects the same."""

    def predict(self, request: Request, labels: Labels, models: Sequence[Model]) -> Forecast:
        return FORECAST

    def usual(self, request: Request, models: Sequence[Model]) -> Forecast:
        return FORECAST


def engine(explorer: BoundedExplorer) -> Engine:
    stages = Stages(
        protector=VisibilityProtector(),
        classifier=FAST,
        predictor=Fixed(),
        planner=UtilityPlanner(),
        panel=CalibratedPanel(),
        recorder=Memory(),
        explorer=explorer,
    )
    provider = {"p": ScriptedProvider("Canberra")}
    return Engine(stages, models(), providers=provider, clock=Clock(), knobs=USUAL)


async def asked(one: Engine, number: int, **knobs: object) -> Outcome:
    found = await one.serve(replace(request("Hello?", **knobs), id=f"dec_{number}"))  # type: ignore[arg-type]  # the tests' knobs are right
    kept = await one.stages.recorder.find(found.decision_id)
    assert kept is not None
    return kept


@pytest.mark.parametrize(("least", "tried"), [(None, {SMALL, MIDDLE}), (0.55, {MIDDLE})])
def test_only_models_good_enough_for_the_request_are_explored(
    least: float | None, tried: set[str]
) -> None:
    terms = Terms(share=1.0, budget=10.0)
    explorer = BoundedExplorer(terms, usual=USUAL, random=np.random.default_rng(0))
    plan = Plan(
        arrangement=Single(model=LARGE),
        quality=0.65,
        cost_usd=3e-4,
        latency_s=1.0,
        usd_per_quality=1e-3,
    )
    asked = request("Hello?", arrangement="single", prefer=0.5)
    asked = replace(asked, knobs=replace(asked.knobs, min_quality=least))
    found = {
        departed.arrangement.models[0]
        for _ in range(60)
        if (departed := explorer.explore(asked, FORECAST, plan, models=models())).explored
    }
    assert found == tried


@settings(max_examples=12, deadline=None)
@given(
    share=st.floats(0.0, 1.0),
    budget=st.floats(0.0, 3.0),
    most=st.none() | st.floats(0.0, 2e-3),
    seed=st.integers(0, 1000),
)
def test_bounds_hold_after_every_request_and_each_logs_its_chance(
    share: float, budget: float, most: float | None, seed: int
) -> None:
    terms = Terms(share=share, budget=budget, max_usd=most)
    explorer = BoundedExplorer(terms, usual=USUAL, random=np.random.default_rng(seed))
    one = engine(explorer)

    async def run() -> None:
        explored, usual, extra = 0, 0.0, 0.0
        for number in range(1, 41):
            knobs = {"explore": False} if number % 3 == 0 else {}
            outcome = await asked(one, number, prefer=(0.2, 0.5, 0.9)[number % 3 - 1], **knobs)
            plan = outcome.plan
            assert plan is not None
            assert 0.0 < plan.propensity <= 1.0
            assert not (plan.explored and knobs)
            explored += plan.explored
            assert explored <= share * number
            assert explorer.spent.explored == explored
            assert explorer.spent.seen == number
            usual, extra = explorer.spent.greedy_usd, explorer.spent.extra_usd
            assert extra <= budget * usual + 1e-15
            assert most is None or extra <= most

    asyncio.run(run())


async def test_an_explored_answer_is_another_models_and_says_so() -> None:
    terms = Terms(share=1.0, budget=100.0)
    one = engine(BoundedExplorer(terms, usual=USUAL, random=np.random.default_rng(0)))
    found = [await asked(one, number) for number in range(60)]
    explored = [outcome for outcome in found if outcome.plan and outcome.plan.explored]
    kept = [outcome for outcome in found if outcome.plan and not outcome.plan.explored]
    assert {outcome.model for outcome in kept} == {MIDDLE}
    assert {outcome.model for outcome in explored} == {SMALL, LARGE}
    assert all(o.plan is not None and 0.0 < o.plan.propensity < 1.0 for o in found)
    for outcome in explored:
        assert f"explored {outcome.model} in place of {MIDDLE}" in outcome.explain()
        assert outcome.plan is not None
        assert outcome.plan.fallbacks[0] == MIDDLE
    chances = {o.model: o.plan.propensity for o in explored if o.plan}
    for name, chance in chances.items():
        assert sum(o.model == name for o in found) / 60 == pytest.approx(chance, abs=0.2)


SINGLE = Plan(
    arrangement=Single(model=MIDDLE),
    quality=0.6,
    cost_usd=1e-4,
    latency_s=1.0,
    usd_per_quality=1.0,
    fallbacks=(LARGE, SMALL, MIDDLE),
)
ADAPTIVE = replace(
    SINGLE,
    arrangement=Adaptive(pool=(SMALL, MIDDLE), start=SMALL, setting=3),
    cost_usd=2e-4,
    fallbacks=(LARGE, MIDDLE, SMALL),
)


def explored(plan: Plan, usual: Knobs | None = None, **knobs: object) -> set[str]:
    """The models that 60 requests began with."""
    usual = usual or Knobs()
    one = BoundedExplorer(
        Terms(share=1.0, budget=1e6), usual=usual, random=np.random.default_rng(0)
    )
    body = request("Hello?", **knobs)  # type: ignore[arg-type]  # the tests' knobs are right
    body = replace(body, knobs=body.knobs.over(usual))
    found = [one.explore(body, FORECAST, plan, models=models()) for _ in range(60)]
    assert all(
        plan.explored for plan in found if plan.arrangement.models[0] != _first(SINGLE, plan)
    )
    return {plan.arrangement.models[0] for plan in found}


def _first(one: Plan, found: Plan) -> str:
    return (one if isinstance(found.arrangement, Single) else ADAPTIVE).arrangement.models[0]


def test_an_adaptive_plan_begins_with_another_of_its_own_models_and_goes_on() -> None:
    assert explored(SINGLE) == {SMALL, MIDDLE, LARGE}
    assert explored(ADAPTIVE) == {SMALL, MIDDLE}
    one = BoundedExplorer(
        Terms(share=1.0, budget=1e6), usual=Knobs(), random=np.random.default_rng(0)
    )
    found = [one.explore(request("Hi"), FORECAST, ADAPTIVE, models=models()) for _ in range(30)]
    other = next(plan for plan in found if plan.explored)
    assert other.arrangement == Adaptive(pool=(SMALL, MIDDLE), start=MIDDLE, setting=3)
    assert other.cost_usd == pytest.approx(2e-4 + 1e-4)
    assert other.fallbacks == ADAPTIVE.fallbacks


@pytest.mark.parametrize(
    "knobs",
    [
        {"explore": False},
        {"private": True},
        {"models": [SMALL, MIDDLE]},
        {"arrangement": "single"},
        {"prefer": 0.0},
    ],
    ids=str,
)
def test_who_asks_for_something_is_not_explored_with(knobs: dict[str, object]) -> None:
    plan = replace(SINGLE, usd_per_quality=0.0) if "prefer" in knobs else SINGLE
    assert explored(plan, None, **knobs) == {MIDDLE}


def test_the_policys_own_settings_are_not_the_callers() -> None:
    usual = Knobs(models=(SMALL, MIDDLE, LARGE), arrangement="single")
    assert explored(SINGLE, usual) == {SMALL, MIDDLE, LARGE}
    assert explored(SINGLE, replace(usual, explore=False)) == {MIDDLE}
    assert explored(SINGLE, replace(usual, private=True)) == {MIDDLE}


def test_no_model_is_tried_that_the_requests_limits_rule_out() -> None:
    assert explored(SINGLE, max_cost_usd=2e-4) == {SMALL, MIDDLE}
    assert explored(ADAPTIVE, max_cost_usd=2.5e-4) == {SMALL}
    assert explored(ADAPTIVE, max_latency_s=1.5) == {SMALL}
    # Two of the pool can tell log-probabilities.
    able = [
        replace(one, capabilities=frozenset({"logprobs"})) if one.name != LARGE else one
        for one in models()
    ]
    body = request("Hello?", params={"logprobs": True})
    one = BoundedExplorer(Terms(share=1.0, budget=1e6), usual=Knobs())
    found = [one.explore(body, FORECAST, SINGLE, models=able) for _ in range(60)]
    assert {plan.arrangement.models[0] for plan in found} == {SMALL, MIDDLE}


def test_other_plans_are_left_as_they_are() -> None:
    fusion = replace(SINGLE, arrangement=Fusion(panel=(SMALL, LARGE)))
    one = BoundedExplorer(Terms(share=1.0, budget=1e6), usual=Knobs())
    assert one.explore(request("Hi"), FORECAST, fusion, models=models()) is fusion
    assert one.spent.seen == 0


def test_the_settings_bound_it_and_without_a_share_there_is_none() -> None:
    text = """
        [providers.p]
        type = "openai"
        base_url = "http://localhost:1"
        [models.a]
        provider = "p"
        usd_per_mtok_in = 1.0
        usd_per_mtok_out = 1.0
        [record]
        path = "memory"
        [learn]
        """
    with config.build(parse(text, "test")) as plain:
        assert plain.engine.stages.explorer is None
    with config.build(parse(text + "explore = 0.1\nexplore_usd = 0.5", "test")) as client:
        explorer = client.engine.stages.explorer
        assert isinstance(explorer, BoundedExplorer)
        assert explorer.terms == Terms(share=0.1, budget=0.02, max_usd=0.5)


def test_callers_forbid_it_over_http_too() -> None:
    body = {
        "model": "emafusion",
        "messages": [{"role": "user", "content": "Hi"}],
        "emafusion": {"explore": False},
    }
    asked = gateway_body.parse(json.dumps(body).encode(), [SMALL])
    assert asked.request.knobs.explore is False
