"""Queries that are not what the policy was fitted on: noticed, told, acted on, and over."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from emafusion.client import request
from emafusion.config.territory import LEAN, Territory, leant
from emafusion.learn.online import Reference
from emafusion.learn.taxonomy_prompts import generate
from emafusion.types import Context, Estimate, Forecast, Labels, Outcome, log_odds
from emafusion.understand import Taxonomy

from .school import ENCODER, FAST, LARGE, SMALL, School, models, school

PROMPTS = [one.text for one in generate(Taxonomy.load(), 1500, seed=3)]
USUAL, LATER = PROMPTS[:700], PROMPTS[700:]
ODD = [f"Übersetze ins Walisische, Satz {n}: der Hund Nr. {n * 7} schläft." for n in range(600)]
WATCH = {
    f"queries_{name}": array
    for name, array in Reference.fit(ENCODER.encode(USUAL)).to_arrays().items()
}
OTHERS = {**WATCH}
"""What a fit on others' queries left, or one that did not say whose they were."""
WATCH["queries_of_callers"] = np.array([True])


def decisions(texts: Sequence[str], *, caller: str = "ann", begun: float = 1e9) -> list[Outcome]:
    """Recorded decisions on these prompts, a second apart."""
    blank = Forecast(estimates=())
    return [
        Outcome(
            decision_id=f"dec_{caller}{begun}{n}",
            created=begun + n,
            prompt=text,
            labels=Labels(axes={}),
            forecast=blank,
            plan=None,
            steps=(),
            verdicts=(),
            model="",
            text="",
            confidence=0.0,
            cost_usd=0.0,
            latency_s=0.0,
            caller=caller,
        )
        for n, text in enumerate(texts)
    ]


def seen(one: Territory, some: Sequence[Outcome]) -> bool:
    """Whether queries began or ceased to stray by any of these decisions."""
    turned = [one.take(outcome) for outcome in some]
    return any(turned)


def territory() -> Territory:
    found = Territory.from_arrays(WATCH, ENCODER)
    assert found is not None
    return found


def test_a_policy_that_tells_nothing_of_its_queries_has_no_territory() -> None:
    assert Territory.from_arrays({"habits": np.zeros(1)}, ENCODER) is None


def test_queries_stray_and_come_back(caplog: pytest.LogCaptureFixture) -> None:
    one = territory()
    assert not seen(one, decisions(LATER[:400]))
    assert not one.strayed
    with caplog.at_level(logging.WARNING):
        assert seen(one, decisions(ODD[:200], begun=2e9))
    assert one.strayed
    assert one.status()["strayed"] is True
    assert "learn --traffic" in caplog.text
    assert not seen(one, decisions(LATER[400:500], begun=3e9))
    for begun in range(500, 800, 100):
        seen(one, decisions(LATER[begun : begun + 100], begun=3e9 + begun))
    seen(one, decisions(USUAL[:400], begun=4e9))
    assert not one.strayed


def test_one_caller_among_many_strays_alone() -> None:
    one = territory()
    for n in range(8):
        some = slice(25 * n, 25 * n + 25)
        seen(one, decisions(LATER[some], caller=f"ours {n % 3}", begun=1e9 + 1000 * n))
        seen(one, decisions(ODD[60 * n : 60 * n + 60], caller="eve", begun=1.5e9 + 1000 * n))
    assert not one.strayed


def test_queries_that_come_thick_and_fast_are_sampled() -> None:
    one = territory()
    some = decisions(LATER[:50])
    seen(one, some[:1] * 50)
    assert one.status()["seen"] == 1


def test_a_forecast_leans_to_how_good_each_model_is_on_the_whole() -> None:
    estimates = tuple(
        Estimate(model=name, quality=q, quality_std=0.1, cost_usd=1e-5, latency_s=1.0)
        for name, q in ((SMALL, 0.9), (LARGE, 0.2), ("stranger", 0.3))
    )
    forecast = Forecast(estimates=estimates, gate=0.7, context=Context(mean=0.0, best=1.0))
    found = leant(forecast, {SMALL: log_odds(0.4), LARGE: log_odds(0.8)})
    assert found[SMALL].log_odds == pytest.approx((1 - LEAN) * log_odds(0.9) + LEAN * log_odds(0.4))
    assert found[LARGE].quality > found[SMALL].quality
    assert found["stranger"] == forecast["stranger"]
    assert found.gate == forecast.gate
    assert found.context is not None
    assert found.context.best == pytest.approx(0.25 * 1.0 + 0.75 * log_odds(0.8))


