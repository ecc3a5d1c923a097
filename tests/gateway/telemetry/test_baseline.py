"""What always asking one model would have cost, held against what answers did cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.gateway.operations import Operations
from emafusion.gateway.telemetry.accounting import Baseline
from emafusion.gateway.telemetry.metrics import Metrics
from emafusion.types import Forecast, Model, Origin, Outcome, Piece, Step, Usage, replace

from ..parts import USAGE, Script, catalog, client_of, until
from .house import asking, operated
from .test_metrics import figures, fresh, observed, outcome

SMALL, LARGE = (
    replace(model, usd_per_mtok_in=usd, usd_per_mtok_out=usd * 4.0)
    for model, usd in zip(catalog(["small", "large"]), (1e5, 1e6), strict=True)
)
"""A token of a prompt is 10 cents with the one and a dollar with the other."""
MODELS = {"small": SMALL, "large": LARGE}


def call(model: Model, text: str, asked: int = 10, said: int = 2, **more: object) -> Step:
    """A call at its model's own price."""
    usage = more.pop("usage", None) or Usage(prompt_tokens=asked, completion_tokens=said)
    assert isinstance(usage, Usage)
    fields = {"purpose": "draft", "cost_usd": model.cost(usage), "latency_s": 0.1, **more}
    return Step(model=model.name, text=text, usage=usage, **fields)  # type: ignore[arg-type]  # tests' own fields


def saved(found: Outcome, baseline: Baseline | None = None) -> object:
    """US dollars; ``None`` where it is not compared."""
    usd = (baseline or Baseline(lambda: MODELS)).cost(found)
    return None if usd is None else pytest.approx(usd - found.cost_usd)


def test_the_same_answer_is_priced_as_the_baseline_would_have_given_it() -> None:
    judge = call(SMALL, "0.9", 30, 1, purpose="judge")
    found = outcome(call(SMALL, "right", 10, 2), judge)
    # 10 + 4 x 2 dollars, less 1 + 0.8, less the judge's 3 + 0.4.
    assert saved(found) == 18.0 - 1.8 - 3.4


def test_what_is_forecast_has_no_part_in_it() -> None:
    found = outcome(call(SMALL, "right"))
    dear = tuple(replace(one, cost_usd=1e6, tokens=1e6) for one in found.forecast.estimates)
    assert saved(replace(found, forecast=Forecast(estimates=dear))) == saved(found)


@given(said=st.integers(1, 4000), cached=st.integers(0, 10), judged=st.booleans())
def test_a_cascade_that_ends_at_the_baseline_loses_all_the_rest(
    said: int, cached: int, judged: bool
) -> None:
    """Its short answers are no reason to claim long ones."""
    usage = Usage(prompt_tokens=10, completion_tokens=said, cached_tokens=cached)
    beside = [call(SMALL, "wrong"), *([call(SMALL, "0.1", purpose="judge")] if judged else [])]
    found = outcome(*beside, call(LARGE, "right", usage=usage), model="large")
    assert saved(found) == -sum(step.cost_usd for step in beside)


@given(said=st.integers(0, 4000), cached=st.integers(0, 10))
def test_always_asking_the_baseline_saves_nothing(said: int, cached: int) -> None:
    usage = Usage(prompt_tokens=10, completion_tokens=said, cached_tokens=cached)
    only = call(LARGE, "right", usage=usage)
    assert saved(outcome(only, model="large")) == 0.0
    broken = replace(only, error="DeadlineError: late", text="")
    assert saved(outcome(broken, text="", model="", error="DeadlineError: late")) == 0.0
    left = replace(only, error="cancelled")
    assert saved(outcome(left, text="", model="", error="CancelledError")) == 0.0


def test_the_baselines_own_bill_counts_where_another_answer_was_chosen() -> None:
    found = outcome(call(SMALL, "right"), call(LARGE, "wrong", 10, 900))
    assert saved(found) == -SMALL.cost(found.steps[0].usage)
    first, chosen = call(LARGE, "wrong", 10, 900), call(LARGE, "right", 10, 3)
    assert saved(outcome(first, chosen, model="large")) == -first.cost_usd


def test_a_baseline_that_failed_where_another_answered_would_have_been_asked_again() -> None:
    failed = call(LARGE, "", 10, 0, error="DeadlineError: late")
    assert saved(outcome(failed, call(SMALL, "right", 10, 2))) == 18.0 - 10.0 - 1.8


def test_a_request_that_failed_saves_nothing_and_costs_what_it_cost() -> None:
    failed = call(SMALL, "", 10, 0, error="BadResponseError: cut")
    found = outcome(failed, text="", model="", error="UnavailableError: all failed")
    assert saved(found) == -1.0
    assert saved(outcome(text="", model="", error="BudgetError: too dear")) is None


def test_of_a_stream_cut_short_what_came_is_compared() -> None:
    left = call(SMALL, "Par", 10, 1, error="cancelled")
    found = outcome(left, text="", model="", error="GeneratorExit")
    assert saved(found) == 14.0 - 1.4
    unheard = replace(left, usage=Usage(prompt_tokens=10), cost_usd=1.0)
    assert saved(replace(found, steps=(unheard,), cost_usd=1.0)) == -1.0
    broken = replace(found, error="UnavailableError: the upstream broke off")
    assert saved(broken) == -1.4


def test_a_service_tier_is_the_baselines_too_or_nothing_is_compared() -> None:
    found = outcome(call(SMALL, "right", 10, 2, service_tier="flex"))
    half = {"small": SMALL, "large": replace(LARGE, service_tiers={"flex": 0.5})}
    assert saved(found, Baseline(lambda: half)) == 9.0 - found.cost_usd
    assert saved(found) is None


