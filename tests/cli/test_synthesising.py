from __future__ import annotations

import json
from pathlib import Path

import pytest

from emafusion.cli import run

Out = pytest.CaptureFixture[str]
EXAMPLE = str(Path(__file__).parents[2] / "examples" / "seeds" / "workplace.toml")


def test_seeds_are_drawn_from_reported_and_collected(
    settings: Path, tmp_path: Path, capsys: Out
) -> None:
    out = tmp_path / "made"
    synthesise = ["synthesise", EXAMPLE, "--out", str(out), "--count", "40", "--json"]
    assert run(synthesise) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["questions"] == {"train": 26, "val": 6, "test": 8}
    assert len(told["seeds"]["seeds"]) == 10
    assert told["seeds"]["leaks"]["items"] == 0
    assert "tool_use" in told["missing"]["task"]
    first = (out / "queries.parquet").read_bytes()
    assert run(synthesise) == 0
    assert (out / "queries.parquet").read_bytes() == first
    capsys.readouterr()
    assert run(["collect", "--out", str(out), "--json", "--config", str(settings)]) == 0
    assert json.loads(capsys.readouterr().out)["answered"] == 80


def test_a_generator_extends_the_seeds_within_its_budget(
    settings: Path, tmp_path: Path, capsys: Out
) -> None:
    seeds = tmp_path / "seeds.toml"
    seeds.write_text(
        '[[seed]]\nname = "echo"\ntemplate = "Say {word}."\nreference = "{word}"\n'
        'slots = { word = { generate = "words", count = 9, values = ["red", "blue"] } }\n'
    )
    out = tmp_path / "made"
    command = ["synthesise", str(seeds), "--out", str(out), "--count", "5"]
    command += ["--config", str(settings), "--generator", "small"]
    assert run(command) == 2
    assert "say how much it may cost with --budget" in capsys.readouterr().err
    assert run([*command, "--budget", "0.5", "--json"]) == 0
    told = capsys.readouterr()
    supplied = json.loads(told.out)["generator"]
    # Asked again for what is lacking, three times at most, for values and for wordings each.
    assert 2 <= supplied["calls"] <= 6
    assert 0 < supplied["spent_usd"] <= 0.5
    assert "small gave" in told.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone.toml"], "cannot read the seeds in 'gone.toml'"),
        (["--generator", "small"], "name a seed file"),
        ([EXAMPLE, "--generator", "nobody", "--budget", "1"], "no model 'nobody'"),
        ([EXAMPLE, "--count", "2"], "cannot fill 3 splits"),
    ],
)
def test_what_the_user_can_put_right(
    arguments: list[str], said: str, settings: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMAFUSION_CONFIG", str(settings))
    monkeypatch.chdir(settings.parent)
    assert run(["synthesise", "--out", "made", *arguments]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
