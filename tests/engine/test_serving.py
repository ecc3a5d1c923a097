"""One request, front to back, with real stages and scripted models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from emafusion.client import Client
from emafusion.engine import Engine, Stages
from emafusion.errors import (
    BudgetError,
    EmafusionError,
    NoModelError,
    ProviderError,
    RejectedError,
    RequestError,
    StoreError,
    UnavailableError,
)
from emafusion.judge import CalibratedPanel
from emafusion.plan import FittedRule, Lookahead, UtilityPlanner
from emafusion.predict import Union
from emafusion.protect import VisibilityProtector
from emafusion.protocols import Recorder
from emafusion.record import Memory
from emafusion.testing import ScriptedProvider
from emafusion.types import Adaptive, Answer, Chunk, Feedback, Knobs, Labels, Model, Outcome

from .staged import Classifier, Clock

EVEN = Labels(axes={"task": {"question_answering": 1.0}})


class Full:
    """A recorder whose disk is full."""

    async def record(self, outcome: Outcome) -> None:
        raise StoreError("the disk is full; free some")

    async def note(self, feedback: Feedback) -> None:
        raise StoreError("the disk is full; free some")

    async def noted(self, after: int = 0, limit: int = 1000) -> tuple[tuple[int, Feedback], ...]:
        return ()

    async def find(self, decision_id: str) -> Outcome | None:
        return None

    async def aclose(self) -> None:
        pass


def model(name: str, price: float, ability: float, provider: str | None = None) -> Model:
    return Model(
        name=name,
        provider=provider or name,
        upstream=name,
        usd_per_mtok_in=price,
        usd_per_mtok_out=price,
        ability={"overall": ability},
        ability_weight=200.0,
        visibility="private" if name == "small" else "public",
    )


POOL = (model("small", 0.1, 0.6), model("large", 5.0, 0.9))


def client(
    small: ScriptedProvider,
    large: ScriptedProvider,
    *,
    recorder: Recorder | None = None,
    knobs: Knobs | None = None,
    rule: FittedRule | None = None,
) -> Client:
    stages = Stages(
        protector=VisibilityProtector(),
        classifier=Classifier(),
        predictor=Union(),
        planner=UtilityPlanner(rule=rule),
        panel=CalibratedPanel(),
        recorder=recorder or Memory(),
        rule=rule,
    )
    providers = {"small": small, "large": large}
    return Client(Engine(stages, POOL, providers=providers, clock=Clock(), knobs=knobs))


def doubting() -> FittedRule:
    """Begins with the small model; goes on to the large one below a confidence of six in ten."""
    settings, width = 3, 12 + 2 * 2
    weights = np.zeros((4, settings, width + 1, 2))
    weights[:, :, 0, :], weights[:, :, 1, :] = 0.6, -1.0
    lookahead = Lookahead(
        ("small", "large"),
        np.geomspace(1.0, 100.0, settings),
        mean=np.zeros((4, width)),
        scale=np.ones((4, width)),
        weights=weights,
        outlook=np.zeros((settings, width + 1, 2)),
    )
    return FittedRule(lookahead)


REFUSAL = "I'm sorry, I cannot help with that."


async def pieces(fusion: Client, question: str, **knobs: object) -> tuple[list[Chunk], Answer]:
    found: list[Chunk | Answer] = [p async for p in fusion.stream(question, **knobs)]  # type: ignore[arg-type]
    assert isinstance(found[-1], Answer)
    return [p for p in found[:-1] if isinstance(p, Chunk)], found[-1]


async def test_a_cascade_stops_at_a_trusted_draft() -> None:
    small, large = ScriptedProvider("4", logprob=-0.001), ScriptedProvider("5")
    answer = await client(small, large).answer("What is 2 + 2?", arrangement="cascade", prefer=0.3)
    assert (answer.text, answer.model) == ("4", "small")
    assert large.calls == []
    assert len(answer.outcome.steps) == 1


async def test_a_cascade_goes_on_after_a_doubtful_draft_and_pays_for_both() -> None:
    small, large = ScriptedProvider("I'm sorry, I cannot help with that."), ScriptedProvider("4")
    answer = await client(small, large).answer("What is 2 + 2?", arrangement="cascade", prefer=0.9)
    assert (answer.text, answer.model) == ("4", "large")
    assert [step.model for step in answer.outcome.steps] == ["small", "large"]
    assert answer.cost_usd == pytest.approx(sum(step.cost_usd for step in answer.outcome.steps))
    assert answer.outcome.tier == 1


async def test_a_fusion_votes() -> None:
    small, large = ScriptedProvider("5"), ScriptedProvider("The answer is 4")
    answer = await client(small, large).answer("How much is 2 + 2?", arrangement="fusion")
    assert answer.model == "large"
    assert len(answer.outcome.steps) == 2


async def test_a_failed_model_never_loses_the_request() -> None:
    small, large = ScriptedProvider("4"), ScriptedProvider(UnavailableError("gone", "large"))
    answer = await client(small, large).answer("What is 2 + 2?", arrangement="single", prefer=1.0)
    assert (answer.text, answer.model) == ("4", "small")
    assert [step.error for step in answer.outcome.steps] == ["UnavailableError: gone", None]


async def test_when_every_model_fails_the_spend_is_still_recorded() -> None:
    gone = UnavailableError("gone", "x")
    memory = Memory()
    fusion = client(ScriptedProvider(gone), ScriptedProvider(gone), recorder=memory)
    with pytest.raises(UnavailableError):
        await fusion.answer("What is 2 + 2?")
    (kept,) = await memory.recent(5)
    assert kept.error == "UnavailableError: gone"
    assert len(kept.steps) >= 2


async def test_no_answer_is_given_that_has_no_record() -> None:
    fusion = client(ScriptedProvider("4"), ScriptedProvider("4"), recorder=Full())
    with pytest.raises(StoreError, match="disk is full"):
        await fusion.answer("What is 2 + 2?")


async def test_private_requests_reach_private_models_only() -> None:
    small, large = ScriptedProvider("4"), ScriptedProvider("4")
    answer = await client(small, large).answer("What is 2 + 2?", private=True, prefer=1.0)
    assert answer.model == "small"
    assert large.calls == []


async def test_private_requests_without_a_private_model_are_refused() -> None:
    fusion = client(ScriptedProvider("4"), ScriptedProvider("4"))
    with pytest.raises(NoModelError, match="visibility = 'private'"):
        await fusion.answer("What is 2 + 2?", private=True, models=["large"])


async def test_a_single_plan_streams_as_it_speaks() -> None:
    large = ScriptedProvider("a rather long answer to a short question", piece=5)
    chunks, answer = await pieces(
        client(ScriptedProvider("x"), large), "Say something.", arrangement="single", prefer=1.0
    )
    assert len(chunks) > 3
    assert "".join(chunk.text for chunk in chunks) == answer.text
    assert answer.confidence > 0


async def test_an_accepted_draft_streams_in_one_piece() -> None:
    small = ScriptedProvider("4", logprob=-0.001)
    chunks, answer = await pieces(
        client(small, ScriptedProvider("5")), "What is 2 + 2?", arrangement="cascade", prefer=0.3
    )
    assert [chunk.text for chunk in chunks] == ["4"]
    assert answer.model == "small"


async def test_a_stream_that_fails_before_its_first_chunk_moves_on() -> None:
    small, large = ScriptedProvider("4"), ScriptedProvider(UnavailableError("gone", "large"))
    chunks, answer = await pieces(
        client(small, large), "What is 2 + 2?", arrangement="single", prefer=1.0
    )
    assert "".join(chunk.text for chunk in chunks) == "4"
    assert answer.model == "small"


async def test_a_client_that_leaves_cancels_the_upstream_and_is_recorded() -> None:
    memory, large = Memory(), ScriptedProvider("a long answer " * 20, piece=4)
    fusion = client(ScriptedProvider("x"), large, recorder=memory)
    stream = fusion.stream("Say something.", arrangement="single", prefer=1.0)
    await anext(stream)
    await stream.aclose()
    (kept,) = await memory.recent(5)
    assert kept.error == "GeneratorExit"
    assert kept.cost_usd > 0
    assert large.cancelled == 1


async def test_a_budget_bounds_everything_the_request_spends() -> None:
    small, large = ScriptedProvider("4"), ScriptedProvider("4")
    with pytest.raises(BudgetError):
        await client(small, large).answer("What is 2 + 2?", max_cost_usd=1e-9)
    assert small.calls == large.calls == []


async def test_the_policys_knobs_hold_unless_the_caller_sets_them() -> None:
    fusion = client(
        ScriptedProvider("4"), ScriptedProvider("5"), knobs=Knobs(prefer=0.0, arrangement="single")
    )
    assert (await fusion.answer("What is 2 + 2?")).model == "small"
    assert (await fusion.answer("What is 2 + 2?", prefer=1.0)).model == "large"


def test_the_synchronous_face_gives_the_same_answer() -> None:
    with client(ScriptedProvider("4"), ScriptedProvider("5")) as fusion:
        answer = fusion.answer_sync("What is 2 + 2?", arrangement="single", prefer=0.0)
    assert answer.text == "4"


@pytest.mark.parametrize(
    ("messages", "knobs", "message"),
    [
        ([], {}, "messages is empty"),
        ([{"role": "user", "content": "  "}], {}, "every message is empty"),
        ([{"content": "hi"}], {}, r"messages\[0\] needs a role"),
        ([{"role": "user", "content": 3}], {}, r"messages\[0\]\.content must be"),
        ([{"role": "user"}], {}, r"messages\[0\] has no content"),
        ("hi", {"prefre": 1}, "unknown knob 'prefre'"),
        ("hi", {"prefer": 7}, "prefer"),
        ("hi", {"params": 3}, "params must be a mapping"),
    ],
)
async def test_bad_input_is_named(
    messages: str | Sequence[dict[str, object]], knobs: dict[str, object], message: str
) -> None:
    fusion = client(ScriptedProvider("4"), ScriptedProvider("5"))
    with pytest.raises(RequestError, match=message):
        await fusion.answer(messages, **knobs)  # type: ignore[arg-type]  # wrong on purpose


async def test_an_unknown_model_is_an_error() -> None:
    fusion = client(ScriptedProvider("4"), ScriptedProvider("5"))
    with pytest.raises(EmafusionError, match=r"'lrage'.*'large'"):
        await fusion.answer("hi", models=["lrage"])


async def test_the_explanation_tells_the_whole_story() -> None:
    answer = await client(ScriptedProvider("4"), ScriptedProvider("5")).answer("What is 2 + 2?")
    told = answer.explain()
    for word in ("forecast", "plan", "draft", "verdict", "total", answer.decision_id, answer.model):
        assert word in told


async def test_an_adaptive_plan_stops_at_a_trusted_draft() -> None:
    small, large = ScriptedProvider("4", logprob=-0.001), ScriptedProvider("5")
    answer = await client(small, large, rule=doubting()).answer("What is 2 + 2?")
    assert answer.plan.arrangement == Adaptive(pool=("small", "large"), start="small", setting=1)
    assert (answer.text, answer.model) == ("4", "small")
    assert large.calls == []


async def test_an_adaptive_plan_goes_on_after_a_doubtful_draft_and_pays_for_both() -> None:
    small, large = ScriptedProvider(REFUSAL), ScriptedProvider("4")
    answer = await client(small, large, rule=doubting()).answer("What is 2 + 2?")
    assert (answer.text, answer.model) == ("4", "large")
    assert [step.model for step in answer.outcome.steps] == ["small", "large"]
    assert answer.cost_usd == pytest.approx(sum(step.cost_usd for step in answer.outcome.steps))
    assert answer.outcome.tier == 1
    assert "adaptive" in answer.explain() or "⇢" in answer.explain()


async def test_an_adaptive_plan_streams_its_answer_in_one_piece() -> None:
    small, large = ScriptedProvider(REFUSAL), ScriptedProvider("The answer is 4.", piece=3)
    fusion = client(small, large, rule=doubting())
    chunks, answer = await pieces(fusion, "What is 2 + 2?")
    assert [chunk.text for chunk in chunks] == ["The answer is 4."]
    assert answer.model == "large"


async def test_a_failed_model_of_an_adaptive_plan_is_passed_over() -> None:
    small, large = ScriptedProvider(UnavailableError("gone", "small")), ScriptedProvider("4")
    answer = await client(small, large, rule=doubting()).answer("What is 2 + 2?")
    assert (answer.text, answer.model) == ("4", "large")
    assert len(small.calls) == 1


async def test_when_every_model_of_an_adaptive_plan_fails_its_fallbacks_are_asked() -> None:
    """They may have recovered: the large one has at its second call."""
    small = ScriptedProvider(UnavailableError("gone", "small"))
    large = ScriptedProvider([UnavailableError("gone", "large"), "4"])
    answer = await client(small, large, rule=doubting()).answer("What is 2 + 2?")
    assert (answer.text, answer.model) == ("4", "large")
    assert [step.model for step in answer.outcome.steps] == ["small", "large", "large"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("arrangement", ["auto", "single", "cascade", "fusion"])
async def test_what_every_model_refuses_is_asked_once_of_each(
    arrangement: str, streamed: bool
) -> None:
    memory = Memory()
    providers = (ScriptedProvider(RejectedError("400", name)) for name in ("small", "large"))
    fusion = client(*providers, recorder=memory, rule=doubting())
    with pytest.raises(RejectedError):
        if streamed:
            await pieces(fusion, "Is it?", arrangement=arrangement)
        else:
            await fusion.answer("Is it?", arrangement=arrangement)  # type: ignore[arg-type]  # it is
    (kept,) = await memory.recent(5)
    assert sorted(step.model for step in kept.steps) == ["large", "small"]


@pytest.mark.parametrize("failure", [RejectedError("400", "large"), UnavailableError("0", "large")])
async def test_a_model_asked_by_name_is_asked_once(failure: ProviderError) -> None:
    large = ScriptedProvider(failure)
    with pytest.raises(ProviderError):
        await client(ScriptedProvider(), large).answer("Is it?", models=["large"])
    assert len(large.calls) == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_adaptive_plan_that_nobody_can_answer_is_an_error(streamed: bool) -> None:
    gone = UnavailableError("gone", "x")
    memory = Memory()
    fusion = client(
        ScriptedProvider(gone), ScriptedProvider(gone), recorder=memory, rule=doubting()
    )
    with pytest.raises(UnavailableError):
        await (pieces(fusion, "Is it?") if streamed else fusion.answer("Is it?"))
    (kept,) = await memory.recent(5)
    assert kept.error == "UnavailableError: gone"
    assert {step.model for step in kept.steps} == {"small", "large"}


async def test_an_adaptive_plan_never_spends_more_than_the_limit() -> None:
    """Both models are within the limit alone; together they are not."""
    small, large = ScriptedProvider(REFUSAL), ScriptedProvider("4")
    fusion = client(small, large, rule=doubting())
    free = await fusion.answer("What is 2 + 2?", params={"max_tokens": 20})
    estimates = {e.model: e.cost_usd for e in free.outcome.forecast.estimates}
    limit = estimates["large"] + estimates["small"] * 0.01
    bound = await fusion.answer("What is 2 + 2?", params={"max_tokens": 20}, max_cost_usd=limit)
    assert isinstance(bound.plan.arrangement, Adaptive)
    assert bound.cost_usd <= limit
    assert [step.model for step in bound.outcome.steps] == ["small"]


@pytest.mark.parametrize("knobs", [{"models": ["small"]}, {"private": True}])
async def test_an_adaptive_plan_reaches_permitted_models_only(knobs: dict[str, object]) -> None:
    small, large = ScriptedProvider(REFUSAL), ScriptedProvider("4")
    answer = await client(small, large, rule=doubting()).answer("What is 2 + 2?", **knobs)  # type: ignore[arg-type]  # the tests' knobs are right
    assert answer.model == "small"
    assert large.calls == []
    assert "large" not in (*answer.plan.arrangement.models, *answer.plan.fallbacks)
