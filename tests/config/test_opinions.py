"""Whose word it takes to declare a model changed, and when the change is taken to have begun."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from emafusion.client import request
from emafusion.config.stale import Stale
from emafusion.learn.online.ballots import rate_bound
from emafusion.predict.suitability import LEVELS

from .school import FAST, FITTED, POLICY, QUESTION, SMALL, School, school
from .test_lookout import expected, lengths, written

DAY_S = 86_400.0


async def read(one: School) -> None:
    while one.learner.status()["read"]["decisions"] < await written(one):  # type: ignore[index]
        one.learner.read_on()
    one.learner.read_on()


def watched(tmp_path: Path) -> School:
    """Answers as long as ever, so that opinions alone tell."""
    return school(tmp_path, tokens=lengths(expected(tmp_path), lambda _: 1.0), drift=True)


def rate(one: School) -> float:
    """What the taxonomy router believes of the question's cell."""
    by_labels = one.learner._beliefs.suitability(FITTED.suitability.strength)
    labels = FAST.labels(request(QUESTION))
    return float(by_labels.rate(labels)[0][FITTED.pool.index(SMALL)])


def trials() -> list[float]:
    """Outcomes of the model at each level of the question's cell, the whole pool's first."""
    axes = LEVELS[-1]
    labels, heads = FAST.labels(request(QUESTION)), FAST.heads
    seen = np.asarray(POLICY.under("predict")["trials"], dtype=float)[:, FITTED.pool.index(SMALL)]
    seen = seen.reshape([len(heads[axis].labels) for axis in axes])
    cell = [heads[axis].labels.index(labels.top(axis)) for axis in axes]
    return [float(seen[tuple(cell[:level])].sum()) for level in range(len(cell) + 1)]


@pytest.mark.parametrize("eve", [("eve",), ("eve/1", "eve/2", "eve/3")])
async def test_one_callers_opinions_do_not_have_a_model_declared_changed(
    tmp_path: Path, eve: tuple[str, ...]
) -> None:
    one, rng, days = watched(tmp_path), np.random.default_rng(0), 5
    without, good = watched(tmp_path / "without"), one.forecast(SMALL).quality
    for number in range(30 * days):
        one.clock.time = without.clock.time = 1e9 + DAY_S * (number // 30) + number % 30
        await one.voted(0.0, caller=eve[number % len(eve)])
        if number % 3 == 0:
            await one.voted(good, caller=f"caller {number % 2}")
            await without.voted(good, caller=f"caller {number % 2}")
    await read(one)
    await read(without)
    assert one.learner.changed == frozenset()
    bound = rate_bound(FITTED.suitability.strength, trials(), 10.0 * days * len(eve))
    assert 0.0 < rate(without) - rate(one) < bound
    # What the others see too is noticed.
    for number in range(60):
        one.clock.time += 1.0
        await one.voted(float(rng.random() < 0.05), caller=f"caller {number}")
    await read(one)
    assert [(alarm.signal, alarm.rose) for alarm in one.learner.alarms] == [("reward", False)]
    ((_, until),) = Stale(one.store.path).read()[SMALL]
    # And dated by them, not by him who said so all along.
    assert until > 1e9 + DAY_S * (days - 2)


async def test_one_callers_odd_queries_do_not_have_a_model_declared_changed(
    tmp_path: Path,
) -> None:
    factor = 1.0
    tokens = lengths(expected(tmp_path), lambda _: factor)
    one = school(tmp_path, tokens=tokens, drift=True)
    for number in range(40):
        one.clock.time += 1.0
        await one.asked(caller=f"caller {number}")
    factor = 4.0
    for _ in range(80):
        one.clock.time += 1.0
        await one.asked(caller="eve")
    await read(one)
    assert one.learner.changed == frozenset()
    for number in range(40):
        one.clock.time += 1.0
        await one.asked(caller=f"caller {number}")
    await read(one)
    assert [alarm.signal for alarm in one.learner.alarms] == ["length"]


async def test_one_callers_opinions_do_not_have_a_change_declared_over(tmp_path: Path) -> None:
    one, rng = watched(tmp_path), np.random.default_rng(1)
    for number in range(60):
        one.clock.time += 1.0
        await one.voted(float(rng.random() < 0.05), caller=f"caller {number}")
    await read(one)
    assert one.learner.changed == {SMALL}
    for day in range(1, 6):
        one.clock.time = 1e9 + DAY_S * day
        for _ in range(25):
            one.clock.time += 1.0
            await one.voted(1.0, caller="eve")
    await read(one)
    assert one.learner.changed == {SMALL}
    for number in range(60):
        one.clock.time += 1.0
        await one.voted(float(rng.random() < 0.8), caller=f"later {number}")
    await read(one)
    assert one.learner.changed == frozenset()


def in_turn(said: list[tuple[str, str, float]], order: str) -> Iterable[tuple[str, str, float]]:
    if order == "shuffled":
        return [said[at] for at in np.random.default_rng(2).permutation(len(said))]
    return said if order == "oldest first" else reversed(said)


@pytest.mark.parametrize("order", ["oldest first", "newest first", "shuffled"])
async def test_a_change_is_dated_by_answers_in_whatever_order_opinions_come(
    tmp_path: Path, order: str
) -> None:
    one, rng, said = watched(tmp_path), np.random.default_rng(3), []
    for number in range(120):
        one.clock.time = 1e9 + 60.0 * number
        answer = await one.asked(caller=f"caller {number}")
        score = float(rng.random() < (0.8 if number < 40 else 0.05))
        said.append((answer.decision_id, f"caller {number}", score))
    for decision, caller, score in in_turn(said, order):
        one.clock.time += 0.01
        await one.client.feedback(decision, score, caller=caller)
    await read(one)
    assert len(one.learner.alarms) == 1
    ((_, until),) = Stale(one.store.path).read()[SMALL]
    assert (until - 1e9) / 60.0 == pytest.approx(40.0, abs=6.0)
    learnt = [(each.at - 1e9) / 60.0 for each in one.learner._lessons[SMALL]]
    assert sorted(learnt) == [float(n) for n in range(int((until - 1e9) / 60.0), 120)]
    again = school(tmp_path, drift=True)
    await read(again)
    assert again.forecast(SMALL) == one.forecast(SMALL)
    assert Stale(one.store.path).read()[SMALL] == ((-np.inf, until),)


async def test_a_long_change_does_not_push_out_what_was_said_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emafusion.config.learner.REMEMBERED", 60)
    one, rng = watched(tmp_path), np.random.default_rng(1)
    for number in range(260):
        one.clock.time += 1.0
        usual = number < 50 or number >= 160
        await one.voted(float(rng.random() < (0.76 if usual else 0.0)), caller=f"caller {number}")
        if number == 159:
            await read(one)
            assert one.learner.changed == {SMALL}
            assert len(one.learner._before[SMALL]) > 30
    await read(one)
    assert one.learner.changed == frozenset()
    fresh = school(tmp_path / "fresh").learner._beliefs.trials.sum()
    # Some fifty before and nearly a hundred since, of which sixty are kept.
    assert one.learner._beliefs.trials.sum() - fresh > 60.0 + 30.0
