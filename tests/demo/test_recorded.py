"""The shipped recording fits the shipped questions and the built-in models."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from emafusion.catalog import local_models
from emafusion.demo import questions, recorded
from emafusion.demo.recorded import Recorded


def test_every_shipped_question_has_a_recorded_answer_of_every_built_in_model() -> None:
    recording = recorded.load()
    assert recording is not None
    assert recording.commit not in ("", "unknown")
    models = local_models()
    for entry in questions.load():
        attempts = recording.attempts(entry, models)
        assert set(attempts) == {model.name for model in models}, entry.id
        for attempt in attempts.values():
            assert attempt.cost_usd > 0
            assert attempt.latency_s > 0


def test_costs_follow_todays_prices() -> None:
    recording = recorded.load()
    assert recording is not None
    entry, model = questions.load()[0], local_models()[0]
    dearer = msgspec.structs.replace(
        model,
        usd_per_mtok_in=2 * model.usd_per_mtok_in,
        usd_per_mtok_out=2 * model.usd_per_mtok_out,
    )
    before = recording.attempts(entry, [model])[model.name].cost_usd
    assert recording.attempts(entry, [dearer])[model.name].cost_usd == pytest.approx(2 * before)


def test_the_file_is_one_answer_a_line(tmp_path: Path) -> None:
    recording = recorded.load()
    assert recording is not None
    recorded.save(recording, tmp_path / "r.json")
    text = (tmp_path / "r.json").read_text()
    assert len(text.splitlines()) == len(recording.answers) + 1
    assert msgspec.json.decode(text, type=Recorded) == recording
    assert json.loads(text)["params"] == {"temperature": 0.0, "max_tokens": 220}
