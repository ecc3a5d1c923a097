"""The client for code that is not asynchronous: what an interrupted wait leaves behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

import pytest

from emafusion import config
from emafusion.client import Client
from emafusion.config.load import parse
from emafusion.errors import RequestError
from emafusion.record import Memory
from emafusion.testing import ScriptedProvider

SETTINGS = """
[providers.house]
type = "openai"
base_url = "http://127.0.0.1:1/v1"
[models.a]
provider = "house"
usd_per_mtok_in = 1.0
usd_per_mtok_out = 2.0
[record]
path = "memory"
"""


def client(provider: ScriptedProvider) -> Client:
    return config.build(parse(SETTINGS, "test"), parts={"house": provider})


def interrupt_once_asked(provider: ScriptedProvider) -> threading.Thread:
    """A thread that does what Ctrl-C does, as soon as `provider` has been asked."""

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while not provider.calls and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    return thread


@pytest.mark.skipif(sys.platform == "win32", reason="a signal does not end a wait there")
def test_ctrl_c_ends_the_call_and_its_spending_is_on_record() -> None:
    provider = ScriptedProvider("late", delay_s=30)
    fusion = client(provider)
    recorder = fusion.engine.stages.recorder
    assert isinstance(recorder, Memory)
    thread = interrupt_once_asked(provider)
    with pytest.raises(KeyboardInterrupt):
        fusion.answer_sync("What is the capital of Australia?")
    cancelled = provider.cancelled
    (outcome,) = fusion._wait(recorder.recent(9))
    thread.join()
    assert cancelled == 1
    assert outcome.error == "CancelledError"
    assert [step.error for step in outcome.steps] == ["cancelled"]
    assert outcome.cost_usd == sum(step.cost_usd for step in outcome.steps) > 0
    fusion.close()


def test_warming_up_asks_no_model_and_records_nothing() -> None:
    provider = ScriptedProvider("4")
    warmed: list[str] = []

    class Warming(ScriptedProvider):
        async def warm(self) -> None:
            warmed.append("yes")

    other = Warming()
    settings = parse(SETTINGS + '[understand]\nslow = "a"', "test")
    fusion = config.build(settings, parts={"house": provider, "other": other})
    fusion._wait(fusion.warm())
    assert warmed == ["yes"]
    assert provider.calls == other.calls == []
    recorder = fusion.engine.stages.recorder
    assert isinstance(recorder, Memory)
    assert fusion._wait(recorder.recent(9)) == ()
    fusion.close()


def test_answers_and_errors_come_through() -> None:
    provider = ScriptedProvider(lambda call: RuntimeError("a bug") if "?" not in str(call) else "4")
    with client(provider) as fusion:
        assert fusion.answer_sync("What is 2 + 2?").text == "4"
        with pytest.raises(Exception, match="RuntimeError in provider 'house'"):
            fusion.answer_sync("Go wrong.")
    assert provider.closed
    assert threading.active_count() < 9


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"score": "x"}, "score"),
        ({"score": None}, "score"),
        ({"score": 1.5}, "score"),
        ({"score": float("nan")}, "score"),
        ({"decision_id": None}, "decision_id"),
        ({"caller": 5}, "caller"),
        ({"comment": b"good"}, "comment"),
    ],
)
async def test_an_opinion_of_the_wrong_type_is_refused(
    arguments: dict[str, Any], param: str
) -> None:
    served = client(ScriptedProvider("51"))
    async with served:
        with pytest.raises(RequestError) as refused:
            await served.feedback(**{"decision_id": "d1", "score": 1.0, **arguments})
    assert refused.value.param == param
