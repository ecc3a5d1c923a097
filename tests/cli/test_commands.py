"""The commands, in this process, against a real upstream."""

from __future__ import annotations

import io
import json
import sys
import tomllib
from pathlib import Path

import pytest

from emafusion.cli import run

Out = pytest.CaptureFixture[str]


def test_ask_prints_the_answer_alone_and_explain_finds_it_again(
    settings: Path, capsys: Out
) -> None:
    assert run(["ask", "What is the capital of Australia?", "--config", str(settings)]) == 0
    plain = capsys.readouterr()
    assert "capital of Australia" in plain.out
    assert "dec_" not in plain.out

    assert run(["ask", "And of Peru?", "--json", "--config", str(settings)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) >= {"text", "model", "confidence", "cost_usd", "latency_s", "decision_id"}
    assert answer["cost_usd"] > 0

    assert run(["explain", answer["decision_id"], "--config", str(settings)]) == 0
    told = capsys.readouterr().out
    assert answer["decision_id"] in told
    assert "total" in told
    assert run(["explain", answer["decision_id"], "--json", "--config", str(settings)]) == 0
    assert json.loads(capsys.readouterr().out)["decision_id"] == answer["decision_id"]


def test_ask_reads_stdin_narrows_and_explains(
    settings: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("From a pipe?"))
    knobs = ["--models", "large", "--prefer", "0.9", "--max-cost", "1", "--max-latency", "60"]
    asked = ["ask", "-", "--explain", "--arrangement", "single", "--private", *knobs]
    assert run([*asked, "--config", str(settings)]) == 0
    said = capsys.readouterr()
    assert "From a pipe?" in said.out
    assert "large" in said.err
    assert "small:" not in said.err


def test_ask_streams_the_same_text(settings: Path, capsys: Out) -> None:
    asked = ["ask", "Tell me more.", "--models", "small", "--config", str(settings)]
    assert run([*asked, "--stream"]) == 0
    streamed = capsys.readouterr().out
    assert run([*asked, "--no-stream"]) == 0
    assert capsys.readouterr().out == streamed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ask", "Hi", "--models", "smal"], "no model 'smal' is configured"),
        (["ask", "Hi", "--models", " , "], "--models names no model"),
        (["ask", "Hi", "--prefer", "7"], "a knob has a wrong value"),
        (["ask", "Hi", "--max-cost", "-1"], "a knob has a wrong value"),
        (["ask", "Hi", "--arrangement", "orchestra"], "a knob has a wrong value"),
        (["ask", "   "], "every message is empty"),
        (["ask"], "Missing argument 'prompt'"),
        (["ask", "Hi", "--frobnicate"], "No such option: --frobnicate"),
        (["sk"], "No such command 'sk'"),
        (["synthesise", "--out", "q", "--count", "1"], "cannot fill 3 splits"),
        (["collect", "--out", "o"], "'o' has no questions; `emafusion synthesise` writes some"),
        (["demo", "--json", "/nowhere/x.json"], "there is no folder '/nowhere'"),
        (["demo", "--questions-file", "none.toml"], "cannot read the questions"),
        (["demo", "--record", "r.json"], "--record needs --full"),
        (["serve", "--host", "0.0.0.0"], "open to other machines"),
        (["serve", "--api-key-env", "NOT_SET_ANYWHERE"], "'NOT_SET_ANYWHERE', which is unset"),
        (["models", "add", "small", "--provider", "house"], "has a model 'small'"),
        (["models", "remove", "none"], "no model 'none'; it has small, large"),
    ],
)
def test_what_the_user_can_put_right_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, settings: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMAFUSION_CONFIG", str(settings))
    monkeypatch.chdir(settings.parent)
    assert run(arguments) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_fitting_what_is_not_there_is_exit_code_2(
    settings: Path, tmp_path: Path, capsys: Out
) -> None:
    fit = ["fit", str(tmp_path / "none"), "--out", str(tmp_path / "p"), "--config", str(settings)]
    assert run(fit) == 2
    assert "error: cannot read" in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


def test_an_unknown_decision_is_exit_code_1(settings: Path, capsys: Out) -> None:
    assert run(["explain", "dec_none", "--config", str(settings)]) == 1
    assert "no decision 'dec_none'" in capsys.readouterr().err


