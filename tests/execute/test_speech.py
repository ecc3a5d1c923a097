"""Who speaks when the first one stops: another, as long as nobody has heard a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping

import pytest

from emafusion.errors import UnavailableError
from emafusion.execute import Ask, Ledger, Limits, Trial, speech
from emafusion.judge import CalibratedPanel
from emafusion.providers.ending import BrokenOff
from emafusion.testing import ScriptedProvider
from emafusion.types import Call, Chunk, Forecast, Model, Plan, Request, Single, Usage


class Clock:
    """The loop's own."""

    def now(self) -> float:
        return 0.0

    def tick(self) -> float:
        return asyncio.get_running_loop().time()


def event(delta: Mapping[str, object], reason: str | None = None) -> Chunk:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    text = delta.get("content")
    return Chunk(
        text=text if isinstance(text, str) else "",
        finish_reason=reason,
        raw={"choices": [choice]},
        usage=Usage(prompt_tokens=3, completion_tokens=1) if reason else None,
    )


ROLE = event({"role": "assistant", "content": ""})
TOOL = event({"tool_calls": [{"index": 0, "function": {"name": "look_up", "arguments": ""}}]})
WORD = event({"content": "Paris"})
END = event({}, "stop")


class Breaking(ScriptedProvider):
    """Model ``a`` breaks off after these chunks; any other answers in full."""

    def __init__(self, *before: Chunk) -> None:
        super().__init__()
        self._before = before

    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        self.calls.append(call)
        if call.model.name != "a":
            for chunk in (ROLE, WORD, END):
                yield chunk
            return
        for chunk in self._before:
            yield chunk
        raise BrokenOff("gone", "a")


def trial(provider: ScriptedProvider) -> tuple[Trial, Ledger]:
    models = [
        Model(name=name, provider="p", upstream=name, usd_per_mtok_in=1.0, usd_per_mtok_out=1.0)
        for name in "ab"
    ]
    ledger = Ledger({m.name: m for m in models}, {"p": provider}, clock=Clock(), limits=Limits())
    plan = Plan(
        arrangement=Single(model="a"), quality=0.5, cost_usd=0.0, latency_s=1.0, fallbacks=("b",)
    )
    request = Request(id="r", messages=({"role": "user", "content": "Where?"},))
    ask = Ask(request=request, forecast=Forecast(estimates=()), plan=plan)
    return Trial(ask, port=ledger, panel=CalibratedPanel({}, ())), ledger


@pytest.mark.parametrize("before", [(), (ROLE,), (ROLE, ROLE)])
async def test_until_a_word_was_heard_another_may_speak(before: tuple[Chunk, ...]) -> None:
    asked, ledger = trial(Breaking(*before))
    heard = [chunk async for chunk in speech("a", asked, ledger)]
    # Of the first model nothing was handed on, not even its role.
    assert heard == [ROLE, WORD, END]
    assert [draft.model for draft in asked.drafts] == ["b"]
    # What the first one began is paid as far as it is known.
    assert ledger.steps[0].cost_usd > 0
    assert ledger.steps[0].error == "BrokenOff: gone"


@pytest.mark.parametrize("said", [WORD, TOOL])
async def test_once_a_word_was_heard_nobody_else_speaks(said: Chunk) -> None:
    provider = Breaking(ROLE, said)
    asked, ledger = trial(provider)
    heard = []
    with pytest.raises(UnavailableError):
        async for chunk in speech("a", asked, ledger):
            heard.append(chunk)  # noqa: PERF401 - what came before the failure counts
    assert heard == [ROLE, said]
    assert len(provider.calls) == 1


async def test_an_empty_answer_is_an_answer() -> None:
    class Empty(Breaking):
        async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
            for chunk in (ROLE, END):
                yield chunk

    asked, ledger = trial(Empty())
    assert [chunk async for chunk in speech("a", asked, ledger)] == [ROLE, END]
    assert [draft.model for draft in asked.drafts] == ["a"]
