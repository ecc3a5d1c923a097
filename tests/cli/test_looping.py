"""``emafusion learn`` from the command line; what it does is tested beside the loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from emafusion.cli import run
from emafusion.learn.interchange import read_questions

pytest.importorskip("sklearn")

Out = pytest.CaptureFixture[str]
SEED = """
[[seed]]
name = "echo"
template = "Say {word}{number}."
reference = "{word}{number}"
labels = { task = "generation", complexity = "recall", domain = "general", format = "free_text" }
slots = { word = ["red", "blue"], number = "1..99" }
"""


def test_it_draws_and_asks_the_named_models_and_says_what_is_lacking(
    settings: Path, tmp_path: Path, capsys: Out
) -> None:
    seeds = tmp_path / "seeds.toml"
    seeds.write_text(SEED)
    out = tmp_path / "learnt"
    command = ["learn", str(seeds), "--out", str(out), "--count", "20", "--models", "small"]
    assert run([*command, "--config", str(settings)]) == 2
    told = capsys.readouterr().err
    drawn = sum(len(part) for part in read_questions(out / "questions").values())
    assert drawn > 15
    # One model, not the two that are configured.
    assert f"\n{drawn}/{drawn} $" in told
    assert "a fit needs at least" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--labels", "rumour"], "--labels is 'reference' or 'consensus', not 'rumour'"),
        (["--models", "nobody"], "no model 'nobody' is configured"),
        (["gone.toml"], "cannot read the seeds in 'gone.toml'"),
    ],
)
def test_what_the_user_can_put_right(
    arguments: list[str], said: str, settings: Path, tmp_path: Path, capsys: Out
) -> None:
    out = tmp_path / "learnt"
    assert run(["learn", *arguments, "--out", str(out), "--config", str(settings)]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()