def test_an_unreachable_upstream_is_exit_code_1(
    tmp_path: Path, settings: Path, capsys: Out
) -> None:
    lines = settings.read_text().splitlines()
    lines[2] = 'base_url = "http://127.0.0.1:9/v1"'
    settings.write_text("\n".join(lines))
    assert run(["ask", "Hi", "--max-latency", "5", "--config", str(settings)]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1


def test_a_wrong_setting_is_named(settings: Path, capsys: Out) -> None:
    settings.write_text(settings.read_text().replace("upstream", "upstrem"))
    assert run(["models", "--config", str(settings)]) == 2
    assert "models.small.upstrem" in capsys.readouterr().err


def test_models_are_listed_with_prices_and_health(
    settings: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["models", "--json", "--config", str(settings)]) == 0
    small, large = json.loads(capsys.readouterr().out)
    assert (small["name"], small["usd_per_mtok_out"], small["healthy"]) == ("small", 10.0, True)
    assert large["visibility"] == "private"
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["models", "--config", str(settings)]) == 0
    table = capsys.readouterr().out
    assert "small" in table and "ready" in table and "private" in table
    assert max(len(line) for line in table.splitlines()) <= 80


def test_a_model_is_added_asked_and_removed(settings: Path, capsys: Out) -> None:
    config = ["--config", str(settings)]
    prices = ["--price-in", "0.5", "--price-out", "1.5", "--context", "4096", "--private"]
    added = ["models", "add", "third", "--provider", "house", "--upstream", "third", *prices]
    assert run([*added, *config]) == 0
    assert run(["ask", "Are you there?", "--models", "third", "--json", *config]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "third"
    assert run(["models", "remove", "third", *config]) == 0
    assert set(tomllib.loads(settings.read_text())["models"]) == {"small", "large"}


def test_pulling_without_a_local_model_says_so(settings: Path, capsys: Out) -> None:
    assert run(["models", "pull", "--config", str(settings)]) == 0
    assert "no configured model runs from a file" in capsys.readouterr().err


def test_synthesise_then_collect_and_collect_again(
    settings: Path, tmp_path: Path, capsys: Out
) -> None:
    out = tmp_path / "outcomes"
    assert run(["synthesise", "--out", str(out), "--count", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["questions"] == {"train": 13, "val": 3, "test": 4}
    collect = ["collect", "--out", str(out), "--json", "--config", str(settings)]
    assert run(collect) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["asked"], report["answered"], report["total"]) == (40, 40, 40)
    assert {path.name for path in out.iterdir()} >= {"outcomes.parquet", "journal.jsonl"}
    assert run(collect) == 0
    assert json.loads(capsys.readouterr().out)["asked"] == 0


def test_collect_that_runs_out_of_money_says_so_and_goes_on_with_more(
    settings: Path, tmp_path: Path, capsys: Out
) -> None:
    questions, out = tmp_path / "questions", tmp_path / "outcomes"
    assert run(["synthesise", "--out", str(questions), "--count", "20"]) == 0
    capsys.readouterr()
    collect = ["collect", "--out", str(out), "--config", str(settings)]
    assert run([*collect, "--questions", str(questions), "--budget", "0.03"]) == 1
    told = capsys.readouterr()
    assert "could exceed the budget of $0.03" in told.err
    assert "accuracy" in told.out
    assert max(len(line) for line in told.out.splitlines()) <= 80
    # The folder knows its questions, those without an answer too.
    assert run([*collect, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["answered"] == report["total"] == 40
    assert 0 < report["asked"] < 40


def test_version_and_help(capsys: Out) -> None:
    assert run(["version"]) == 0
    assert run(["--version"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith("emafusion ")
    assert run([]) == 0
    told = capsys.readouterr().out
    for command in ("ask", "explain", "models", "serve", "demo", "collect", "fit", "synthesise"):
        assert command in told


def test_a_fit_into_a_folder_of_policies_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policies" / "versions").mkdir(parents=True)
    assert run(["fit", str(tmp_path / "nothing"), "--out", str(tmp_path / "policies")]) == 1
    assert "holds versions of policies" in capsys.readouterr().err
