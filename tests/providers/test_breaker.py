"""A breaker opens, waits, tries once, and closes; no wall clock and no second trial."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.providers.breaker import LONGEST_ASKED_S, Breaker


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(failures=3, first_s=1.0, longest_s=8.0, now=clock)


def state(breaker: Breaker) -> str:
    return breaker.state


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed(trial=breaker.enter())


def test_failures_in_a_row_open_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 2)
    assert state(breaker) == "closed"
    breaker.succeeded(trial=breaker.enter())
    fail(breaker, 2)
    assert breaker.admits
    fail(breaker)
    assert state(breaker) == "open"
    assert not breaker.admits
    assert 0.5 <= breaker.left_s <= 1.0
    clock.time += 1.0
    assert state(breaker) == "half-open"


def test_one_call_is_the_trial(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.time += 1.0
    assert breaker.enter() is True
    assert not breaker.admits
    breaker.succeeded(trial=True)
    assert state(breaker) == "closed"
    assert breaker.enter() is False


def test_a_failed_trial_doubles_the_pause_up_to_a_bound(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    pauses = []
    for _ in range(8):
        clock.time += breaker.left_s
        fail(breaker)
        pauses.append(breaker.left_s)
    for number, pause in enumerate(pauses, start=1):
        ceiling = min(2.0**number, 8.0)
        assert ceiling / 2 <= pause <= ceiling


def test_pauses_differ(clock: Clock) -> None:
    pauses = set()
    for _ in range(20):
        one = Breaker(failures=1, now=clock)
        fail(one)
        pauses.add(one.left_s)
    assert len(pauses) > 10


def test_a_trial_that_says_nothing_lets_the_next_one_try(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.time += 1.0
    breaker.abandoned(trial=breaker.enter())
    assert breaker.admits


def test_a_pause_that_was_asked_for_opens_it_at_once(breaker: Breaker, clock: Clock) -> None:
    breaker.failed(trial=breaker.enter(), asked_s=30.0)
    assert breaker.asked
    assert 30.0 <= breaker.left_s <= 33.0
    # Another call of before asks for longer.
    breaker.failed(trial=False, asked_s=100.0)
    assert breaker.left_s >= 100.0
    breaker.failed(trial=False, asked_s=1e9)
    assert breaker.left_s <= LONGEST_ASKED_S * 1.1


def test_a_late_success_does_not_close_it(breaker: Breaker) -> None:
    earlier = breaker.enter()
    fail(breaker, 3)
    breaker.succeeded(trial=earlier)
    assert state(breaker) == "open"
    breaker.failed(trial=earlier)
    assert breaker.left_s <= 1.0


def test_once_a_trial_is_heard_others_may_ask_but_one_failure_opens_it(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.time += 1.0
    trial = breaker.heard(trial=breaker.enter())
    assert trial is False
    assert state(breaker) == "closed"
    breaker.failed(trial=trial)
    assert state(breaker) == "open"
    assert breaker.left_s > 1.0 - 1e-9


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(["begin", "good", "bad", "left", "heard", "tick"]), max_size=60),
)
def test_there_is_never_a_second_trial(story: list[str]) -> None:
    clock = Clock()
    breaker = Breaker(failures=2, first_s=1.0, longest_s=4.0, now=clock)
    flying: list[bool] = []
    for event in story:
        if event == "tick":
            clock.time += 1.0
        elif event == "begin":
            if breaker.admits:
                flying.append(breaker.enter())
        elif flying:
            trial = flying.pop(0)
            match event:
                case "good":
                    breaker.succeeded(trial=trial)
                case "bad":
                    breaker.failed(trial=trial)
                case "left":
                    breaker.abandoned(trial=trial)
                case "heard":
                    flying.append(breaker.heard(trial=trial))
        assert sum(flying) <= 1
        assert breaker.left_s <= 4.0
