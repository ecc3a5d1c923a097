"""Adaptive plans: when they are made, of whom, and what they keep to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.errors import BudgetError
from emafusion.plan import FittedRule, Lookahead, UtilityPlanner
from emafusion.types import (
    Adaptive,
    Assessment,
    Cascade,
    Estimate,
    Forecast,
    Fusion,
    Knobs,
    Model,
    Plan,
    Request,
    Single,
)

MEMBERS = ("small", "middle", "large")
COSTS = {"small": 1e-6, "middle": 5e-6, "large": 20e-6, "new": 2e-6}
SECONDS = {"small": 1.0, "middle": 2.0, "large": 4.0, "new": 1.0}


def rule() -> FittedRule:
    """Whoever is asked next brings what the best answer lacks; before any answer the same."""
    size, settings = len(MEMBERS), 11
    width = 12 + 2 * size
    weights = np.zeros((1 << size, settings, width + 1, size))
    weights[:, :, 0, :], weights[:, :, 1, :] = 1.0, -1.0
    outlook = np.zeros((settings, width + 1, 2))
    outlook[:, 0, 0], outlook[:, 0, 1] = 0.9, 8e-6
    lookahead = Lookahead(
        MEMBERS,
        np.geomspace(1e-6, 1e-2, settings),
        mean=np.zeros((1 << size, width)),
        scale=np.ones((1 << size, width)),
        weights=weights,
        outlook=outlook,
    )
    return FittedRule(lookahead)


RULE = rule()


def pool(*names: str) -> tuple[Model, ...]:
    return tuple(
        Model(name=n, provider="p", upstream=n, usd_per_mtok_in=1.0, usd_per_mtok_out=1.0)
        for n in names
    )


def forecast(**qualities: float) -> Forecast:
    return Forecast(
        estimates=tuple(
            Estimate(model=n, quality=q, quality_std=0.1, cost_usd=COSTS[n], latency_s=SECONDS[n])
            for n, q in qualities.items()
        )
    )


QUALITIES = {"small": 0.5, "middle": 0.7, "large": 0.85}


def plan(qualities: Mapping[str, float] = QUALITIES, **knobs: object) -> Plan:
    told = forecast(**qualities)
    request = Request(
        id="x",
        messages=({"role": "user", "content": "What is 2 + 2?"},),
        knobs=Knobs(**knobs),  # type: ignore[arg-type]  # the tests' knobs are right
    )
    models = pool(*(e.model for e in told.estimates))
    return UtilityPlanner(rule=RULE).plan(request, told, models)


def adaptive(made: Plan) -> Adaptive:
    assert isinstance(made.arrangement, Adaptive)
    return made.arrangement


def test_an_adaptive_plan_is_preferred_where_the_arrangement_is_ours_to_choose() -> None:
    made = plan()
    assert adaptive(made).pool == MEMBERS
    assert adaptive(made).start == "small"
    assert made.quality == pytest.approx(0.9)
    assert made.cost_usd == pytest.approx(8e-6)


@pytest.mark.parametrize(
    ("arrangement", "kind"), [("single", Single), ("cascade", Cascade), ("fusion", Fusion)]
)
def test_a_named_arrangement_is_kept_to(arrangement: str, kind: type) -> None:
    assert isinstance(plan(arrangement=arrangement).arrangement, kind)


def test_tools_need_one_voice() -> None:
    told = forecast(**QUALITIES)
    request = Request(
        id="x",
        messages=({"role": "user", "content": "?"},),
        params={"tools": [{"type": "function"}]},
    )
    able = tuple(
        Model(
            name=n,
            provider="p",
            upstream=n,
            usd_per_mtok_in=1.0,
            usd_per_mtok_out=1.0,
            capabilities=frozenset({"tools"}),
        )
        for n in MEMBERS
    )
    made = UtilityPlanner(rule=RULE).plan(request, told, able)
    assert isinstance(made.arrangement, Single)


def test_the_dial_sets_the_rules_setting() -> None:
    assert [adaptive(plan(prefer=p)).setting for p in (0.01, 0.3, 1.0)] == [0, 3, 10]
    assert adaptive(plan()).setting == adaptive(plan(prefer=0.5)).setting


def test_where_only_cost_counts_no_draft_is_judged_to_ask_another() -> None:
    assert plan(prefer=0.0).arrangement == Single(model="small")


def test_waiting_counts_as_money_where_a_second_has_a_price() -> None:
    """Middle and large differ by two seconds, and far less in dollars."""
    told, verdict = forecast(**QUALITIES), Assessment(confidences=(0.5,))
    asking = Adaptive(pool=MEMBERS, start="small", setting=5)
    hurried = FittedRule(RULE.lookahead, usd_per_second=1.0)
    patient = FittedRule(RULE.lookahead, usd_per_second=1e-6)
    found = [
        rule.next(asking, told, verdict, heard=["small"], allowed=["middle", "large"])
        for rule in (hurried, patient)
    ]
    assert found == [None, "middle"]


@pytest.mark.parametrize(
    ("limits", "members"),
    [
        ({"max_cost_usd": 1e-3}, MEMBERS),
        ({"max_cost_usd": 10e-6}, ("small", "middle")),
        ({"max_latency_s": 3.0}, ("small", "middle")),
    ],
)
def test_nobody_is_planned_who_alone_breaks_a_limit(
    limits: dict[str, object], members: tuple[str, ...]
) -> None:
    made = plan(QUALITIES, **limits)
    assert adaptive(made).pool == members
    assert made.max_cost_usd == limits.get("max_cost_usd")
    assert made.max_latency_s == limits.get("max_latency_s")


@given(st.floats(1.1e-6, 1e-4), st.floats(0.0, 1.0))
def test_no_model_of_a_plan_costs_more_than_the_limit(limit: float, prefer: float) -> None:
    made = plan(max_cost_usd=limit, prefer=prefer)
    assert all(COSTS[name] <= limit for name in made.arrangement.models)
    assert made.max_cost_usd == limit


def test_where_one_member_is_left_the_plan_is_an_ordinary_one() -> None:
    assert plan(max_cost_usd=2e-6).arrangement == Single(model="small")
    assert plan({"large": 0.85}).arrangement == Single(model="large")


def test_a_limit_below_every_member_is_refused() -> None:
    with pytest.raises(BudgetError, match="'small'"):
        plan(max_cost_usd=1e-7)


def test_a_member_that_is_not_served_is_not_planned() -> None:
    made = plan({"middle": 0.7, "large": 0.85})
    assert adaptive(made).pool == ("middle", "large")
    assert adaptive(made).start == "middle"


def test_a_stranger_that_promises_more_for_less_is_asked_alone() -> None:
    assert plan({**QUALITIES, "new": 0.99}).arrangement == Single(model="new")


def test_a_stranger_that_promises_less_stands_by() -> None:
    made = plan({**QUALITIES, "new": 0.3})
    assert adaptive(made).pool == MEMBERS
    assert made.fallbacks[0] == "new"
    assert set(made.fallbacks) == {*MEMBERS, "new"}


def test_a_model_of_the_fit_that_earned_no_place_does_not_compete() -> None:
    told = forecast(**QUALITIES, new=0.99)
    asked = Request(id="x", messages=({"role": "user", "content": "What is 2 + 2?"},))
    fitted = FittedRule(RULE.lookahead, (*MEMBERS, "new"))
    made = UtilityPlanner(rule=fitted).plan(asked, told, pool(*MEMBERS, "new"))
    assert adaptive(made).pool == MEMBERS
    assert "new" in made.fallbacks


def test_of_strangers_alone_an_ordinary_plan_is_made() -> None:
    assert plan({"new": 0.6}).arrangement == Single(model="new")


@given(
    confidence=st.floats(0.0, 1.0),
    setting=st.integers(0, 10),
    heard=st.lists(st.sampled_from((*MEMBERS, "new")), unique=True),
    data=st.data(),
)
def test_the_rule_names_only_whom_it_may(
    confidence: float, setting: int, heard: list[str], data: st.DataObject
) -> None:
    rest = [name for name in MEMBERS if name not in heard]
    allowed = data.draw(st.lists(st.sampled_from(rest), unique=True)) if rest else []
    found = RULE.next(
        Adaptive(pool=MEMBERS, start="small", setting=setting),
        forecast(**QUALITIES, new=0.6),
        Assessment(confidences=(confidence,)) if heard else None,
        heard=heard,
        allowed=allowed,
    )
    assert found in (None, *allowed)
    if not allowed:
        assert found is None
    elif not set(heard) & set(MEMBERS):
        assert found is not None


def test_doubt_asks_on_and_trust_accepts() -> None:
    asking = Adaptive(pool=MEMBERS, start="small", setting=5)
    told = forecast(**QUALITIES)
    found = [
        RULE.next(
            asking, told, Assessment(confidences=(c,)), heard=["small"], allowed=["middle", "large"]
        )
        for c in (0.2, 0.99999)
    ]
    assert found == ["middle", None]


def test_a_model_without_an_estimate_does_not_stop_the_rule() -> None:
    """A deployment may serve a part of the pool."""
    asking = Adaptive(pool=("small", "large"), start="small", setting=5)
    told = forecast(small=0.5, large=0.85)
    verdict = Assessment(confidences=(0.2,))
    assert RULE.next(asking, told, verdict, heard=["small"], allowed=["large"]) == "large"


def test_the_guards_member_is_planned_alone() -> None:
    guarded = FittedRule(RULE.lookahead.guarded(np.full(11, MEMBERS.index("middle"))))
    made = UtilityPlanner(rule=guarded).plan(
        Request(id="x", messages=({"role": "user", "content": "?"},)),
        forecast(**QUALITIES),
        pool(*MEMBERS),
    )
    assert made.arrangement == Single(model="middle")
