"""A request whose caller named the model: nothing is decided, so nothing is read to decide it."""

from __future__ import annotations

import pytest

from emafusion.client import Client
from emafusion.engine import Engine, Stages
from emafusion.errors import BudgetError, ContextTooLongError, UnknownModelError
from emafusion.judge import CalibratedPanel
from emafusion.plan import UtilityPlanner
from emafusion.predict import Union
from emafusion.protect import VisibilityProtector
from emafusion.protocols import Port
from emafusion.record import Memory
from emafusion.testing import ScriptedProvider
from emafusion.types import Answer, Knobs, Labels, Model, Request, Turn, replace

from .staged import Clock


class Counting:
    """Counts the requests whose text is read."""

    read = 0

    async def understand(self, request: Request, port: Port) -> Labels:
        self.read += 1
        return Labels(axes={})


def model(name: str, context_window: int = 8192) -> Model:
    return Model(
        name=name,
        provider="p",
        upstream=name,
        usd_per_mtok_in=1.0,
        usd_per_mtok_out=1.0,
        ability={"overall": 0.7},
        ability_weight=200.0,
        context_window=context_window,
    )


POOL = (model("one"), model("two", context_window=512))


def client(
    classifier: Counting, provider: ScriptedProvider, pool: tuple[Model, ...] = POOL
) -> Client:
    stages = Stages(
        protector=VisibilityProtector(),
        classifier=classifier,
        predictor=Union(),
        planner=UtilityPlanner(),
        panel=CalibratedPanel(),
        recorder=Memory(),
    )
    return Client(Engine(stages, pool, providers={"p": provider}, clock=Clock()))


async def test_no_text_is_read_and_no_draft_judged() -> None:
    classifier = Counting()
    fusion = client(classifier, ScriptedProvider("I'm sorry, I cannot help with that."))
    answer = await fusion.answer("What is 2 + 2?", models=["one"], arrangement="single")
    assert classifier.read == 0
    assert answer.outcome.labels.axes == {}
    assert answer.outcome.verdicts == ()
    assert [one.model for one in answer.outcome.forecast.estimates] == ["one"]
    assert answer.confidence == answer.outcome.forecast["one"].quality
    assert answer.confidence == pytest.approx(0.7, abs=0.01)
    assert answer.plan.cost_usd > 0.0


async def test_streams_come_the_same_way() -> None:
    classifier = Counting()
    fusion = client(classifier, ScriptedProvider("four"))
    pieces = [p async for p in fusion.stream("2 + 2?", models=["one"], arrangement="single")]
    assert isinstance(pieces[-1], Answer)
    assert (pieces[-1].text, pieces[-1].outcome.verdicts) == ("four", ())
    assert classifier.read == 0


async def test_what_leaves_a_choice_is_read() -> None:
    classifier = Counting()
    fusion = client(classifier, ScriptedProvider("four"))
    for answer in (
        await fusion.answer("What is 2 + 2?", models=["one"]),
        await fusion.answer("What is 2 + 2?", arrangement="single"),
    ):
        assert answer.outcome.verdicts != ()
    assert classifier.read == 2


async def test_limits_hold() -> None:
    fusion = client(Counting(), ScriptedProvider("four"))
    with pytest.raises(ContextTooLongError):
        await fusion.answer("word " * 2000, models=["two"], arrangement="single")
    with pytest.raises(BudgetError):
        await fusion.answer("Hello", models=["one"], arrangement="single", max_cost_usd=1e-9)


async def test_what_is_left_of_the_money_bounds_a_named_models_answer() -> None:
    provider = ScriptedProvider("four")
    fusion = client(Counting(), provider)
    usual = await fusion.answer("Hello", models=["one"], arrangement="single")
    limit = usual.plan.cost_usd / 2
    answer = await fusion.answer("Hello", models=["one"], arrangement="single", max_cost_usd=limit)
    assert answer.text == "four"
    bound = provider.calls[-1].params["max_tokens"]
    assert isinstance(bound, int)
    assert 16 <= bound < 250, "less than the answer that was forecast"
    # Where there is a choice, the forecast says that no plan is worth asking for the money.
    with pytest.raises(BudgetError, match="is expected to cost"):
        await fusion.answer("Hello", max_cost_usd=limit)


async def test_a_turn_goes_on_with_its_model_and_others_stand_by() -> None:
    classifier, provider = Counting(), ScriptedProvider("four")
    pool = (*POOL, model("three"))
    fusion = client(classifier, provider, pool)
    held = Request(
        id="dec",
        messages=({"role": "user", "content": "What is 2 + 2?"},),
        knobs=Knobs(arrangement="single", prefer=0.0),
        turn=Turn(model="three"),
    )
    answer = await fusion.engine.serve(held)
    assert (answer.model, classifier.read) == ("three", 0)
    assert answer.plan.fallbacks == ("one", "two", "three")
    away = replace(held, id="dec_2", knobs=replace(held.knobs, models=("one", "two")))
    assert (await fusion.engine.serve(away)).model == "one"
    assert classifier.read == 1, "where it may not go on, the request is like any other"


class Resting(ScriptedProvider):
    """Its model "three" has asked for a wait."""

    def reachable(self, asked: Model) -> bool:
        return asked.name != "three"


async def test_a_turn_outlives_a_wait_that_its_model_asked_for() -> None:
    """Else another would keep it, for good."""
    provider = Resting("four")
    fusion = client(Counting(), provider, (*POOL, model("three")))
    asked = Request(
        id="dec",
        messages=({"role": "user", "content": "What is 2 + 2?"},),
        knobs=Knobs(arrangement="single", prefer=0.0),
    )
    assert (await fusion.engine.serve(asked)).model != "three"
    held = replace(asked, id="dec_2", turn=Turn(model="three"))
    assert (await fusion.engine.serve(held)).model == "three"


async def test_a_named_policy_fills_in_what_a_request_leaves_open() -> None:
    fusion = client(Counting(), ScriptedProvider("four"))
    fusion.engine.named = {"frugal": Knobs(models=("one",), arrangement="single")}
    answer = await fusion.answer("What is 2 + 2?", policy="frugal")
    assert answer.model == "one"
    assert [one.model for one in answer.outcome.forecast.estimates] == ["one"]
    with pytest.raises(UnknownModelError, match=r"no policy 'costly'; .* 'frugal'"):
        await fusion.answer("What is 2 + 2?", policy="costly")
