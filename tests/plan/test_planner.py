"""The objective, its limits, and the laws of the dial."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.catalog import tokens
from emafusion.errors import BudgetError, ContextTooLongError, NoModelError
from emafusion.plan import Dial, Signals, UtilityPlanner
from emafusion.plan.candidates import CLEARLY
from emafusion.plan.eligible import ROOM, eligible
from emafusion.types import (
    Cascade,
    Estimate,
    Forecast,
    Fusion,
    Knobs,
    Model,
    Plan,
    Request,
    Single,
    Turn,
    replace,
)


def model(name: str, price: float, **more: object) -> Model:
    base = Model(
        name=name,
        provider="p",
        upstream=name,
        usd_per_mtok_in=price,
        usd_per_mtok_out=price,
        context_window=4096,
        max_output=512,
    )
    return replace(base, **more)


def estimate(name: str, quality: float, cost: float, latency: float = 1.0) -> Estimate:
    return Estimate(model=name, quality=quality, quality_std=0.1, cost_usd=cost, latency_s=latency)


POOL = (model("small", 0.1), model("middle", 0.5), model("large", 2.0))
FORECAST = Forecast(
    estimates=(
        estimate("small", 0.5, 1e-6, 1.0),
        estimate("middle", 0.7, 5e-6, 2.0),
        estimate("large", 0.85, 20e-6, 4.0),
    )
)


def request(
    text: str = "What is 2 + 2?", params: dict[str, object] | None = None, **knobs: object
) -> Request:
    return Request(
        id="x",
        messages=({"role": "user", "content": text},),
        params=params or {},
        knobs=Knobs(**knobs),  # type: ignore[arg-type]  # the tests' knobs are right
    )


def plan(asked: Request, forecast: Forecast = FORECAST, models: tuple[Model, ...] = POOL) -> Plan:
    return UtilityPlanner().plan(asked, forecast, models)


def test_cost_alone_asks_the_cheapest_model() -> None:
    assert plan(request(prefer=0.0)).arrangement == Single(model="small")


def test_quality_alone_beats_the_best_single_model() -> None:
    best = plan(request(prefer=1.0))
    assert best.quality >= 0.85
    assert "large" in best.arrangement.models


def test_in_between_a_cascade_is_cheaper_than_the_best_model_and_better_than_the_cheapest() -> None:
    chosen = plan(request(prefer=0.6))
    assert isinstance(chosen.arrangement, Cascade)
    assert chosen.cost_usd < 20e-6
    assert chosen.quality > 0.5


@settings(max_examples=60, deadline=None)
@given(
    qualities=st.lists(st.floats(0.05, 0.95), min_size=3, max_size=3),
    prefers=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_more_preference_for_quality_never_expects_less_of_it(
    qualities: list[float], prefers: tuple[float, float]
) -> None:
    costs = (1e-6, 5e-6, 20e-6)
    told = Forecast(
        estimates=tuple(
            estimate(m.name, q, c) for m, q, c in zip(POOL, qualities, costs, strict=True)
        )
    )
    low, high = sorted(prefers)
    # The guard passes over a dear plan whose promise is not clearly better: by less than that,
    # a cheaper threshold of the same cascade may promise more.
    least = plan(request(prefer=low), told).quality - CLEARLY
    assert plan(request(prefer=high), told).quality >= least


@settings(max_examples=40, deadline=None)
@given(limits=st.tuples(st.floats(1.1e-6, 1e-4), st.floats(1.1e-6, 1e-4)))
def test_a_larger_budget_never_predicts_worse(limits: tuple[float, float]) -> None:
    low, high = sorted(limits)
    poor, rich = (plan(request(prefer=1.0, max_cost_usd=limit)) for limit in (low, high))
    assert rich.quality >= poor.quality - 1e-9
    assert poor.cost_usd <= low


def test_a_limit_below_the_cheapest_model_is_refused_with_its_price() -> None:
    with pytest.raises(BudgetError, match=r"'small'.*0\.000001"):
        plan(request(max_cost_usd=1e-7))


def test_what_a_named_model_may_cost_is_bounded_as_it_is_asked() -> None:
    asked = request(max_cost_usd=1e-7, models=("large",), arrangement="single")
    forecast = Forecast(estimates=FORECAST.estimates[2:])
    found = plan(asked, forecast, POOL[2:])
    assert found.arrangement == Single(model="large")
    assert found.max_cost_usd == 1e-7
    # Of several the forecast says which is worth the money, or that none is.
    with pytest.raises(BudgetError):
        plan(request(max_cost_usd=1e-7, models=("small", "large"), arrangement="single"))


def test_who_called_tools_goes_on_before_all_others() -> None:
    asked = request(prefer=0.0, arrangement="single", max_cost_usd=1e-5)
    held = replace(asked, turn=Turn(model="middle"))
    assert plan(asked).arrangement == Single(model="small")
    assert plan(held).arrangement == Single(model="middle")
    assert plan(held).fallbacks == ("large", "small", "middle")
    # Unless it is expected to cost too much, or is not there.
    for name in ("large", "gone"):
        assert plan(replace(asked, turn=Turn(model=name))).arrangement == Single(model="small")


def test_a_parameter_that_nobody_knows_is_one_models_to_answer() -> None:
    shape = {"type": "json_object"}
    known = request(prefer=0.6, params={"temperature": 0.5, "response_format": shape})
    able = tuple(replace(one, capabilities=frozenset({"json"})) for one in POOL)
    assert isinstance(plan(known, models=able).arrangement, Cascade)
    unknown = request(prefer=0.6, params={"guided_json": shape})
    assert isinstance(plan(unknown).arrangement, Single)


def test_a_latency_limit_rules_out_slow_plans() -> None:
    assert plan(request(prefer=1.0, max_latency_s=2.5)).arrangement.models[-1] != "large"


def test_a_prompt_that_fits_nowhere_is_refused_by_name_and_size() -> None:
    with pytest.raises(ContextTooLongError, match="4096"):
        plan(request("word " * 20_000))


def test_only_models_with_room_are_planned() -> None:
    wide = (*POOL[:2], model("large", 2.0, context_window=100_000))
    assert plan(request("word " * 8_000, prefer=0.0), models=wide).arrangement.models == ("large",)


@pytest.mark.parametrize("system", ["", "Be brief."])
def test_a_model_is_planned_as_long_as_its_window_holds_all(system: str) -> None:
    asked = request("word " * 100)
    taken = tokens.count_messages(asked.messages) + tokens.count(system) + ROOM
    for window, fits in ((taken, True), (taken - 1, False)):
        one = model("one", 1.0, system=system or None, context_window=window)
        found = eligible(asked, [one, model("wide", 1.0, context_window=10_000)])
        assert (one in found) == fits


def test_tools_go_to_one_model_that_has_them() -> None:
    pool = (*POOL[:2], model("large", 2.0, capabilities=frozenset({"tools"})))
    asked = request(params={"tools": [{"type": "function"}]}, prefer=0.0)
    assert plan(asked, models=pool).arrangement == Single(model="large")


def test_a_capability_nobody_has_is_named() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    asked = Request(id="x", messages=({"role": "user", "content": [picture]},))
    with pytest.raises(NoModelError, match="vision"):
        plan(asked)


def test_a_named_arrangement_is_kept_to() -> None:
    assert isinstance(plan(request(arrangement="cascade", prefer=0.0)).arrangement, Cascade)
    assert isinstance(plan(request(arrangement="fusion", prefer=0.0)).arrangement, Fusion)


def test_fusion_is_planned_where_voting_was_seen_to_pay() -> None:
    signals = Signals(gains={"large+middle+small": 2.0}, recovery=0.0)
    chosen = UtilityPlanner(signals).plan(request(prefer=1.0), FORECAST, POOL)
    assert chosen.arrangement == Fusion(panel=("small", "middle", "large"))


def test_a_judge_is_planned_only_where_its_opinion_is_known_to_help() -> None:
    judge = model("judge", 0.01)
    pool = (*POOL, judge)
    told = Forecast(estimates=(*FORECAST.estimates, estimate("judge", 0.05, 9e-6)))
    helpful = UtilityPlanner(Signals(judges={"judge": 3.0})).plan(
        request(prefer=0.7, arrangement="cascade"), told, pool
    )
    silent = UtilityPlanner(Signals()).plan(request(prefer=0.7, arrangement="cascade"), told, pool)
    assert isinstance(helpful.arrangement, Cascade)
    assert helpful.arrangement.tiers[0].judge == "judge"
    assert isinstance(silent.arrangement, Cascade)
    assert silent.arrangement.tiers[0].judge is None


def test_every_other_model_stands_by() -> None:
    assert plan(request(prefer=0.0)).fallbacks == ("large", "middle", "small")


def test_a_lone_model_is_no_fallback_of_its_own() -> None:
    assert plan(request(), models=POOL[:1]).fallbacks == ()


@given(prefers=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_the_dial_rises(prefers: tuple[float, float]) -> None:
    low, high = sorted(prefers)
    for dial in (Dial(), Dial(prices=(1e-5, 1e-4, 1e-3, 1e-2))):
        assert dial.usd_per_quality(high, 1e-5) >= dial.usd_per_quality(low, 1e-5)


def test_an_arrangement_that_cannot_be_made_is_refused_by_name() -> None:
    with pytest.raises(NoModelError, match="no cascade can be made"):
        plan(request(arrangement="cascade"), models=POOL[:1])


def test_of_free_models_the_best_is_asked() -> None:
    free = (model("bad", 0.0), model("good", 0.0))
    told = Forecast(estimates=(estimate("bad", 0.2, 0.0), estimate("good", 0.9, 0.0)))
    assert plan(request(), told, free).arrangement == Single(model="good")
