"""Alarms that come soon where something changed, and hardly ever where nothing did."""

from __future__ import annotations

import numpy as np
import pytest

from emafusion.errors import ConfigError
from emafusion.learn.online import Habits, Recovery, Signal, Watch


def answers(rate: float, expected: float, count: int, seed: int = 0) -> list[dict[str, float]]:
    """Residuals of answers that are right at `rate` where `expected` was expected."""
    rng = np.random.default_rng(seed)
    return [{"reward": float(rng.random() < rate) - expected} for _ in range(count)]


def test_nothing_is_noticed_where_nothing_changed() -> None:
    watch = Watch(["m"])
    rng = np.random.default_rng(0)
    for one in answers(0.7, 0.7, 20_000, seed=5):
        told = {**one, "length": 2.0 * float(rng.random()) - 1.0}
        assert watch.observe("m", told) is None


def test_a_forecast_two_points_too_high_is_no_drift() -> None:
    watch = Watch(["m"])
    assert all(watch.observe("m", one) is None for one in answers(0.68, 0.70, 10_000))


@pytest.mark.parametrize(("rate", "within"), [(0.45, 200), (0.5, 350), (0.95, 200)])
def test_a_change_is_noticed_and_dated(rate: float, within: int) -> None:
    watch = Watch(["m", "other"])
    for one in answers(0.7, 0.7, 400, seed=1):
        assert watch.observe("m", one) is None
    alarms = [watch.observe("m", one) for one in answers(rate, 0.7, 1000, seed=2)]
    first = next(count for count, one in enumerate(alarms, 1) if one)
    alarm = alarms[first - 1]
    assert alarm is not None
    assert first < within
    assert (alarm.model, alarm.signal, alarm.rose) == ("m", "reward", rate > 0.7)
    assert alarm.after == 400 + first
    # The bettor who wins began near the change.
    assert 0.5 * first < alarm.since < first + 60
    assert watch.evidence("other") == pytest.approx(1.0)


def test_other_habits_are_noticed_without_a_score() -> None:
    rng = np.random.default_rng(0)
    habits = Habits.fit(rng.standard_normal((500, 1)) * 0.3)
    watch = Watch(["m"])
    for surplus in rng.standard_normal(400) * 0.3:
        assert watch.observe("m", {"length": habits.residual(0, float(surplus))}) is None
    alarms = (
        watch.observe("m", {"length": habits.residual(0, float(surplus) * 0.3 + 0.3)})
        for surplus in rng.standard_normal(200)
    )
    alarm = next(one for one in alarms if one)
    assert (alarm.signal, alarm.rose) == ("length", True)


def test_habits_are_centred_on_what_they_were_fitted_on() -> None:
    rng = np.random.default_rng(1)
    surplus = rng.gamma(2.0, 1.0, (4000, 2))
    surplus[0, 0] = np.nan
    habits = Habits.fit(surplus)
    told = np.array([habits.residual(1, float(one)) for one in rng.gamma(2.0, 1.0, 4000)])
    assert abs(told.mean()) < 0.03
    assert told.var() == pytest.approx(1.0 / 3.0, abs=0.03)
    assert np.abs(told).max() <= 1.0


def test_after_an_alarm_it_watches_afresh() -> None:
    watch = Watch(["m"], patience=100.0)
    while watch.observe("m", {"reward": -0.7}) is None:
        pass
    assert watch.evidence("m") == pytest.approx(1.0)


def test_its_state_goes_out_and_comes_back() -> None:
    watch, again = Watch(["m"]), Watch(["m"])
    for one in answers(0.5, 0.7, 30):
        watch.observe("m", one)
    again.resume({name: array.copy() for name, array in watch.to_arrays().items()})
    assert again.evidence("m") == watch.evidence("m") > 1.0
    with pytest.raises(ConfigError, match="other models"):
        Watch(["m", "n"]).resume(watch.to_arrays())


def test_a_signal_of_ones_own_is_watched() -> None:
    """Refusals, which were one in a hundred, become one in three."""
    rng = np.random.default_rng(0)
    watch = Watch(["m"], [Signal(name="refusal")])
    before = [watch.observe("m", {"refusal": float(x < 0.01) - 0.01}) for x in rng.random(1000)]
    after = [watch.observe("m", {"refusal": float(x < 0.33) - 0.01}) for x in rng.random(150)]
    assert not any(before)
    assert any(after)


def test_patience_is_more_than_an_answer() -> None:
    with pytest.raises(ConfigError, match="patience"):
        Watch(["m"], patience=1.0)


def test_a_change_that_lasts_has_no_end() -> None:
    recovery = Recovery(rose=False, gap=0.3)
    assert not any(recovery.observe(one["reward"]) for one in answers(0.3, 0.6, 1500))


@pytest.mark.parametrize("rose", [True, False])
def test_the_end_of_a_change_is_told(rose: bool) -> None:
    recovery = Recovery(rose=rose, gap=0.4)
    rng = np.random.default_rng(3)
    off = (0.4 if rose else -0.4) + rng.uniform(-0.5, 0.5, 100)
    assert not any(recovery.observe(one) for one in off.tolist())
    seen = [recovery.observe(one) for one in rng.uniform(-0.5, 0.5, 300).tolist()]
    assert seen.index(True) < 150
