"""Checks of one caller's answers do not tell of a model alone."""

from __future__ import annotations

import pytest

from emafusion.learn.online import Alarm, Daily, Signal, Watch, Witnesses
from emafusion.learn.online.drift import SIGNALS
from emafusion.learn.online.witnesses import DAILY, DAY_S

CHECK = Signal(name="check", slack=0.05)
EVERY = (*SIGNALS, CHECK)


def alarm_after(callers: list[str], *, rounds: int = 200) -> int | None:
    """How many checks it takes, these callers' in turn, of a model that is always worse."""
    watch, witnesses = Watch(["m"], EVERY), Witnesses(["m"], EVERY)
    for caller in callers:
        witnesses.saw(caller)
    for number in range(rounds):
        found = watch.observe("m", {"check": -0.7})
        caller = callers[number % len(callers)]
        alarm = witnesses.vetted("m", -0.7, caller=caller, alarm=found, seen=number + 1)
        if alarm is not None:
            assert alarm.since <= alarm.after == number + 1
            return number + 1
    return None


def test_an_alarm_stands_without_any_one_caller() -> None:
    alone = alarm_after(["ann"])
    assert alone is not None
    # Of two, each must have seen as much as one alone; of many, hardly more.
    assert alarm_after(["ann", "bob"]) == pytest.approx(2 * alone, abs=1)
    many = alarm_after([f"caller {number}" for number in range(20)])
    assert many is not None
    assert alone < many < 1.2 * alone + 1


def test_users_of_one_tenant_are_left_out_together() -> None:
    witnesses = Witnesses(["m"], EVERY)
    witnesses.saw("acme/ann")
    witnesses.saw("eve/0")
    found = Alarm(model="m", after=1, since=1, signal="check", rose=False, evidence=3e4)
    for number in range(200):
        caller = f"eve/{number}"
        assert witnesses.vetted("m", -0.9, caller=caller, alarm=found, seen=number) is None


def test_what_was_told_of_a_model_is_void_once_it_is_another() -> None:
    watch = Watch(["m"], EVERY)
    witnesses = Witnesses(["m"], EVERY)
    witnesses.saw("ann")
    witnesses.saw("bob")
    found = None
    while found is None:
        found = watch.observe("m", {"check": -0.9})
        witnesses.vetted("m", -0.9, caller="ann", alarm=found, seen=1)
    witnesses.forget("m")
    assert witnesses.vetted("m", -0.9, caller="bob", alarm=None, seen=1) is None


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
