"""The fitted policy acts where a cautious gain is worth its price, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.plan.combining import FEATURES, Action, FittedCombiner, Gain, expected_cost
from emafusion.types import Adaptive, Estimate, Forecast, Labels, Model, Plan, replace
from emafusion.types.outcomes import Gathered

WIDTH = len(FEATURES)
LABELS = Labels(axes={"task": {"generation": 0.75, "recall": 0.25}})
GATHERED = Gathered(
    authors=("a", "b"),
    leading=(0, 1),
    best=0.5,
    second=0.4,
    agreeing=0.0,
    open_ended=True,
    prompt_tokens=100,
    draft_tokens=200,
    spent_usd=0.001,
    took_s=1.0,
)
MODELS = tuple(
    Model(name=n, provider="p", upstream=n, usd_per_mtok_in=p, usd_per_mtok_out=p)
    for n, p in (("a", 1.0), ("b", 1.0), ("cheap", 1.0), ("dear", 10.0))
)
FORECAST = Forecast(
    estimates=tuple(
        Estimate(model=m.name, quality=0.6, quality_std=0.1, cost_usd=0.001, latency_s=1.0)
        for m in MODELS
    )
)
PLAN = Plan(
    arrangement=Adaptive(pool=("a", "b"), start="a", setting=0),
    quality=0.5,
    cost_usd=0.001,
    latency_s=1.0,
    fallbacks=("cheap", "dear"),
    usd_per_quality=1.0,
)


def gain(
    mean: float, error: float = 0.0, *, by: tuple[str, ...] = ("cheap", "dear"), **more: float
) -> Gain:
    """A gain that is the same everywhere, known up to `error`; `more` is added by feature."""
    weights = np.zeros(1 + WIDTH + len(by))
    weights[0] = mean
    for name, slope in more.items():
        weights[1 + FEATURES.index(name)] = slope
    covariance = np.zeros((len(weights), len(weights)))
    covariance[0, 0] = error**2
    return Gain(
        by=by,
        mean=np.zeros(WIDTH),
        scale=np.ones(WIDTH),
        weights=weights,
        covariance=covariance,
        weight=1.5,
    )


def chosen(
    gains: dict[Action, Gain], gathered: Gathered = GATHERED, plan: Plan = PLAN
) -> tuple[str, str]:
    found = FittedCombiner(gains).choose(
        gathered, LABELS, forecast=FORECAST, plan=plan, models=MODELS
    )
    assert found.reason.startswith(found.action)
    return found.action, found.model


def test_a_sure_gain_is_taken_by_the_cheaper_of_equal_writers() -> None:
    assert chosen({"synthesise": gain(0.2)}) == ("synthesise", "cheap")


@pytest.mark.parametrize("mean", [-0.2, 0.0])
def test_no_gain_no_call(mean: float) -> None:
    assert chosen({"synthesise": gain(mean), "compare": gain(mean)}) == ("select", "")


def test_an_uncertain_gain_is_none() -> None:
    assert chosen({"synthesise": gain(0.2, 0.15)}) == ("synthesise", "cheap")
    assert chosen({"synthesise": gain(0.2, 0.16)}) == ("select", "")


def test_a_gain_must_be_worth_its_price() -> None:
    cost = expected_cost("synthesise", GATHERED, MODELS[2])
    for share, action in ((1.1, "synthesise"), (0.9, "select")):
        plan = replace(PLAN, usd_per_quality=share * cost / 0.2)
        assert chosen({"synthesise": gain(0.2)}, plan=plan)[0] == action
    assert chosen({"synthesise": gain(0.2)}, plan=replace(PLAN, usd_per_quality=0.0))[0] == "select"


def test_the_action_of_the_higher_net_gain_wins() -> None:
    assert chosen({"synthesise": gain(0.1), "compare": gain(0.2)}) == ("compare", "cheap")
    assert chosen({"synthesise": gain(0.2), "compare": gain(0.1)}) == ("synthesise", "cheap")


def test_evidence_and_labels_decide() -> None:
    gains: dict[Action, Gain] = {"synthesise": gain(-0.3, open_ended=0.2, prose=0.2)}
    assert chosen(gains)[0] == "synthesise"  # .2 + .75 · .2 − .3
    assert chosen(gains, replace(GATHERED, open_ended=False))[0] == "select"


def test_nobody_compares_its_own_draft() -> None:
    gains: dict[Action, Gain] = {"compare": gain(0.2, by=("a", "b"))}
    assert chosen(gains) == ("select", "")
    behind = replace(GATHERED, authors=("b", "c", "a"), leading=(0, 1))
    assert chosen(gains, behind) == ("compare", "a")


def test_a_writer_may_have_drafted() -> None:
    assert chosen({"synthesise": gain(0.2, by=("a",))}) == ("synthesise", "a")


@pytest.mark.parametrize(
    "limits", [{"max_cost_usd": 0.0012}, {"max_latency_s": 1.5}, {"fallbacks": ()}]
)
def test_limits_of_money_time_and_clearance_hold(limits: dict[str, float]) -> None:
    assert chosen({"synthesise": gain(0.2)}, plan=replace(PLAN, **limits)) == ("select", "")


def test_waiting_counts_as_money() -> None:
    patient = FittedCombiner({"synthesise": gain(0.2)}, usd_per_second=0.1)
    hasty = FittedCombiner({"synthesise": gain(0.2)}, usd_per_second=0.3)
    actions = [
        one.choose(GATHERED, LABELS, forecast=FORECAST, plan=PLAN, models=MODELS).action
        for one in (patient, hasty)
    ]
    assert actions == ["synthesise", "select"]


def test_arrays_hold_the_policy() -> None:
    gains: dict[Action, Gain] = {"synthesise": gain(0.2, 0.1, best=-0.3), "compare": gain(0.1)}
    arrays = {k: a for name, one in gains.items() for k, a in one.to_arrays(name).items()}
    read = FittedCombiner.from_arrays(arrays)
    assert read is not None
    assert set(read.gains) == set(gains)
    for name, one in gains.items():
        for field in one.__struct_fields__:
            assert np.array_equal(getattr(read.gains[name], field), getattr(one, field))
    assert FittedCombiner.from_arrays({}) is None


@given(
    mean=st.floats(-1, 1),
    error=st.floats(0, 1),
    price=st.floats(0, 10),
    limit=st.none() | st.floats(0.001, 0.01),
    named=st.sets(st.sampled_from(["a", "b", "cheap", "dear"])),
)
def test_only_permitted_models_are_asked_within_the_purse(
    mean: float, error: float, price: float, limit: float | None, named: set[str]
) -> None:
    models = [model for model in MODELS if model.name in named]
    plan = replace(PLAN, usd_per_quality=price, max_cost_usd=limit)
    found = FittedCombiner({"synthesise": gain(mean, error), "compare": gain(mean, error)}).choose(
        GATHERED, LABELS, forecast=FORECAST, plan=plan, models=models
    )
    if found.action == "select":
        assert found.model == ""
        return
    assert found.model in named
    assert found.gain * price > found.cost_usd
    assert limit is None or GATHERED.spent_usd + found.cost_usd <= limit
