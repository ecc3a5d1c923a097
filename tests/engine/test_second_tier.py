"""Differing drafts compared or rewritten through the engine, under a fitted policy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from emafusion.client import Client
from emafusion.engine import Engine, Stages
from emafusion.errors import UnavailableError
from emafusion.judge import CalibratedPanel
from emafusion.plan.combining import FEATURES, Action, FittedCombiner, Gain
from emafusion.predict import Union
from emafusion.protect import VisibilityProtector
from emafusion.protocols import Combiner, Panel, Port
from emafusion.record import Memory
from emafusion.testing import ScriptedProvider
from emafusion.types import (
    Answer,
    Assessment,
    Call,
    Draft,
    Forecast,
    Fusion,
    Model,
    Plan,
    Request,
    replace,
)

from .staged import Classifier, Clock

ASK = "Write a short note on why rivers bend."
BEND = "Rivers bend because the outer bank wears away faster than the inner one."
SAND = "The inner bank gathers sand and gravel, which the slower water drops there."
WRITTEN = f"{BEND} {SAND}"


class Rivals(CalibratedPanel):
    """A panel to which every draft is an answer of its own, the first one the best."""

    async def assess(
        self,
        request: Request,
        forecast: Forecast,
        drafts: Sequence[Draft],
        *,
        port: Port,
        judge: str | None = None,
    ) -> Assessment:
        sure = tuple(0.6 - place / 10 for place in range(len(drafts)))
        return Assessment(confidences=sure, second=sure[1] if len(sure) > 1 else 0.0)


class Both:
    """A planner that asks the two drafters together; the third may stand in."""

    def plan(self, request: Request, forecast: Forecast, models: Sequence[Model]) -> Plan:
        return Plan(
            arrangement=Fusion(panel=("bend", "sand")),
            quality=0.6,
            cost_usd=0.0,
            latency_s=1.0,
            fallbacks=tuple(m.name for m in models if m.name not in ("bend", "sand")),
            max_cost_usd=request.knobs.max_cost_usd,
            usd_per_quality=1.0,
        )


def policy(action: Action, expected: float = 0.3) -> FittedCombiner:
    weights = np.zeros(2 + len(FEATURES))
    weights[0] = expected
    found = Gain(
        by=("third",),
        mean=np.zeros(len(FEATURES)),
        scale=np.ones(len(FEATURES)),
        weights=weights,
        covariance=np.zeros((len(weights), len(weights))),
        weight=1.0,
    )
    return FittedCombiner({action: found})


class Third(ScriptedProvider):
    """Writes the whole, and says which of two answers is about sand."""

    def __init__(self, written: str | Exception = WRITTEN) -> None:
        def reply(call: Call) -> str | Exception:
            if call.purpose == "judge" and isinstance(written, str):
                first = str(call.messages[-1]["content"]).split("ANSWER 2")[0]
                return "1" if SAND in first else "2"
            return written

        super().__init__(reply)


def client(
    combiner: Combiner | None,
    third: Third,
    window: int = 8192,
    *,
    panel: Panel | None = None,
) -> Client:
    models = [
        Model(
            name=name,
            provider=name,
            upstream=name,
            usd_per_mtok_in=1.0,
            usd_per_mtok_out=1.0,
            context_window=window if name == "third" else 8192,
            max_output=1024,
        )
        for name in ("bend", "sand", "third")
    ]
    stages = Stages(
        protector=VisibilityProtector(),
        classifier=Classifier(),
        predictor=Union(),
        planner=Both(),
        panel=panel or Rivals(),
        recorder=Memory(),
        combiner=combiner,
    )
    parts = {"bend": ScriptedProvider(BEND), "sand": ScriptedProvider(SAND), "third": third}
    return Client(Engine(stages, models, providers=parts, clock=Clock()))


def purposes(answer: Answer) -> list[str]:
    return [step.purpose for step in answer.outcome.steps]


async def test_a_synthesis_that_pays_is_written_and_explained() -> None:
    answer = await client(policy("synthesise"), Third()).answer(ASK)
    assert (answer.text, answer.model) == (WRITTEN, "third")
    assert purposes(answer) == ["draft", "draft", "write"]
    assert answer.cost_usd == pytest.approx(sum(s.cost_usd for s in answer.outcome.steps))
    assert "combining   synthesise by third: expected to add 0.30" in answer.explain()
    assert "provenance" in answer.explain()


async def test_a_comparison_that_pays_is_asked_both_ways_and_decides() -> None:
    answer = await client(policy("compare"), Third()).answer(ASK)
    assert (answer.text, answer.model) == (SAND, "sand")
    assert purposes(answer) == ["draft", "draft", "judge", "judge"]
    assert "verdict     comparison on draft 2" in answer.explain()
    assert "combining   compare by third" in answer.explain()


@pytest.mark.parametrize("combiner", [None, policy("synthesise", -0.1), policy("compare", 0.0)])
async def test_where_nothing_pays_the_answer_is_the_selected_draft(
    combiner: Combiner | None,
) -> None:
    answer = await client(combiner, Third()).answer(ASK)
    bare = await client(None, Third()).answer(ASK)
    assert (answer.text, answer.confidence) == (bare.text, bare.confidence)
    assert purposes(answer) == ["draft", "draft"]
    assert answer.plan == bare.plan
    assert ("combining   select" in answer.explain()) == (combiner is not None)


@pytest.mark.parametrize("action", ["synthesise", "compare"])
async def test_a_failed_call_leaves_the_selected_draft(action: Action) -> None:
    third = Third(UnavailableError("down", "third"))
    answer = await client(policy(action), third).answer(ASK)
    assert answer.text == BEND
    assert answer.outcome.steps[-1].error
    pieces = [piece async for piece in client(policy(action), third).stream(ASK)]
    assert isinstance(pieces[-1], Answer)
    assert pieces[-1].text == BEND


class Second(Rivals):
    """The same, but the last draft is the best."""

    async def assess(
        self,
        request: Request,
        forecast: Forecast,
        drafts: Sequence[Draft],
        *,
        port: Port,
        judge: str | None = None,
    ) -> Assessment:
        found = await super().assess(request, forecast, drafts, port=port, judge=judge)
        return replace(found, confidences=found.confidences[::-1])


@pytest.mark.parametrize("written", [UnavailableError("down", "third"), "", "unread"])
async def test_where_nothing_was_written_the_most_trusted_draft_stands(
    written: str | Exception,
) -> None:
    combiner = policy("synthesise") if written != "unread" else policy("synthesise", -0.1)
    answer = await client(combiner, Third(written), panel=Second()).answer(ASK)
    # A vote would have gone to the first draft: its model is expected to be as able.
    assert (answer.text, answer.model, answer.confidence) == (SAND, "sand", 0.6)
    assert answer.outcome.origins == ()


@pytest.mark.parametrize(("share", "written"), [(1.9, False), (2.1, True)])
async def test_twice_the_expected_cost_of_a_call_must_be_left(share: float, written: bool) -> None:
    combiner = policy("synthesise")
    bare = await client(None, Third()).answer(ASK)
    told = (await client(combiner, Third()).answer(ASK)).outcome.combining
    expected = float(told.rpartition("$")[2])
    limit = bare.cost_usd + share * expected
    answer = await client(combiner, Third()).answer(
        ASK, max_cost_usd=limit, params={"max_tokens": 32}
    )
    assert answer.outcome.combining.startswith("synthesise" if written else "select")


async def test_the_price_of_waiting_is_not_held_against_the_limit_of_money() -> None:
    bare = await client(None, Third()).answer(ASK)
    patient = FittedCombiner(policy("synthesise").gains, usd_per_second=0.01)
    answer = await client(patient, Third()).answer(
        ASK, max_cost_usd=bare.cost_usd + 0.005, params={"max_tokens": 32}
    )
    assert answer.outcome.combining.startswith("synthesise")
    hasty = FittedCombiner(policy("synthesise").gains, usd_per_second=1.0)
    answer = await client(hasty, Third()).answer(ASK)
    assert answer.outcome.combining.startswith("select")


async def test_a_synthesis_streams_as_it_is_written() -> None:
    pieces = [piece async for piece in client(policy("synthesise"), Third()).stream(ASK)]
    *chunks, answer = pieces
    assert isinstance(answer, Answer)
    texts = [chunk.text for chunk in chunks if not isinstance(chunk, Answer) and chunk.text]
    assert "".join(texts) == answer.text == WRITTEN
    assert len(texts) > 3


@pytest.mark.parametrize("action", ["synthesise", "compare"])
@pytest.mark.parametrize("limit", [0.0002, 0.0006, 0.0012, 0.01])
async def test_the_budget_holds_whatever_the_policy_wants(action: Action, limit: float) -> None:
    answer = await client(policy(action), Third()).answer(
        ASK, max_cost_usd=limit, params={"max_tokens": 32}
    )
    assert answer.cost_usd <= limit
    assert answer.text in (BEND, SAND, WRITTEN)


async def test_a_writer_without_room_is_not_asked() -> None:
    third = Third()
    answer = await client(policy("synthesise"), third, window=400).answer(ASK)
    assert answer.text == BEND
    assert third.calls == []
    assert "no room" in answer.explain()


async def test_a_writer_outside_the_named_models_is_not_asked() -> None:
    third = Third()
    answer = await client(policy("synthesise"), third).answer(ASK, models=["bend", "sand"])
    assert answer.text == BEND
    assert third.calls == []
