"""What is told of one caller's answers does not accuse a model alone."""

from __future__ import annotations

import pytest

from emafusion.learn.online import Alarm, Daily, Recovery, Signal, Told, Watch, Witnesses, began
from emafusion.learn.online.drift import SIGNALS
from emafusion.learn.online.witnesses import DAILY, DAY_S

CHECK = Signal(name="check", slack=0.05)
EVERY = (*SIGNALS, CHECK)


def told(number: int, caller: str, off: float) -> Told:
    return Told(at=float(number), caller=caller, off=off)


def alarm_after(callers: list[str], *, rounds: int = 200, signal: str = "check") -> int | None:
    """How many residuals it takes, these callers' in turn, of a model that is always worse."""
    watch, witnesses = Watch(["m"], EVERY), Witnesses(["m"], EVERY)
    for caller in callers:
        witnesses.saw(caller)
    for number in range(rounds):
        found = watch.observe("m", {signal: -0.7})
        caller = callers[number % len(callers)]
        one = told(number, caller, -0.7)
        vetted = witnesses.vetted("m", signal, told=one, alarm=found, seen=number + 1)
        if vetted is not None:
            alarm, begun = vetted
            assert alarm.since <= alarm.after == number + 1
            assert (alarm.signal, alarm.rose) == (signal, False)
            assert begun <= len(set(callers)) - 1
            return number + 1
    return None


@pytest.mark.parametrize("signal", [signal.name for signal in EVERY])
def test_an_alarm_stands_without_any_one_caller(signal: str) -> None:
    alone = alarm_after(["ann"], signal=signal)
    assert alone is not None
    # Of two, each must have seen as much as one alone; of many, hardly more.
    assert alarm_after(["ann", "bob"], signal=signal) == pytest.approx(2 * alone, abs=1)
    many = alarm_after([f"caller {number}" for number in range(20)], signal=signal)
    assert many is not None
    assert alone < many < 1.2 * alone + 1


def test_users_of_one_tenant_are_left_out_together() -> None:
    witnesses = Witnesses(["m"], EVERY)
    witnesses.saw("acme/ann")
    witnesses.saw("eve/0")
    found = Alarm(model="m", after=1, since=1, signal="check", rose=False, evidence=3e4)
    for number in range(200):
        one = told(number, f"eve/{number}", -0.9)
        assert witnesses.vetted("m", "check", told=one, alarm=found, seen=number) is None


def test_what_was_told_of_a_model_is_void_once_it_is_another() -> None:
    watch = Watch(["m"], EVERY)
    witnesses = Witnesses(["m"], EVERY)
    witnesses.saw("ann")
    witnesses.saw("bob")
    found, ann = None, told(0, "ann", -0.9)
    while found is None:
        found = watch.observe("m", {"check": -0.9})
        witnesses.vetted("m", "check", told=ann, alarm=found, seen=1)
    witnesses.forget("m")
    bob = told(1, "bob", -0.9)
    assert witnesses.vetted("m", "check", told=bob, alarm=None, seen=1) is None


def test_what_one_signal_cannot_say_without_a_caller_another_one_may() -> None:
    witnesses = Witnesses(["m"], EVERY)
    witnesses.saw("ann")
    witnesses.saw("eve")
    found = Alarm(model="m", after=1, since=1, signal="reward", rose=False, evidence=3e4)
    for number in range(50):
        eve = told(number, "eve", -0.9)
        assert witnesses.vetted("m", "reward", told=eve, alarm=found, seen=number) is None
    for number in range(50, 150):
        one = told(number, f"caller {number}", 0.7)
        vetted = witnesses.vetted("m", "length", told=one, alarm=None, seen=number)
        if vetted is not None:
            break
    assert vetted is not None
    assert (vetted[0].signal, vetted[0].rose, vetted[1]) == ("length", True, 51.0)


def test_a_change_begins_by_the_times_of_answers_in_whatever_order_they_are_told_of() -> None:
    recovery = Recovery(rose=False, gap=0.6)
    course = [told(n, "ann", -0.6 if n < 30 else 0.0) for n in range(60)]
    for order in (course, course[::-1], course[1::2] + course[::2]):
        assert began(order, recovery.gains([one.off for one in order]))[0] == 30.0


def test_so_many_checks_of_a_caller_and_a_model_count_in_a_day() -> None:
    daily = Daily()
    counted = 0
    for at in (0.0, 10.0, DAY_S):
        for _ in range(20):
            if daily.open("ann", "m", at=at):
                daily.count("ann", "m")
                counted += 1
    assert counted == 2 * DAILY
    assert daily.open("ann", "other", at=DAY_S)
    assert daily.open("bob", "m", at=DAY_S)
