"""The laws of the arrangements."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.errors import (
    AuthenticationError,
    BadResponseError,
    DeadlineError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from emafusion.execute import Ask, Trial, carry_out, settle
from emafusion.execute.vote import vote
from emafusion.protocols import Port
from emafusion.providers.ending import BrokenOff
from emafusion.types import (
    Adaptive,
    Arranged,
    Assessment,
    Cascade,
    Completion,
    Draft,
    Estimate,
    Forecast,
    Fusion,
    Message,
    Model,
    Plan,
    Request,
    Single,
    Tier,
    Usage,
    replace,
)


class Desk:
    """A port whose models answer their own name, or what they are told to."""

    def __init__(self, answers: dict[str, str] | None = None, broken: Sequence[str] = ()) -> None:
        self.answers = answers or {}
        self.broken = broken
        self.asked: list[str] = []

    async def complete(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        purpose: object = "draft",
        params: object = None,
    ) -> Draft:
        self.asked.append(model)
        await asyncio.sleep(0)
        if model in self.broken:
            raise UnavailableError("broken", model)
        text = self.answers.get(model, model)
        done = Completion(text=text, usage=Usage())
        return Draft(model=model, completion=done, cost_usd=1.0, latency_s=1.0)


class Sure:
    """A panel that is as sure of each model's draft as it is told to be."""

    def __init__(self, confidence: dict[str, float]) -> None:
        self.confidence = confidence

    async def assess(
        self,
        request: Request,
        forecast: Forecast,
        drafts: Sequence[Draft],
        *,
        port: Port,
        judge: str | None = None,
    ) -> Assessment:
        bonus = 0.3 if judge else 0.0
        return Assessment(
            confidences=tuple(min(self.confidence[d.model] + bonus, 1.0) for d in drafts)
        )


class Order:
    """A rule that asks its models in order until the confidence suffices."""

    def __init__(self, *names: str, accept: float = 0.7) -> None:
        self.names = names
        self.accept = accept
        self.told: list[tuple[float | None, tuple[str, ...], tuple[str, ...]]] = []

    def next(
        self,
        plan: Adaptive,
        forecast: Forecast,
        assessment: Assessment | None,
        *,
        heard: Sequence[str],
        allowed: Sequence[str],
    ) -> str | None:
        confidence = None if assessment is None else assessment.confidence
        self.told.append((confidence, tuple(heard), tuple(allowed)))
        if confidence is not None and confidence >= self.accept:
            return None
        return next((name for name in self.names if name in allowed), None)


def trial(
    plan: Arranged,
    desk: Desk,
    panel: Sure,
    *,
    question: str = "hm",
    rule: Order | None = None,
    limits: tuple[float | None, float | None] = (None, None),
) -> Trial:
    request = Request(id="x", messages=({"role": "user", "content": question},))
    models = sorted({*plan.models, *panel.confidence})
    forecast = Forecast(
        estimates=tuple(
            Estimate(model=m, quality=0.6, quality_std=0, cost_usd=1, latency_s=1) for m in models
        )
    )
    full = Plan(
        arrangement=plan,
        quality=0.6,
        cost_usd=1,
        latency_s=1,
        max_cost_usd=limits[0],
        max_latency_s=limits[1],
    )
    ask = Ask(request=request, forecast=forecast, plan=full)
    return Trial(ask, port=desk, panel=panel, rule=rule)


def adaptive(*names: str) -> Adaptive:
    return Adaptive(pool=names, start=names[0], setting=0)


def tiers(*names: str, accept: float = 0.7) -> Cascade:
    return Cascade(tiers=tuple(Tier(models=(name,), accept=accept) for name in names))


async def test_a_single_plan_names_its_model_and_asks_nobody() -> None:
    desk = Desk()
    assert await carry_out(trial(Single(model="a"), desk, Sure({"a": 1.0}))) == "a"
    assert desk.asked == []


@settings(max_examples=60, deadline=None)
@given(confidences=st.lists(st.floats(0, 1), min_size=2, max_size=5), accept=st.floats(0, 1))
def test_a_cascade_never_asks_a_tier_after_an_accepted_one(
    confidences: list[float], accept: float
) -> None:
    names = [f"m{i}" for i in range(len(confidences))]
    told = dict(zip(names, confidences, strict=True))
    desk = Desk()
    last = asyncio.run(carry_out(trial(tiers(*names, accept=accept), desk, Sure(told))))
    best = [max(confidences[: i + 1]) for i in range(len(names) - 1)]
    accepted = next((i for i, c in enumerate(best) if c >= accept), None)
    if accepted is None:
        assert desk.asked == names[:-1]
        assert last == names[-1]
    else:
        assert desk.asked == names[: accepted + 1]
        assert last is None


