"""A late answer is asked for twice: one draft comes of it, both calls are paid, none goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from emafusion.errors import UnavailableError
from emafusion.execute import Ask, Ledger, Limits, Trial
from emafusion.execute.hedging import FEWEST, Hedging
from emafusion.judge import CalibratedPanel
from emafusion.testing import ScriptedProvider
from emafusion.types import (
    Call,
    Completion,
    Estimate,
    Forecast,
    Model,
    Plan,
    Request,
    Single,
    Turn,
    Usage,
    replace,
)

LATE_S = 30.0


class Clock:
    """The loop's own."""

    def now(self) -> float:
        return 0.0

    def tick(self) -> float:
        return asyncio.get_running_loop().time()


class Paced(ScriptedProvider):
    """Answers each model after its own time, the first call to it or all."""

    def __init__(self, delays: Mapping[str, list[float]]) -> None:
        super().__init__(lambda call: Completion(text=call.model.name, usage=_USED))
        self._delays = {name: iter(seconds) for name, seconds in delays.items()}
        self.both = asyncio.Event()

    async def complete(self, call: Call) -> Completion:
        self.delay_s = next(self._delays[call.model.name])
        if self.calls:
            self.both.set()
        return await super().complete(call)


_USED = Usage(prompt_tokens=10, completion_tokens=10)
_MODELS = tuple(
    Model(name=name, provider="p", upstream=name, usd_per_mtok_in=1.0, usd_per_mtok_out=1.0)
    for name in "ab"
)


def trial(
    provider: ScriptedProvider, hedging: Hedging | None, *, turn: Turn | None = None
) -> tuple[Trial, Ledger]:
    ledger = Ledger({m.name: m for m in _MODELS}, {"p": provider}, clock=Clock(), limits=Limits())
    estimates = tuple(
        Estimate(model=m.name, quality=0.5, quality_std=0.1, cost_usd=1e-5, latency_s=10.0)
        for m in _MODELS
    )
    plan = Plan(
        arrangement=Single(model="a"), quality=0.5, cost_usd=1e-5, latency_s=0.01, fallbacks=("b",)
    )
    request = Request(id="r", messages=({"role": "user", "content": "Who?"},), turn=turn)
    ask = Ask(request=request, forecast=Forecast(estimates=estimates), plan=plan, hedging=hedging)
    return Trial(ask, port=ledger, panel=CalibratedPanel({}, ())), ledger


async def test_a_late_answer_is_replaced_by_the_next_best_models() -> None:
    provider = Paced({"a": [LATE_S], "b": [0.0]})
    asked, ledger = trial(provider, Hedging(after_s=0.02))
    assert await asked.question_until_answered(("a", "b"))
    assert [draft.model for draft in asked.drafts] == ["b"]
    assert asked.failures == []
    assert provider.cancelled == 1
    errors = {step.model: step.error for step in ledger.steps}
    assert errors == {"a": "cancelled", "b": None}
    # The prompt of the call that was ended is paid at least.
    assert all(step.cost_usd > 0 for step in ledger.steps)


async def test_whose_turn_it_is_is_asked_once_more_rather_than_another() -> None:
    """Another that answered would keep the turn to its end."""
    provider = Paced({"a": [LATE_S, 0.0], "b": [0.0]})
    asked, _ = trial(provider, Hedging(after_s=0.02), turn=Turn(model="a"))
    assert await asked.question_until_answered(("a", "b"))
    assert [draft.model for draft in asked.drafts] == ["a"]
    assert [call.model.name for call in provider.calls] == ["a", "a"]


async def test_the_only_model_is_asked_once_more() -> None:
    provider = Paced({"a": [LATE_S, 0.0]})
    asked, _ = trial(provider, Hedging(after_s=0.02))
    await asked.question(["a"])
    assert [draft.model for draft in asked.drafts] == ["a"]
    assert len(provider.calls) == 2


async def test_an_answer_in_time_is_asked_for_once() -> None:
    provider = Paced({"a": [0.0], "b": []})
    asked, _ = trial(provider, Hedging(after_s=LATE_S))
    assert await asked.question_until_answered(("a", "b"))
    assert len(provider.calls) == 1


async def test_without_hedging_nobody_is_asked_twice() -> None:
    provider = Paced({"a": [0.05], "b": []})
    asked, _ = trial(provider, None)
    assert await asked.question_until_answered(("a", "b"))
    assert len(provider.calls) == 1


@pytest.mark.parametrize(
    ("resting", "instead", "calls"), [("a", "b", ["a", "b"]), ("b", "b", ["a"]), ("a", None, ["a"])]
)
async def test_nobody_is_asked_too_while_it_asks_for_a_wait(
    resting: str, instead: str | None, calls: list[str]
) -> None:
    class Resting(Paced):
        def reachable(self, model: Model) -> bool:
            return model.name != resting

    provider = Resting({"a": [0.3, 0.0], "b": [0.0]})
    asked, _ = trial(provider, Hedging(after_s=0.02))
    asked.ask = replace(asked.ask, models=_MODELS)
    await asked.question(["a"], instead=instead)
    assert [call.model.name for call in provider.calls] == calls


async def test_a_first_failure_waits_for_the_other_call() -> None:
    class Failing(Paced):
        async def complete(self, call: Call) -> Completion:
            found = await super().complete(call)
            if call.model.name == "a":
                raise UnavailableError("gone", "a")
            return found

    asked, _ = trial(Failing({"a": [0.05], "b": [0.1]}), Hedging(after_s=0.02))
    assert await asked.question_until_answered(("a", "b"))
    assert [draft.model for draft in asked.drafts] == ["b"]


async def test_a_caller_who_leaves_ends_both_calls() -> None:
    provider = Paced({"a": [LATE_S], "b": [LATE_S]})
    asked, ledger = trial(provider, Hedging(after_s=0.01))
    task = asyncio.create_task(asked.question_until_answered(("a", "b")))
    await asyncio.wait_for(provider.both.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.cancelled == 2
    assert len(ledger.steps) == 2


async def test_second_calls_are_a_share_of_the_calls() -> None:
    provider = ScriptedProvider("x", delay_s=0.01)
    hedging = Hedging(after_s=0.0, share=0.05)
    for _ in range(40):
        asked, _ = trial(provider, hedging)
        await asked.question(["a"])
    # Five are in reserve; forty calls earn two more.
    assert len(provider.calls) <= 40 + 7


async def test_late_is_what_takes_longer_than_most_did() -> None:
    hedging = Hedging()
    asked, _ = trial(ScriptedProvider("x"), hedging)
    estimate = asked.ask.forecast["a"]
    assert hedging.after(estimate) == pytest.approx(3 * estimate.latency_s)
    for _ in range(FEWEST):
        await asked.question(["a"])
    learnt = hedging.after(estimate)
    assert learnt is not None
    assert learnt < 3 * estimate.latency_s
    assert hedging.after(None) is None
