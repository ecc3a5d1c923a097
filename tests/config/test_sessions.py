"""A conversation's next turn is cheaper where a vendor's prompt cache still holds it."""

from __future__ import annotations

import pytest

from emafusion.catalog import tokens
from emafusion.config.sessions import DOUBT, FIRST_GUESS, Sessions
from emafusion.types import (
    Estimate,
    Forecast,
    Labels,
    Model,
    Outcome,
    Request,
    Step,
    Usage,
    replace,
)

CACHING = Model(
    name="caching",
    provider="p",
    upstream="u",
    usd_per_mtok_in=2.0,
    usd_per_mtok_out=8.0,
    usd_per_mtok_cached=0.2,
)
PLAIN = replace(CACHING, name="plain", usd_per_mtok_cached=None)
FORECAST = Forecast(
    estimates=tuple(
        Estimate(model=name, quality=0.8, quality_std=0.1, cost_usd=0.02, latency_s=1.0)
        for name in ("caching", "plain")
    )
)
ASKED = Request(id="d", messages=({"role": "user", "content": "and then? " * 2500},), session="s1")
"""Some 6,000 tokens, as a conversation may have by its third turn."""


class Clock:
    """Time that passes when it is told to."""

    seconds = 1000.0

    def now(self) -> float:
        return 1e9 + self.seconds

    def tick(self) -> float:
        return self.seconds


def outcome(*steps: Step) -> Outcome:
    return Outcome(
        decision_id="d",
        created=0.0,
        prompt="p",
        labels=Labels(axes={}),
        forecast=FORECAST,
        plan=None,
        steps=steps,
        verdicts=(),
        model="caching",
        text="t",
        confidence=0.9,
        cost_usd=0.0,
        latency_s=1.0,
    )


def step(model: str, prompt: int, cached: int = 0, *, error: str | None = None) -> Step:
    return Step(
        model=model,
        purpose="draft",
        cost_usd=0.0,
        latency_s=1.0,
        usage=Usage(prompt_tokens=prompt, cached_tokens=cached, completion_tokens=9),
        finish_reason="stop",
        error=error,
        text="t",
    )


def costs(sessions: Sessions, request: Request = ASKED) -> dict[str, float]:
    priced = sessions.priced(request, FORECAST, (CACHING, PLAIN))
    return {one.model: one.cost_usd for one in priced.estimates}


def test_the_model_that_answered_last_is_cheaper_by_what_its_cache_saves() -> None:
    sessions = Sessions(Clock())
    assert costs(sessions) == {"caching": 0.02, "plain": 0.02}
    sessions.note(ASKED, outcome(step("caching", 5000), step("plain", 5000)))
    saved = FIRST_GUESS * 5000 * (2.0 - 0.2) / 1e6
    assert costs(sessions) == {"caching": pytest.approx(0.02 - saved), "plain": 0.02}


@pytest.mark.parametrize(
    "request_",
    [replace(ASKED, session="another"), replace(ASKED, session="")],
    ids=["another conversation", "none"],
)
def test_other_requests_pay_the_list_price(request_: Request) -> None:
    sessions = Sessions(Clock())
    sessions.note(ASKED, outcome(step("caching", 5000)))
    sessions.note(replace(ASKED, session=""), outcome(step("caching", 5000)))
    assert costs(sessions, request_)["caching"] == 0.02


def test_short_prompts_failed_calls_and_judges_are_not_counted_on() -> None:
    sessions = Sessions(Clock())
    judged = replace(step("caching", 5000), purpose="judge")
    sessions.note(ASKED, outcome(step("caching", 900)))
    sessions.note(ASKED, outcome(step("caching", 5000, error="reset"), judged))
    assert costs(sessions)["caching"] == 0.02


def test_a_cache_is_counted_on_for_as_long_as_it_is_kept() -> None:
    clock = Clock()
    sessions = Sessions(clock, kept_s=300.0)
    sessions.note(ASKED, outcome(step("caching", 5000)))
    clock.seconds += 299.0
    assert costs(sessions)["caching"] < 0.02
    clock.seconds += 2.0
    assert costs(sessions)["caching"] == 0.02


def test_a_model_whose_cache_never_holds_is_not_counted_on_for_long() -> None:
    sessions = Sessions(Clock())
    for _ in range(21):
        sessions.note(ASKED, outcome(step("caching", 5000, cached=0)))
    assert sessions.reliability("caching") == pytest.approx(FIRST_GUESS * DOUBT / (20 + DOUBT))
    for _ in range(200):
        sessions.note(ASKED, outcome(step("caching", 5000, cached=4990)))
    assert sessions.reliability("caching") > 0.85


@pytest.mark.parametrize("cached", [0.2, 0.0])
def test_a_saving_never_makes_a_call_cost_nothing(cached: float) -> None:
    model = replace(CACHING, usd_per_mtok_cached=cached)
    sessions = Sessions(Clock())
    for _ in range(200):
        sessions.note(ASKED, outcome(step("caching", 50_000, cached=50_000)))
    dear = replace(FORECAST.estimates[0], cost_usd=1e-4)
    priced = sessions.priced(ASKED, Forecast(estimates=(dear,)), (model,))
    assert 0.0 < priced["caching"].cost_usd < 1e-4


def test_a_cache_saves_no_more_tokens_than_are_sent() -> None:
    sessions = Sessions(Clock())
    sessions.note(ASKED, outcome(step("caching", 50_000)))
    saved = FIRST_GUESS * tokens.expected(ASKED.messages) * (2.0 - 0.2) / 1e6
    assert costs(sessions)["caching"] == pytest.approx(0.02 - saved)
    short = replace(ASKED, messages=({"role": "user", "content": "and then?"},))
    assert costs(sessions, short)["caching"] == 0.02


def test_the_conversation_that_was_silent_longest_is_forgotten_first() -> None:
    sessions = Sessions(Clock(), most=2)
    for name in ("s1", "s2", "s1", "s3"):
        sessions.note(replace(ASKED, session=name), outcome(step("caching", 5000)))
    told = {n: costs(sessions, replace(ASKED, session=n))["caching"] for n in ("s1", "s2", "s3")}
    assert told["s2"] == 0.02
    assert max(told["s1"], told["s3"]) < 0.02


def test_processes_tell_one_another_what_caches_hold() -> None:
    mine, theirs = Clock(), Clock()
    # Their machine was started later: only the time of day is common.
    theirs.seconds, offset = mine.seconds - 800.0, 800.0
    theirs.now = lambda: 1e9 + theirs.seconds + offset  # type: ignore[method-assign] # this one's
    here, there = Sessions(mine), Sessions(theirs)
    here.note(ASKED, outcome(step("caching", 5000)))
    mine.seconds += 200.0
    theirs.seconds += 200.0
    there.hear("s1", here.told("s1"))
    assert costs(there) == costs(here)
    assert costs(there)["caching"] < 0.02
    # What it knows better it keeps.
    there.note(ASKED, outcome(step("caching", 6000)))
    better = costs(there)
    there.hear("s1", here.told("s1"))
    assert costs(there) == better
    theirs.seconds += 101.0
    late = Sessions(theirs)
    late.hear("s1", here.told("s1"))
    assert costs(late)["caching"] == 0.02
    late.hear("s2", here.told("nobody's"))
    assert costs(late, replace(ASKED, session="s2"))["caching"] == 0.02
