"""With ``[protect]``, commands that ask models show them, and keep, what served requests do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emafusion.cli import run

Out = pytest.CaptureFixture[str]
MAIL = "jane.roe@harbour.example"
SEED = f"""
[[seed]]
name = "echo"
template = "Say {{word}}{{number}} to {MAIL}."
reference = "Say {{word}}{{number}} to {MAIL}."
grader = {{ type = "constraint", include = ["{MAIL}"] }}
labels = {{ task = "generation", complexity = "recall", domain = "general", format = "free_text" }}
slots = {{ word = ["red", "blue"], number = "1..99" }}
"""
PROTECT = '\n[protect]\nsecret = "env:MASKING_SECRET"\n'


@pytest.fixture
def masking(settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASKING_SECRET", "what nobody knows but we")
    settings.write_text(settings.read_text() + PROTECT)
    (tmp_path / "seeds.toml").write_text(SEED)
    return settings


def told(capsys: Out) -> Any:
    return json.loads(capsys.readouterr().out)


def holding(folder: Path) -> list[str]:
    """The files in `folder` that have the address."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert found
    return [path.name for path in found if MAIL.encode() in path.read_bytes()]


def drawn(settings: Path, out: Path, *more: str) -> int:
    seeds = str(settings.parent / "seeds.toml")
    command = ["synthesise", seeds, "--out", str(out), "--count", "8", "--config", str(settings)]
    return run([*command, *more])


def collected(settings: Path, out: Path, model: str) -> int:
    command = ["collect", "--out", str(out), "--json", "--models", model]
    return run([*command, "--config", str(settings)])


def test_no_file_holds_what_is_masked_and_answers_are_marked(
    masking: Path, tmp_path: Path, capsys: Out
) -> None:
    out = tmp_path / "made"
    assert drawn(masking, out) == 0
    assert holding(out) == []
    capsys.readouterr()
    assert collected(masking, out, "small") == 0
    report = told(capsys)
    assert report["answered"] == 8
    assert [one["accuracy"] for one in report["tallies"]] == [1.0]
    assert holding(out) == []


def test_what_was_drawn_before_is_masked_when_it_is_asked(
    masking: Path, tmp_path: Path, capsys: Out
) -> None:
    settings = masking.read_text()
    masking.write_text(settings.replace(PROTECT, ""))
    raw, out = tmp_path / "raw", tmp_path / "made"
    assert drawn(masking, raw) == 0
    assert holding(raw) == ["queries.parquet"]
    masking.write_text(settings)
    command = ["collect", "--questions", str(raw), "--out", str(out), "--models", "small"]
    assert run([*command, "--config", str(masking)]) == 0
    assert holding(out) == []
    assert "8 of 8" in capsys.readouterr().out


def test_what_is_for_private_models_is_asked_of_those_alone(
    masking: Path, tmp_path: Path, capsys: Out
) -> None:
    masking.write_text(masking.read_text() + 'kinds = { EMAIL = "private" }\n')
    out = tmp_path / "made"
    assert drawn(masking, out) == 0
    capsys.readouterr()
    assert collected(masking, out, "small") == 1
    report = told(capsys)
    assert report["answered"] == 0
    reasons = [*report["stopped"].values(), *(one["error"] for one in report["failed"])]
    assert "is not cleared for restricted text" in reasons[0]
    assert "visibility = 'private'" in reasons[0]
    assert collected(masking, out, "large") == 0
    assert told(capsys)["answered"] == 8
    assert holding(out) == []


def test_learning_masks_what_it_draws_and_what_it_drew(masking: Path, tmp_path: Path) -> None:
    settings = masking.read_text()
    out = tmp_path / "learnt"
    seeds = str(tmp_path / "seeds.toml")
    command = ["learn", seeds, "--out", str(out), "--count", "20", "--models", "small"]
    command += ["--config", str(masking)]
    assert run(command) == 2  # it is too little to fit
    assert holding(out) == []
    masking.write_text(settings.replace(PROTECT, ""))
    raw = tmp_path / "raw"
    command[3] = str(raw)
    assert run(command) == 2
    assert "queries.parquet" in holding(raw)
    masking.write_text(settings)
    assert run(command) == 2
    assert holding(raw / "questions") == []