async def test_a_broken_tier_is_passed_over() -> None:
    desk = Desk(broken=["a"])
    work = trial(tiers("a", "b", "c"), desk, Sure({"b": 0.9, "c": 0.9}))
    assert await carry_out(work) is None
    assert [draft.model for draft in work.drafts] == ["b"]
    assert isinstance(work.failures[0], UnavailableError)


async def test_a_model_judge_is_asked_only_within_the_band() -> None:
    near = Cascade(
        tiers=(
            Tier(models=("a",), accept=0.7, judge="j", band=0.2),
            Tier(models=("b",), accept=0.0),
        )
    )
    assert await carry_out(trial(near, Desk(), Sure({"a": 0.6, "b": 0.5}))) is None
    assert await carry_out(trial(near, Desk(), Sure({"a": 0.3, "b": 0.5}))) == "b"


async def test_an_adaptive_plan_asks_as_its_rule_says_until_it_accepts() -> None:
    desk, rule = Desk(), Order("c", "b")
    work = trial(adaptive("a", "b", "c"), desk, Sure({"a": 0.2, "b": 0.9, "c": 0.6}), rule=rule)
    assert await carry_out(work) is None
    assert desk.asked == ["a", "c", "b"]
    assert work.tier == 2
    assert rule.told == [
        (0.2, ("a",), ("b", "c")),
        (0.6, ("a", "c"), ("b",)),
    ]
    assert work.drafts[(await settle(work)).chosen].model == "b"


async def test_the_last_draft_is_judged_with_the_others_and_may_lose() -> None:
    work = trial(adaptive("a", "b"), Desk(), Sure({"a": 0.6, "b": 0.1}), rule=Order("b"))
    assert await carry_out(work) is None
    settled = await settle(work)
    assert (work.drafts[settled.chosen].model, settled.confidence) == ("a", 0.6)


async def test_an_adaptive_plan_without_a_rule_asks_its_first_model_alone() -> None:
    desk = Desk()
    assert await carry_out(trial(adaptive("a", "b"), desk, Sure({"a": 0.1, "b": 0.9}))) is None
    assert desk.asked == ["a"]


async def test_a_model_that_failed_is_not_asked_again_and_counts_as_unheard() -> None:
    desk, rule = Desk(broken=["a", "b"]), Order("a", "b", "c")
    work = trial(adaptive("a", "b", "c"), desk, Sure({"c": 0.1}), rule=rule)
    assert await carry_out(work) is None
    assert desk.asked == ["a", "b", "c"]
    assert rule.told[:2] == [(None, (), ("b", "c")), (None, (), ("c",))]
    assert len(work.failures) == 2


@pytest.mark.parametrize(
    ("limits", "asked"),
    [
        ((None, None), ["a", "b", "c", "d"]),
        ((2.0, None), ["a", "b"]),
        ((3.5, None), ["a", "b", "c"]),
        ((None, 2.5), ["a", "b"]),
        ((0.5, None), ["a"]),
    ],
)
async def test_nobody_is_asked_whom_the_rest_of_the_limits_cannot_pay(
    limits: tuple[float | None, float | None], asked: list[str]
) -> None:
    """Every call takes one dollar and one second; the first one was the planner's to weigh."""
    desk = Desk()
    sure = Sure(dict.fromkeys("abcd", 0.1))
    await carry_out(trial(adaptive(*"abcd"), desk, sure, rule=Order(*"abcd"), limits=limits))
    assert desk.asked == asked


@settings(max_examples=80, deadline=None)
@given(
    order=st.permutations("abcd"),
    broken=st.sets(st.sampled_from("abcd")),
    confidences=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    limit=st.none() | st.floats(1.0, 6.0),
)
def test_an_adaptive_plan_asks_nobody_twice_and_keeps_its_purse(
    order: list[str], broken: set[str], confidences: list[float], limit: float | None
) -> None:
    desk, rule = Desk(broken=sorted(broken)), Order(*order)
    sure = Sure(dict(zip("abcd", confidences, strict=True)))
    work = trial(adaptive(*"abcd"), desk, sure, rule=rule, limits=(limit, None))
    assert asyncio.run(carry_out(work)) is None
    assert len(set(desk.asked)) == len(desk.asked)
    assert desk.asked[0] == "a"
    assert sum(draft.cost_usd for draft in work.drafts) <= (limit or 4.0)
    assert [draft.model for draft in work.drafts] == [m for m in desk.asked if m not in broken]
    best = max((sure.confidence[draft.model] for draft in work.drafts), default=0.0)
    left = set("abcd") - set(desk.asked)
    assert best >= rule.accept or not left or (limit is not None and len(work.drafts) + 1 > limit)


