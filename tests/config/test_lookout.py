"""A vendor swaps a model for another: it is noticed, and what is known of it is learnt anew."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from emafusion.client import request
from emafusion.config.lookout import Known, Lookout
from emafusion.config.stale import Stale
from emafusion.learn.online import Alarm
from emafusion.learn.online.witnesses import DAILY
from emafusion.types import Call, Labels, Verdict, replace

from .school import FAST, FITTED, LARGE, QUESTION, SMALL, SPREAD, School, school


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


async def test_a_model_that_was_repaired_is_trusted_again(tmp_path: Path) -> None:
    tokens = lengths(expected(tmp_path), lambda count: 2.5 if 100 < count <= 220 else 1.0)
    one = school(tmp_path, tokens=tokens, drift=True)
    before, stale = one.forecast(SMALL), Stale(one.store.path)
    await answers(one, 220)
    assert one.learner.changed == {SMALL}
    assert one.forecast(SMALL).quality_std > before.quality_std
    ((begun, ended),) = stale.read()[SMALL]
    assert begun == -math.inf
    assert abs(ended - 1e9 - 100) < 60
    await answers(one, 200)
    assert one.learner.changed == frozenset()
    assert one.forecast(SMALL).quality == pytest.approx(before.quality)
    assert one.forecast(SMALL).quality_std == pytest.approx(before.quality_std)
    # What it answered while it was another stays left out; what it answers since counts.
    assert list(stale.read()) == [SMALL]
    ((begun, ended),) = stale.read()[SMALL]
    assert abs(begun - 1e9 - 100) < 60
    assert abs(ended - 1e9 - 220) < 60
    told = one.learner.status()["drift"]
    assert isinstance(told, list)
    assert [each["resolved"] for each in told] == [True]


async def test_of_a_change_that_is_over_nothing_is_held_against_the_model(tmp_path: Path) -> None:
    tokens = lengths(expected(tmp_path), lambda _: 1.0)
    one = school(tmp_path, tokens=tokens, drift=True)
    rng, good = np.random.default_rng(1), one.forecast(SMALL).quality
    late = []
    for number in range(330):
        one.clock.time += 1.0
        rate = 0.0 if 80 <= number < 180 else good
        await one.voted(float(rng.random() < rate), caller=f"caller {number}")
        if 150 <= number < 165:
            answer = await one.asked(caller=f"late {number}")
            late.append((answer.decision_id, f"late {number}"))
    while one.learner.status()["read"]["decisions"] < await written(one):  # type: ignore[index]
        one.learner.read_on()
    assert one.learner.changed == frozenset()
    told = one.learner.status()["drift"]
    assert isinstance(told, list)
    assert [each["resolved"] for each in told] == [True] * len(one.learner.alarms) != []
    assert one.forecast(SMALL).quality > 0.8 * good
    # What was said before and since teaches still.
    kept = one.learner._lessons[SMALL]
    assert len(kept) > 150
    trials = [each._beliefs.trials.sum() for each in (one.learner, school(tmp_path).learner)]
    assert trials[0] - trials[1] == pytest.approx(sum(lesson.weight for lesson in kept))
    before, counted = one.forecast(SMALL), one.learner.counted
    for decision, caller in late:
        await one.client.feedback(decision, 0.0, caller=caller)
    one.learner.read_on()
    assert (one.forecast(SMALL), one.learner.counted) == (before, counted)
    again = school(tmp_path, drift=True)
    for _ in range(20):
        again.learner.read_on()
    assert again.forecast(SMALL) == one.forecast(SMALL)


async def test_of_requests_that_nobody_read_opinions_count_and_lengths_do_not(
    tmp_path: Path,
) -> None:
    """As where the caller named the model: what was expected was not expected of the prompt."""
    tokens = lengths(expected(tmp_path), lambda _: 4.0)
    one = school(tmp_path, tokens=tokens, drift=True)
    before = one.forecast(SMALL)
    for number in range(60):
        one.clock.time += 1.0
        caller = f"caller {number}"
        outcome = (await one.asked(caller=caller)).outcome
        unread = replace(outcome, decision_id=f"unread {number}", labels=Labels(axes={}))
        await school(tmp_path / "other").store.record(unread)
    other = school(tmp_path / "other", drift=True)
    for number in range(20):
        await other.client.feedback(f"unread {number}", 1.0, caller=f"caller {number}")
    for _ in range(3):
        other.learner.read_on()
        one.learner.read_on()
    assert [alarm.signal for alarm in one.learner.alarms] == ["length"]
    assert other.learner.alarms == ()
    assert other.learner.counted == 20
    assert other.forecast(SMALL).quality > before.quality


def test_how_large_a_change_was_its_own_answers_say() -> None:
    """Not those from before it, which the answers of other signals have made recent."""
    habits = np.linspace(-1.0, 1.0, 101)[:, None]
    lookout = Lookout(Known(calibration=(0.0, 1.0), habits=habits), pool=[SMALL])
    rng = np.random.default_rng(2)
    for number in range(900):
        off = 0.6 if number >= 300 else 0.0
        held = float(rng.uniform(-0.4, 0.4)) + off
        found = lookout.judged(SMALL, "reward", off=(held, held), at=2.0 * number)
        other = float(rng.uniform(-1.0, 1.0))
        lookout.judged(SMALL, "length", off=(other, other), at=2.0 * number + 1.0)
        if isinstance(found, Alarm):
            break
    assert isinstance(found, Alarm)
    assert (found.signal, found.rose) == ("reward", True)
    assert 0.2 < lookout._recovery[SMALL]._half < 0.35


MANY = tuple(f"caller {number}" for number in range(20))
AGREEMENT = {"agreement": np.array([-0.4, 0.65, 0.4, 0.15])}
"""About what recorded rows say: strong models say the same where both are likely to be right."""


async def seconds(
    one: School, rate: float, count: int, seed: int = 0, *, callers: Sequence[str] = MANY
) -> None:
    """Answers of one model that another was asked for too, and how often it said the same."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        one.clock.time += 1.0
        answer = await one.asked(caller=callers[number % len(callers)])
        same = float(rng.random() < rate)
        check = replace(
            answer.outcome,
            decision_id=f"check:{answer.decision_id}",
            created=one.clock.time + 0.5,
            model=LARGE,
            verdicts=(Verdict(judge="check", draft=0, score=same),),
        )
        await one.store.record(check)
    while one.learner.status()["read"]["decisions"] < await written(one):  # type: ignore[index]
        one.learner.read_on()


