"""What the tests of limits are made of: a clock turned by hand, passages, outcomes."""

from __future__ import annotations

from emafusion.gateway.callers import Caller, Passage
from emafusion.types import Forecast, Labels, Outcome, Request, Step, Usage


class Hand:
    """A clock that goes when it is turned."""

    def __init__(self) -> None:
        self.time = 1000.0

    def tick(self) -> float:
        return self.time

    def now(self) -> float:
        return self.time


def passage(text: str = "Hello", *, key: str = "one", team: str = "", **params: object) -> Passage:
    return Passage(
        request=Request(
            id="dec_1", messages=({"role": "user", "content": text},), params=dict(params)
        ),
        caller=Caller(key=key, team=team),
    )


def spent(tokens: int, usd: float = 0.0) -> Outcome:
    """An outcome of one call, half of whose tokens were the prompt's."""
    usage = Usage(prompt_tokens=tokens // 2, completion_tokens=tokens - tokens // 2)
    step = Step(model="m", purpose="draft", cost_usd=usd, latency_s=0.1, usage=usage)
    return Outcome(
        decision_id="dec_1",
        created=0.0,
        prompt="",
        labels=Labels(axes={}),
        forecast=Forecast(estimates=()),
        plan=None,
        steps=(step,),
        verdicts=(),
        model="m",
        text="",
        confidence=0.0,
        cost_usd=usd,
        latency_s=0.1,
    )