def test_several_choices_are_several_with_the_baseline() -> None:
    """Their tokens are in one usage."""
    assert saved(outcome(call(SMALL, "right", 10, 3 * 2))) == 34.0 - 3.4


def test_a_synthesis_is_one_answer_to_the_request_alone() -> None:
    drafts = call(SMALL, "one", 10, 5), call(SMALL, "two", 10, 6)
    written = call(SMALL, "both", 60, 8, purpose="write")
    origins = (Origin(start=0, end=4, drafts=(0, 1)),)
    found = outcome(*drafts, written, text="both", origins=origins)
    assert saved(found) == 10.0 + 4 * 8 - found.cost_usd
    # That the baseline wrote it is not what it would have been asked.
    dear = call(LARGE, "both", 60, 8, purpose="write")
    other = outcome(*drafts, dear, text="both", origins=origins, model="large")
    assert saved(other) == 10.0 + 4 * 8 - other.cost_usd


def test_a_composite_prompt_is_asked_and_answered_once() -> None:
    """Each part brought the conversation's 100 tokens; one prompt has them once."""
    pieces = tuple(
        Piece(prompt=letter * 40, text=text, model="small") for letter, text in ("ax", "by")
    )
    broken = Piece(prompt="c" * 40, text="[none]", error="UnavailableError: down")
    steps = (
        call(SMALL, "x", 110, 3, part=0),
        call(SMALL, "wrong", 110, 900, part=1),
        call(SMALL, "y", 110, 4, part=1),
        call(SMALL, "{}", 50, 9, purpose="label"),
    )
    found = outcome(*steps, text="x y", parts=(*pieces, broken))
    assert saved(found) == 100 + 30 + 4 * 7 - found.cost_usd
    whole = tuple(replace(step, model="large") for step in found.steps)
    theirs = tuple(replace(piece, model="large") for piece in pieces)
    alike = replace(found, steps=whole, parts=(*theirs, broken))
    assert saved(alike) == saved(found)
    # Of what nothing may be kept, the parts' lengths are not known: less is claimed.
    untold = tuple(replace(piece, prompt="", text="") for piece in found.parts)
    blank = tuple(replace(step, text="") for step in steps)
    assert saved(replace(found, text="", parts=untold, steps=blank)) == 138 - found.cost_usd


def test_thinking_is_counted_once_the_baseline_is_seen_to_think() -> None:
    usage = Usage(prompt_tokens=10, completion_tokens=100, reasoning_tokens=98)
    found = outcome(call(SMALL, "right", usage=usage))
    baseline = Baseline(lambda: MODELS)
    assert saved(found, baseline) == 18.0 - found.cost_usd
    baseline.cost(outcome(call(LARGE, "0.9", usage=usage, purpose="judge")))
    assert saved(found, baseline) == 410.0 - found.cost_usd


def test_nothing_is_compared_where_nothing_was_to_be_chosen() -> None:
    found = outcome(call(SMALL, "right"))
    only = Forecast(estimates=found.forecast.estimates[:1])
    assert saved(replace(found, forecast=only)) is None
    named = Forecast(estimates=found.forecast.estimates[1:])
    assert saved(outcome(call(LARGE, "right"), model="large", forecast=named)) is None
    other = replace(found.forecast.estimates[0], model="medium")
    unseen = Forecast(estimates=(found.forecast.estimates[0], other))
    assert saved(replace(found, forecast=unseen)) is None
    assert saved(found, Baseline(lambda: MODELS, "gone")) is None
    cached = replace(found, steps=(), cost_usd=0.0, cached="dec_0", forecast=Forecast(estimates=()))
    assert saved(cached) is None


def test_the_dearest_model_is_that_of_the_catalog_of_now() -> None:
    vectors = replace(LARGE, name="vectors", capabilities=frozenset({"embeddings"}))
    models = {"small": SMALL, "vectors": vectors}
    baseline = Baseline(lambda: models)
    assert baseline.model == "small"
    models = MODELS
    assert baseline.model == "large"
    assert Baseline(lambda: models, "small").model == "small"


def test_both_sums_are_counted_by_the_baselines_name() -> None:
    found = outcome(call(SMALL, "right", usage=USAGE), call(SMALL, "0.9", purpose="judge"))
    told = observed(fresh("small"), found)
    assert told["emafusion_compared_usd_total/small"] == pytest.approx(found.cost_usd)
    assert told["emafusion_baseline_usd_total/small"] == pytest.approx(found.steps[0].cost_usd)


def test_real_cascades_to_the_dearest_model_are_a_small_loss() -> None:
    usage = Usage(prompt_tokens=40, completion_tokens=4)
    scripts = {name: Script(text=name, usage=usage) for name in MODELS}
    small = replace(SMALL, usd_per_mtok_in=0.1, usd_per_mtok_out=0.4)
    large = replace(LARGE, usd_per_mtok_in=2.0, usd_per_mtok_out=8.0)
    metrics = Metrics(Baseline(lambda: {"small": small, "large": large}))
    operations = Operations(metrics=metrics, listeners=(metrics,))
    with operated(client_of(scripts, models=(small, large)), operations) as house:
        for number in range(10):
            body = asking(f"What is {number} + 2?", emafusion={"arrangement": "cascade"})
            assert house.ask(body).headers["x-emafusion-model"] == "large"

        def told() -> dict[str, float]:
            return figures(house.get("/metrics").content.decode())

        route = "cascade/large//v1/chat/completions/200"
        until(lambda: told().get(f"emafusion_requests_total/{route}") == 10)
        found = told()
    assert found["emafusion_calls_total/small/discarded/answered"] == 10
    baseline = found["emafusion_baseline_usd_total/large"]
    assert baseline == pytest.approx(10 * large.cost(usage))
    assert found["emafusion_compared_usd_total/large"] == pytest.approx(1.05 * baseline)
