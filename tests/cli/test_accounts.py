"""Where a command's accounts are, which commands make them, and which names they are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from emafusion.cli import app
from emafusion.errors import ConfigError

SETTINGS = """
[providers.house]
type = "openai"
base_url = "http://127.0.0.1:1/v1"

[models.small]
provider = "house"

[models.large]
provider = "house"

[policies.batch]
prefer = 0.1

[gateway]
accounts = "{place}"
"""

Run = Callable[[str], Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with nothing in it."""
    found = tmp_path / "here"
    found.mkdir()
    monkeypatch.chdir(found)
    return found


def settings(at: Path, place: str = "accounts.db") -> Path:
    at.mkdir(exist_ok=True)
    path = at / "emafusion.toml"
    path.write_text(SETTINGS.format(place=place))
    return path


def run(line: str) -> Result:
    found = CliRunner().invoke(app, line.split())
    if found.exception is not None:
        raise found.exception
    return found


OTHERS = [
    "keys list",
    "keys show alice",
    "keys change alice --prefer 1",
    "keys rotate alice",
    "keys revoke alice",
    "teams list",
    "teams show ops",
    "teams change ops --prefer 1",
    "teams remove ops",
    "budget list",
    "budget show team:ops",
    "budget set team:ops 5",
    "budget remove team:ops",
]


@pytest.mark.parametrize("line", OTHERS)
def test_a_mistyped_place_is_refused_and_not_made(folder: Path, line: str) -> None:
    run("keys create alice --accounts accounts.db")
    with pytest.raises(ConfigError, match=r"no accounts file .*here/acounts\.db"):
        run(f"{line} --accounts acounts.db")
    assert not (folder / "acounts.db").exists()


@pytest.mark.parametrize("line", ["keys create alice", "teams create ops"])
def test_who_makes_the_file_says_so_once(folder: Path, line: str) -> None:
    made = run(f"{line} --accounts new/accounts.db")
    file = folder / "new" / "accounts.db"
    assert f"a new accounts file was made: {file}\n" in made.stderr
    assert file.exists()
    again = run("teams create another --accounts new/accounts.db")
    assert "new accounts file" not in again.stderr


def test_what_was_refused_made_no_file(folder: Path) -> None:
    settings(folder)
    with pytest.raises(ConfigError, match="no model is named 'smal'"):
        run("keys create alice --models smal")
    assert not (folder / "accounts.db").exists()


def test_a_file_made_by_what_failed_is_told_of(folder: Path) -> None:
    line = "keys create alice --team none --accounts accounts.db"
    found = CliRunner().invoke(app, line.split())
    assert isinstance(found.exception, ConfigError)
    assert (folder / "accounts.db").exists()
    assert "a new accounts file was made" in found.stderr


def test_settings_beside_the_command_name_a_file_beside_them(folder: Path) -> None:
    settings(folder)
    assert str(folder / "accounts.db") in run("keys create alice").stderr
    assert "alice" in run(f"keys list --config {folder / 'emafusion.toml'}").stdout


@pytest.mark.parametrize("line", ["keys create stray", "teams create stray"])
def test_settings_elsewhere_make_no_file_here(folder: Path, tmp_path: Path, line: str) -> None:
    """A server that runs where its settings are would not know what is made here."""
    there = settings(tmp_path / "there")
    with pytest.raises(ConfigError, match=r"counts from the current folder.*--accounts"):
        run(f"{line} --config {there}")
    assert list(folder.iterdir()) == []
    run(f"{line} --config {there} --accounts {tmp_path / 'there' / 'accounts.db'}")
    with pytest.raises(ConfigError, match="run this where the gateway runs"):
        run(f"keys list --config {there}")


