"""A vendor swaps a model for another: it is noticed, and what is known of it is learnt anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emafusion.config.lookout import Lookout
from emafusion.types import Call

from .school import LARGE, QUESTION, SMALL, SPREAD, School, school


def lengths(
    expected: float, factor: Callable[[int], float], seed: int = 0
) -> Callable[[Call], int]:
    """Answers as long as expected, give or take, times a factor that depends on their number."""
    rng = np.random.default_rng(seed)
    count = 0

    def tokens(_: Call) -> int:
        nonlocal count
        count += 1
        return int(expected * np.exp(rng.normal(0.0, SPREAD)) * factor(count))

    return tokens


def expected(tmp_path: Path) -> float:
    return school(tmp_path).forecast(SMALL).tokens


async def answers(one: School, count: int) -> None:
    for _ in range(count):
        one.clock.time += 1.0
        await one.asked()
    while one.learner.status()["read"]["decisions"] < await written(one):  # type: ignore[index]
        one.learner.read_on()


async def written(one: School) -> int:
    return (await one.store.totals()).decisions


async def test_longer_answers_of_one_model_are_noticed_and_nothing_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = lengths(expected(tmp_path), lambda count: 1.0 if count <= 250 else 2.5)
    one = school(tmp_path, tokens=tokens, drift=True)
    await answers(one, 250)
    assert not one.learner.alarms
    with caplog.at_level(logging.WARNING):
        await answers(one, 120)
    (alarm,) = one.learner.alarms
    assert (alarm.model, alarm.signal, alarm.rose) == (SMALL, "length", True)
    assert 250 < alarm.after <= 370
    assert abs(alarm.after - alarm.since - 250) < 60
    assert f"{SMALL} has changed" in caplog.text
    told = one.learner.status()["drift"]
    assert isinstance(told, list)
    assert [each["model"] for each in told] == [SMALL]


async def test_worse_answers_are_noticed_and_only_what_was_said_since_is_believed(
    tmp_path: Path,
) -> None:
    tokens = lengths(expected(tmp_path), lambda _: 1.0)
    one = school(tmp_path, tokens=tokens, drift=True)
    rng = np.random.default_rng(1)
    good = one.forecast(SMALL).quality
    for number in range(220):
        one.clock.time += 1.0
        rate = good if number < 100 else 0.0
        await one.voted(float(rng.random() < rate), caller=f"caller {number}")
    while not one.learner.alarms and one.learner.counted < 220:
        one.learner.read_on()
    (alarm,) = one.learner.alarms
    assert (alarm.model, alarm.signal, alarm.rose) == (SMALL, "reward", False)
    for _ in range(5):
        one.learner.read_on()
    assert one.learner.counted == 220
    assert one.forecast(SMALL).quality < 0.35 * good
    assert one.forecast(LARGE).quality == school(tmp_path).forecast(LARGE).quality


async def test_a_model_that_changed_is_not_told_of_again_and_again(tmp_path: Path) -> None:
    tokens = lengths(expected(tmp_path), lambda _: 4.0)
    one = school(tmp_path, tokens=tokens, drift=True)
    await answers(one, 150)
    assert len(one.learner.alarms) == 1


async def test_a_restarted_process_comes_to_the_same_alarms(tmp_path: Path) -> None:
    one = school(tmp_path, tokens=lengths(expected(tmp_path), lambda _: 3.0), drift=True)
    for _ in range(60):
        one.clock.time += 1.0
        await one.voted(1.0, caller=f"caller {one.clock.time}")
        one.learner.read_on()
    again = school(tmp_path, drift=True)
    for _ in range(3):
        again.learner.read_on()
    assert again.learner.alarms == one.learner.alarms != ()
    assert again.forecast(SMALL, QUESTION) == one.forecast(SMALL, QUESTION)


@pytest.mark.parametrize("since", [0.0, 1e9 + 10.5, 1e9 + 99.0])
async def test_decisions_from_before_the_policy_are_not_read(tmp_path: Path, since: float) -> None:
    tokens = lengths(expected(tmp_path), lambda _: 1.0)
    for _ in range(20):
        one = school(tmp_path, tokens=tokens)
        one.clock.time = 1e9 + (await written(one))
        await one.asked()
    one = school(tmp_path, drift=True, since=since)
    one.learner.read_on()
    assert one.learner._lookout is not None
    seen = one.learner._lookout.seen[SMALL]
    assert seen == {0.0: 20, 1e9 + 10.5: 9, 1e9 + 99.0: 0}[since]


async def test_a_policy_that_tells_no_habits_is_not_watched(tmp_path: Path) -> None:
    one = school(tmp_path, drift=False)
    assert Lookout.from_arrays({}, (SMALL,)) is None
    await one.asked()
    one.learner.read_on()
    assert one.learner.status()["watching"] is False