def usual(one: School) -> float:
    """How often the large model is expected to say what the small one said."""
    lookout, pool = one.learner._lookout, one.learner._fitted.pool
    assert lookout is not None
    labels = FAST.labels(request(QUESTION))
    vector = FITTED.features.vectors([QUESTION], [labels])
    odds = lookout.calibrated(FITTED.log_odds(vector, [labels])[0])
    found = lookout.agreeing(odds[pool.index(SMALL)], odds[pool.index(LARGE)])
    assert found is not None
    return found


async def test_checks_that_agree_as_often_as_ever_change_nothing(tmp_path: Path) -> None:
    tokens = lengths(expected(tmp_path), lambda _: 1.0)
    one = school(tmp_path, tokens=tokens, drift=True, watch=AGREEMENT)
    before = one.forecast(SMALL).quality
    await seconds(one, usual(one), 150)
    assert one.learner.alarms == ()
    assert one.learner.checks == 150
    assert one.forecast(SMALL).quality == pytest.approx(before, abs=0.12)


async def test_a_model_whose_answers_no_second_one_shares_any_more_is_noticed(
    tmp_path: Path,
) -> None:
    tokens = lengths(expected(tmp_path), lambda _: 1.0)
    one = school(tmp_path, tokens=tokens, drift=True, watch=AGREEMENT)
    before = one.forecast(SMALL).quality
    await seconds(one, usual(one), 40)
    await seconds(one, 0.02, 120, seed=1)
    (alarm,) = one.learner.alarms
    assert (alarm.model, alarm.signal, alarm.rose) == (SMALL, "check", False)
    assert one.forecast(SMALL).quality < before
    assert one.forecast(LARGE).quality == school(tmp_path).forecast(LARGE).quality


@pytest.mark.parametrize("eve", [("eve",), ("eve/1", "eve/2")])
async def test_one_callers_checks_do_not_ruin_a_model(tmp_path: Path, eve: tuple[str, ...]) -> None:
    tokens = lengths(expected(tmp_path), lambda _: 1.0)
    one = school(tmp_path, tokens=tokens, drift=True, watch=AGREEMENT)
    await seconds(one, usual(one), 40)
    before = one.learner.checks
    for day in range(1, 8):
        one.clock.time = 1e9 + 86_400.0 * day
        await seconds(one, 0.0, 15 * len(eve), seed=day, callers=eve)
        assert one.learner.checks - before == day * DAILY * len(eve)
    assert not one.learner.alarms
    # A change that the others see too is still noticed.
    await seconds(one, 0.0, 100)
    assert [alarm.signal for alarm in one.learner.alarms] == ["check"]


async def test_who_is_alone_is_the_traffic(tmp_path: Path) -> None:
    tokens = lengths(expected(tmp_path), lambda _: 1.0)
    one = school(tmp_path, tokens=tokens, drift=True, watch=AGREEMENT)
    for day in range(1, 8):
        one.clock.time = 1e9 + 86_400.0 * day
        await seconds(one, 0.0, DAILY, seed=day, callers=("",))
    assert [alarm.signal for alarm in one.learner.alarms] == ["check"]


async def test_a_fit_that_told_nothing_of_agreement_learns_nothing_of_checks(
    tmp_path: Path,
) -> None:
    tokens = lengths(expected(tmp_path), lambda _: 1.0)
    one = school(tmp_path, tokens=tokens, drift=True)
    await seconds(one, 0.0, 60)
    assert (one.learner.checks, one.learner.alarms) == (0, ())