def test_the_settings_that_the_environment_names_are_elsewhere(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMAFUSION_CONFIG", str(settings(tmp_path / "there")))
    with pytest.raises(ConfigError, match="counts from the current folder"):
        run("keys create stray")
    assert list(folder.iterdir()) == []


def test_a_whole_path_may_be_made_from_anywhere(folder: Path, tmp_path: Path) -> None:
    there = settings(tmp_path / "there", str(tmp_path / "there" / "accounts.db"))
    run(f"keys create alice --config {there}")
    assert "alice" in run(f"keys list --config {there}").stdout
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("line", ["keys create bob", "keys change alice", "teams create red"])
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--models smal,large", "no model is named 'smal'; did you mean 'small'"),
        ("--policies bach", "no policy is named 'bach'; did you mean 'batch'"),
        ("--policies zzz", "there are 'default', 'batch'"),
    ],
)
def test_names_that_the_settings_lack_are_refused(
    folder: Path, line: str, option: str, message: str
) -> None:
    settings(folder)
    run("keys create alice")
    with pytest.raises(ConfigError, match=message):
        run(f"{line} {option}")
    names = {one["name"]: one["terms"] for one in json.loads(run("keys list --json").stdout)}
    assert names == {"alice": {}}
    assert json.loads(run("teams list --json").stdout) == []


def test_names_that_the_settings_have_are_taken(folder: Path) -> None:
    settings(folder)
    run("teams create ops --models small")
    changed = run("teams change ops --models large,small --policies default,batch --json")
    expected = {"models": ["large", "small"], "policies": ["batch", "default"]}
    assert json.loads(changed.stdout)["terms"] == expected
    assert "not checked" not in changed.stderr


def test_a_models_budget_is_one_of_a_model_there_is(folder: Path) -> None:
    path = settings(folder)
    run("keys create alice")
    for line in ("set model:lage 5", "show model:lage", "remove model:lage"):
        with pytest.raises(ConfigError, match="no model is named 'lage'; did you mean 'large'"):
            run(f"budget {line}")
    assert "model:large has no budget" in run("budget show model:large").stderr
    run("budget set model:large 5")
    # The model is renamed, and its budget is still seen and taken away.
    path.write_text(path.read_text().replace("models.large", "models.huge"))
    assert "model:large" in run("budget show model:large").stdout
    run("budget remove model:large")
    assert json.loads(run("budget list --json").stdout) == []


@pytest.mark.parametrize(
    "line",
    ["budget set model:any 5", "keys create bob --models any", "teams create ops --policies any"],
)
def test_where_nothing_can_be_checked_it_is_said(folder: Path, line: str) -> None:
    path = settings(folder)
    run("keys create alice")
    assert "not checked" in run(f"{line} --accounts accounts.db").stderr
    with pytest.raises(ConfigError, match="named 'any'"):
        run(f"{line} --accounts accounts.db --config {path}")


def test_what_names_nothing_needs_no_check(folder: Path) -> None:
    assert "not checked" not in run("keys create alice --accounts accounts.db").stderr


@pytest.mark.parametrize("line", ["show search", "set search 5", "remove search"])
def test_who_holds_no_budget_is_told_how_one_is_written(folder: Path, line: str) -> None:
    settings(folder)
    run("teams create search")
    with pytest.raises(ConfigError, match="write key:ID, key:NAME, team:NAME or model:NAME"):
        run(f"budget {line}")


def test_json_is_the_same_each_time(folder: Path) -> None:
    settings(folder)
    run("teams create ops --models small,large")
    run("keys create alice --team ops --models small,large")
    for line in ("keys list", "keys show alice", "teams show ops", "keys revoke alice"):
        shown = run(f"{line} --json").stdout
        found = json.loads(shown)
        assert shown.index('"large"') < shown.index('"small"')
        key = found[0] if line == "keys list" else found.get("key", found)
        assert line == "teams show ops" or key["scopes"] == sorted(key["scopes"])


def test_a_folder_by_another_name_is_the_same_folder(folder: Path, tmp_path: Path) -> None:
    settings(folder)
    (tmp_path / "link").symlink_to(folder)
    run(f"keys create alice --config {tmp_path / 'link' / 'emafusion.toml'}")
    assert "alice" in run("keys list").stdout


def test_a_file_in_the_place_of_a_folder_holds_none(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(ConfigError, match="no accounts file"):
        run("keys list --accounts file/accounts.db")