async def test_a_fusion_asks_its_whole_panel_and_votes() -> None:
    desk = Desk({"a": "The answer is 7", "b": "7", "c": "9"})
    work = trial(
        Fusion(panel=("a", "b", "c")),
        desk,
        Sure({"a": 0.5, "b": 0.4, "c": 0.8}),
        question="How many are there?",
    )
    assert await carry_out(work) is None
    settled = await settle(work)
    assert work.drafts[settled.chosen].model == "a"


async def test_a_model_named_twice_is_sampled_twice() -> None:
    desk = Desk()
    work = trial(Fusion(panel=("a", "a", "a")), desk, Sure({"a": 0.5}))
    await carry_out(work)
    assert desk.asked == ["a", "a", "a"]


async def test_what_was_streamed_is_the_answer_whatever_the_panel_prefers() -> None:
    work = trial(tiers("a", "b"), Desk(), Sure({"a": 0.6, "b": 0.1}))
    assert await carry_out(work) == "b"
    await work.question(["b"])
    assert (await settle(work, last=True)).chosen == 1
    assert (await settle(work)).chosen == 0


async def test_fallbacks_skip_models_that_have_answered() -> None:
    desk = Desk(broken=["b"])
    work = trial(tiers("a", "b"), desk, Sure({"a": 0.1, "b": 0.1, "c": 0.5}))
    await carry_out(work)
    assert await work.question_until_answered(["b", "a", "c"])
    assert desk.asked == ["a", "b", "c"]


class Failing(Desk):
    """A port whose models fail with `failure`; of them, it knows some to be `down`."""

    def __init__(self, failure: ProviderError, down: Sequence[str] = ()) -> None:
        super().__init__()
        self.failure = failure
        self.down = down

    async def complete(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        purpose: object = "draft",
        params: object = None,
    ) -> Draft:
        self.asked.append(model)
        raise self.failure

    def reachable(self, model: Model) -> bool:
        return model.name not in self.down


MODEL = Model(name="a", provider="p", upstream="a", usd_per_mtok_in=1.0, usd_per_mtok_out=1.0)


@pytest.mark.parametrize(
    ("failure", "calls"),
    [
        (RejectedError("400", "a"), 1),
        (AuthenticationError("401", "a"), 1),
        (BadResponseError("page", "a"), 1),
        (DeadlineError("late", "a"), 1),
        (BrokenOff("amid", "a"), 1),
        (RateLimitedError("429", "a", retry_after_s=60.0), 1),
        (BrokenOff("before", "a", begun=False), 2),
        (RateLimitedError("429", "a"), 2),
        (UnavailableError("503", "a"), 2),
    ],
)
async def test_a_model_is_asked_again_only_after_what_may_pass(
    failure: ProviderError, calls: int
) -> None:
    desk = Failing(failure)
    work = trial(Single(model="a"), desk, Sure({"a": 0.5}))
    assert not await work.question_until_answered(["a", "a"])
    assert desk.asked == ["a"] * calls


@pytest.mark.parametrize(("down", "calls"), [((), 2), (("a",), 1)])
async def test_a_model_whose_breaker_is_open_is_not_asked_again(
    down: Sequence[str], calls: int
) -> None:
    desk = Failing(UnavailableError("503", "a"), down)
    work = trial(Single(model="a"), desk, Sure({"a": 0.5}))
    work.ask = replace(work.ask, models=(MODEL,))
    await work.question_until_answered(["a", "a"])
    assert desk.asked == ["a"] * calls


def test_drafts_without_an_answer_never_vote() -> None:
    assert vote([None, None, "4"], [5.0, 5.0, 0.1]) == [2]
    assert vote([None, None], [1.0, 1.0]) == [0, 1]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 5)), min_size=1, max_size=8))
def test_the_winner_carries_at_least_as_much_weight_as_any_other(
    ballots: list[tuple[str, float]],
) -> None:
    keys, weights = [k for k, _ in ballots], [w for _, w in ballots]
    won = keys[vote(keys, weights)[0]]
    totals = {k: sum(w for other, w in ballots if other == k) for k in keys}
    assert totals[won] == pytest.approx(max(totals.values()))
