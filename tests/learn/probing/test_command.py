"""``emafusion models add NAME --probe N``: the settings, the probes, the extended policy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from emafusion import artefacts
from emafusion.cli import run
from emafusion.cli.probing import keep
from emafusion.errors import ArtefactError

from .conftest import NEWCOMER, OUTCOMES

SETTINGS = """\
[providers.recorded]
type = "replay"
folder = {folder}

[models."smollm2-135m"]
provider = "recorded"
upstream = "smollm2-135m"
usd_per_mtok_in = 0.01
usd_per_mtok_out = 0.02

[models."qwen2.5-coder-1.5b"]
provider = "recorded"
upstream = "qwen2.5-coder-1.5b"
usd_per_mtok_in = 0.1
usd_per_mtok_out = 0.2

[artefact]
path = {policy}
"""


@pytest.fixture
def here(tmp_path: Path, outcomes: Path, policy: artefacts.Artefact) -> Path:
    """A folder with settings, outcomes and the policy that was fitted on them."""
    shutil.copytree(outcomes, tmp_path / "data")
    artefacts.write(tmp_path / "policy", policy)
    told = {"folder": json.dumps(str(OUTCOMES)), "policy": json.dumps(str(tmp_path / "policy"))}
    (tmp_path / "mine.toml").write_text(SETTINGS.format(**told))
    return tmp_path


def command(here: Path, *more: str) -> list[str]:
    return [
        *("models", "add", NEWCOMER, "--provider", "recorded", "--upstream", NEWCOMER),
        *("--price-in", "0.03", "--price-out", "0.06", "--config", str(here / "mine.toml"), *more),
    ]


def test_a_model_joins_and_a_second_run_pays_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--probe", "30", "--data", str(here / "data"), "--json"]
    before = (here / "policy" / "manifest.json").read_text()
    assert run(command(here, *data, "--budget", "0.00000001")) > 0
    assert "0 of 30 answers" in capsys.readouterr().err
    assert (here / "policy" / "manifest.json").read_text() == before
    assert run(command(here, *data, "--budget", "1")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["answered"] == 30
    assert 0.0 < told["spent_usd"] < 1.0
    assert told["accuracy"] == pytest.approx(0.57, abs=4 * told["accuracy_std"])
    extended = artefacts.read(here / "policy")
    assert extended.manifest.pool[-1] == NEWCOMER
    assert len(extended.arrays["judge/head_weights"]) == 3
    journal = (here / "data" / "probes" / NEWCOMER / "journal.jsonl").read_text()
    assert journal.count('"row":"answered"') == 30
    assert run(command(here, *data)) > 0
    assert "knows" in capsys.readouterr().err


def test_a_folder_of_policies_gets_one_more_that_serves(
    here: Path, policy: artefacts.Artefact, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(here / "policy")
    versions = artefacts.Versions(here / "policy")
    first = versions.add(policy)
    versions.promote(first, why="the first")
    assert run(command(here, "--probe", "30", "--data", str(here / "data"), "--json")) == 0
    serving = versions.current()
    assert serving is not None
    assert versions.ids() == (first, serving.id)
    assert json.loads(capsys.readouterr().out)["wrote"].endswith(serving.id)
    assert versions.read(serving.id).manifest.pool[-1] == NEWCOMER
    assert versions.history()[-1].why == f"{NEWCOMER} joined by 30 probes"
    assert versions.previous() == first


def test_what_another_process_promoted_meanwhile_serves_on(
    tmp_path: Path, policy: artefacts.Artefact
) -> None:
    versions = artefacts.Versions(tmp_path)
    first = versions.add(policy)
    other = msgspec.structs.replace(policy.manifest, data_digest="other")
    second = versions.add(msgspec.structs.replace(policy, manifest=other))
    versions.promote(second, why="meanwhile")
    joined = msgspec.structs.replace(policy.manifest, data_digest="joined")
    with pytest.raises(ArtefactError, match="serves by now"):
        keep(tmp_path, msgspec.structs.replace(policy, manifest=joined), over=first, why="late")
    serving = versions.current()
    assert serving is not None
    assert serving.id == second


def test_what_is_wrong_is_said_before_anything_is_written(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (here / "mine.toml").read_text()
    assert run(command(here, "--probe", "30")) > 0
    assert "--data FOLDER" in capsys.readouterr().err
    assert (here / "mine.toml").read_text() == before
