"""A serving process gets better with every opinion, and nobody waits for it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from emafusion import config
from emafusion.config.beat import Beat
from emafusion.config.learner import Learner, Origin
from emafusion.config.lessons import surprising
from emafusion.config.load import parse
from emafusion.errors import ConfigError
from emafusion.record import Store
from emafusion.testing import ScriptedProvider
from emafusion.types import Estimate, Feedback, replace

from .school import FITTED, LARGE, MIDDLE, POLICY, QUESTION, SMALL, school


async def test_with_nothing_said_the_forecasts_are_the_fits(tmp_path: Path) -> None:
    one = school(tmp_path)
    before = one.forecast(SMALL)
    await one.asked()
    one.learner.read_on()
    one.learner._redraw()
    assert one.forecast(SMALL) == before


@pytest.mark.parametrize(("score", "sign"), [(1.0, 1), (0.0, -1)])
async def test_opinions_of_one_model_move_its_forecast_alone(
    tmp_path: Path, score: float, sign: int
) -> None:
    one = school(tmp_path)
    before = {name: one.forecast(name).quality for name in (SMALL, MIDDLE, LARGE)}
    for number in range(8):
        await one.voted(score, caller=f"caller {number}")
    assert one.forecast(SMALL).quality == before[SMALL]
    one.learner.read_on()
    assert sign * (one.forecast(SMALL).quality - before[SMALL]) > 0.02
    assert one.forecast(MIDDLE).quality == before[MIDDLE]
    assert one.forecast(LARGE).quality == before[LARGE]
    assert one.learner.status()["feedback"] == 8


async def test_more_is_known_after_more_opinions(tmp_path: Path) -> None:
    one = school(tmp_path)
    before = one.forecast(SMALL)
    for number in range(8):
        await one.voted(before.quality, caller=f"caller {number}")
    one.learner.read_on()
    assert unsure(one.forecast(SMALL)) < unsure(before)


def unsure(found: Estimate) -> float:
    """The spread in log-odds."""
    return found.quality_std / (found.quality * (1.0 - found.quality))


async def test_every_process_on_one_record_learns_the_same_also_after_a_restart(
    tmp_path: Path,
) -> None:
    first, second = school(tmp_path), school(tmp_path)
    for number in range(6):
        await first.voted(1.0, caller=f"caller {number}")
        first.learner.read_on()
        if number == 3:
            second.learner.read_on()
    second.learner.read_on()
    assert first.forecast(SMALL) == second.forecast(SMALL)
    again = school(tmp_path)
    assert again.forecast(SMALL) != first.forecast(SMALL)
    again.learner.read_on()
    assert again.forecast(SMALL) == first.forecast(SMALL)


async def test_a_hostile_caller_is_bounded_however_often_he_votes(tmp_path: Path) -> None:
    one = school(tmp_path)
    before = one.forecast(SMALL).quality
    for _ in range(150):
        await one.voted(1.0, caller="eve")
    one.learner.read_on()
    few = one.forecast(SMALL).quality
    for _ in range(150):
        await one.voted(1.0, caller="eve")
    one.learner.read_on()
    one.learner.read_on()
    assert one.learner.weight < 10.0
    assert one.forecast(SMALL).quality - few < 1e-4
    assert few - before < 0.2


async def test_nobody_votes_on_anothers_decision_and_nobody_twice(tmp_path: Path) -> None:
    one = school(tmp_path)
    answer = await one.asked(caller="ann")
    await one.client.feedback(answer.decision_id, 0.0, caller="eve")
    one.learner.read_on()
    assert one.learner.counted == 0
    for score in (1.0, 0.0):
        await one.client.feedback(answer.decision_id, score, caller="ann")
        one.learner.read_on()
    assert (one.learner.counted, one.learner.weight) == (1, 1.0)


async def test_callers_are_heard_again_on_another_day(tmp_path: Path) -> None:
    one = school(tmp_path)
    for day in range(3):
        one.clock.time = 1e9 + 86_400.0 * day
        for _ in range(4):
            await one.voted(1.0)
        one.learner.read_on()
        assert one.learner.weight == pytest.approx((day + 1) * (1 + 0.9 + 0.81 + 0.729))


async def test_what_was_said_before_the_policy_served_is_no_news(tmp_path: Path) -> None:
    one = school(tmp_path, since=1e9 + 1.0)
    await one.voted(1.0)
    one.clock.time += 2.0
    await one.voted(1.0, caller="bob")
    one.learner.read_on()
    assert one.learner.counted == 1


async def test_without_texts_only_labels_are_learnt_by(tmp_path: Path) -> None:
    one = school(tmp_path, content=False)
    before = one.forecast(SMALL).quality
    heads = one.learner._beliefs.heads.means.copy()
    for number in range(8):
        await one.voted(1.0, caller=f"caller {number}")
    one.learner.read_on()
    assert one.learner.counted == 8
    assert one.forecast(SMALL).quality > before
    assert (one.learner._beliefs.heads.means == heads).all()


async def test_a_page_is_read_at_a_time_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emafusion.config.learner.PAGE", 3)
    monkeypatch.setattr("emafusion.config.learner.BUSY_S", 0.0)
    one = school(tmp_path, drift=True)
    for number in range(7):
        await one.voted(1.0, caller=f"caller {number}")
    counted = []
    for _ in range(8):
        one.learner.read_on()
        counted.append(one.learner.counted)
    assert counted[0] <= 3
    assert counted[-2:] == [7, 7]
    assert one.learner.status()["read"] == {"feedback": 7, "decisions": 7}


def test_a_belief_that_is_right_stays_so_though_judges_chose_the_answers() -> None:
    """Answers that look good are accepted; the others nobody sees or scores."""
    rng = np.random.default_rng(0)
    rate, plain, corrected = 0.5, [], []
    for _ in range(40_000):
        good = rng.random() < rate
        # A hint with log-odds N(±2, 2²) is its own calibrated evidence.
        hint = rng.normal(2.0 if good else -2.0, 2.0)
        if hint > 0.5:
            plain.append(float(good))
            corrected.append(surprising(float(good), rate, hint))
    assert np.mean(plain) > 0.85
    assert np.mean(corrected) == pytest.approx(rate, abs=0.02)
    # Where the hint has become worth nothing, the belief falls.
    worse = [surprising(float(rng.random() < 0.5), rate, 2.0) for _ in range(2_000)]
    assert np.mean(worse) < 0.4


async def test_no_request_waits_while_the_record_is_read(tmp_path: Path) -> None:
    entered, let_go = threading.Event(), threading.Event()

    class Stuck(Store):
        def noted_sync(self, after: int = 0, limit: int = 1000) -> tuple[tuple[int, Feedback], ...]:
            entered.set()
            let_go.wait()
            return super().noted_sync(after, limit)

    one = school(tmp_path)
    learner = Learner(Origin(name="", artefact=POLICY), FITTED, Stuck(tmp_path / "d.sqlite3"))
    engine = one.client.engine
    engine.stages = replace(engine.stages, predictor=learner)
    beat = Beat([learner.read_on], every_s=0.001).start()
    try:
        await asyncio.to_thread(entered.wait)
        async with asyncio.timeout(5.0):
            await one.asked()
    finally:
        let_go.set()
        beat.stop()


def test_an_unknown_key_is_named_with_its_neighbour() -> None:
    with pytest.raises(ConfigError, match=r"'learn\.feedbak'; did you mean 'feedback'"):
        parse("[learn]\nfeedbak = true", "test")


TOML = """
[policy]
arrangement = "single"
models = ["smollm2-135m"]

[providers.p]
type = "openai"
base_url = "http://localhost:1"

[models."smollm2-135m"]
provider = "p"
upstream = "s"
usd_per_mtok_in = 1.0
usd_per_mtok_out = 1.0

[record]
path = {path!r}

[learn]
feedback = {feedback}
"""


@pytest.mark.parametrize("feedback", [True, False])
async def test_a_client_built_from_settings_learns_unless_told_not_to(
    tmp_path: Path, feedback: bool
) -> None:
    text = TOML.format(path=str(tmp_path / "d.sqlite3"), feedback=str(feedback).lower())
    async with config.build(parse(text, "test"), parts={"p": ScriptedProvider("x")}) as client:
        first = await client.answer(QUESTION)
        await client.feedback(first.decision_id, 0.0)
        before = first.outcome.forecast[SMALL].quality
        for _ in range(40 if feedback else 15):
            await asyncio.sleep(0.1)
            now = (await client.answer(QUESTION)).outcome.forecast[SMALL].quality
            if now < before:
                break
        assert (now < before) is feedback