async def strayed(one: School) -> None:
    for outcome in decisions(ODD[:220]):
        await one.store.record(outcome)
    for _ in range(4):
        one.learner.read_on()


async def test_serving_leans_while_queries_stray_and_accuses_no_model(tmp_path: Path) -> None:
    one = school(tmp_path, drift=True, watch=WATCH)
    before = {name: one.forecast(name).quality for name in (SMALL, LARGE)}
    await strayed(one)
    assert one.learner.strayed
    told = one.learner.status()["queries"]
    assert isinstance(told, dict)
    assert told["strayed"] is True
    usual = one.learner._usual
    for name, quality in before.items():
        odds = (1 - LEAN) * log_odds(quality) + LEAN * usual[name]
        assert one.forecast(name).log_odds == pytest.approx(odds, abs=1e-6)
    for number in range(60):
        await one.voted(0.0, caller=f"caller {number}")
        one.learner.read_on()
    assert one.learner.alarms == ()
    assert one.learner.counted == 60


async def test_from_queries_that_were_not_callers_straying_is_told_once_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = school(tmp_path, drift=True, watch=OTHERS)
    before = {name: one.forecast(name) for name in (SMALL, LARGE)}
    with caplog.at_level(logging.WARNING):
        await strayed(one)
    told = one.learner.status()["queries"]
    assert isinstance(told, dict)
    assert (told["strayed"], told["of_callers"], one.learner.strayed) == (True, False, False)
    assert {name: one.forecast(name) for name in before} == before
    # The watch on models goes on: they are held against the fit as ever.
    for number in range(60):
        await one.voted(0.0, caller=f"caller {number}")
        one.learner.read_on()
    assert [alarm.model for alarm in one.learner.alarms] == [SMALL]
    found = Territory.from_arrays(OTHERS, ENCODER)
    assert found is not None
    for begun in (2e9, 4e9):
        seen(found, decisions(ODD[:300], begun=begun))
        assert found.strayed
        seen(found, decisions(USUAL, begun=begun + 1e9))
        assert not found.strayed
    assert caplog.text.count("learn --traffic") == 2


async def test_a_restarted_process_knows_that_queries_stray(tmp_path: Path) -> None:
    await strayed(school(tmp_path, drift=True, watch=WATCH))
    again = school(tmp_path, drift=True, watch=WATCH)
    again.learner.read_on()
    again.learner.read_on()
    assert again.learner.strayed
    assert again.learner.predict(request("Hello?"), FAST.labels(request("Hello?")), models())


async def test_without_texts_queries_are_not_watched(tmp_path: Path) -> None:
    one = school(tmp_path, drift=True, watch=WATCH, content=False)
    await strayed(one)
    assert not one.learner.strayed


@pytest.mark.parametrize("page", [1, 33])
async def test_what_is_concluded_of_queries_does_not_depend_on_how_the_record_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, page: int
) -> None:
    first = school(tmp_path, drift=True, watch=WATCH)
    some = (LATER[:150], ODD[:120], USUAL[:530])
    for number, texts in enumerate(some):
        for outcome in decisions(texts, begun=1e9 + 1e6 * number):
            await first.store.record(outcome)
    told = []
    for size in (200, page):
        monkeypatch.setattr("emafusion.config.learner.PAGE", size)
        caplog.clear()
        one = school(tmp_path, drift=True, watch=WATCH)
        for _ in range(800 // size + 2):
            one.learner.read_on()
        told.append((one.learner.status(), caplog.text))
    assert told[0] == told[1]
    # They strayed for a while that lies within one page of the first reading.
    assert "no longer like" in told[0][1]
    assert "again like" in told[0][1]
