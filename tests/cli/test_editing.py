"""``models add`` and ``models remove`` change what they were asked to, and not a byte else."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.cli.editing import SettingsFile, provider_table
from emafusion.errors import ConfigError

SETTINGS = """\
# Our models. Ask Ines before you change a price.

[policy]
prefer = 0.6            # the dial

[providers.house]
type = "openai"
base_url = "http://127.0.0.1:1/v1"
api_key = "env:HOUSE_KEY"

[models.small]          # the cheap one
provider = "house"
usd_per_mtok_in = 0.1

[models.small.ability]
recall = 0.9

# The one for hard questions.
[models."big.one"]
provider = "house"
"""


PRICED: dict[str, str | int | float] = {
    "provider": "house",
    "usd_per_mtok_in": 0.5,
    "usd_per_mtok_out": 1.5,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "mine.toml"
    found.write_text(SETTINGS)
    return found


def test_adding_appends_and_keeps_every_byte_before(path: Path) -> None:
    SettingsFile.open(path).add("third", {**PRICED, "context_window": 4096})
    text = path.read_text()
    assert text.startswith(SETTINGS)
    assert tomllib.loads(text)["models"]["third"] == {**PRICED, "context_window": 4096}
    assert [one.name for one in path.parent.iterdir()] == ["mine.toml"]


def test_removing_takes_the_table_and_those_below_it_alone(path: Path) -> None:
    SettingsFile.open(path).remove("small")
    text = path.read_text()
    before = SETTINGS.index("[models.small]")
    after = SETTINGS.index("# The one for hard")
    assert text.startswith(SETTINGS[:before].rstrip())
    assert "cheap one" not in text
    assert "recall" not in text
    assert tomllib.loads(text)["models"] == {"big.one": {"provider": "house"}}
    assert SETTINGS[after:].splitlines()[1] in text


def test_what_was_added_can_be_removed_again(path: Path) -> None:
    file = SettingsFile.open(path)
    file.add("third", PRICED)
    file.remove("third")
    assert tomllib.loads(path.read_text()) == tomllib.loads(SETTINGS)


def test_a_new_provider_comes_with_its_model_and_its_key_is_only_named(path: Path) -> None:
    table = provider_table(base_url="https://api.example/v1", vendor=None, api_key_env="MY_KEY")
    SettingsFile.open(path).add("third", {**PRICED, "provider": "new one"}, provider=table)
    found = tomllib.loads(path.read_text())
    assert found["providers"]["new one"] == {
        "type": "openai",
        "base_url": "https://api.example/v1",
        "api_key": "env:MY_KEY",
    }
    assert found["models"]["third"]["provider"] == "new one"


@pytest.mark.parametrize(
    ("name", "model", "said"),
    [
        ("small", {"provider": "house"}, "has a model 'small'; remove it first"),
        ("a,b", {"provider": "house"}, "'a,b' cannot name a model"),
        ("third", {"provider": "nowhere"}, "no provider 'nowhere'.*--base-url"),
        ("third", {"provider": "house", "context_window": 0}, "context_window"),
        ("third", {"provider": "house"}, "nobody lists a price.*--price-in and --price-out"),
    ],
)
def test_a_refused_addition_changes_nothing(
    path: Path, name: str, model: dict[str, str | int | float], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        SettingsFile.open(path).add(name, model)
    assert path.read_text() == SETTINGS


def test_a_provider_is_not_described_twice(path: Path) -> None:
    table = provider_table(base_url="http://127.0.0.1:2", vendor=None, api_key_env=None)
    with pytest.raises(ConfigError, match="has a provider 'house'"):
        SettingsFile.open(path).add("third", {"provider": "house"}, provider=table)
    assert path.read_text() == SETTINGS


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"base_url": "http://h", "vendor": None, "api_key_env": "sk-abc"}, "not the key itself"),
        ({"base_url": "ftp://h", "vendor": None, "api_key_env": None}, "must begin with http"),
        ({"base_url": None, "vendor": None, "api_key_env": "KEY"}, "is for a new provider"),
    ],
)
def test_a_provider_that_makes_no_sense_is_refused(
    given_: dict[str, str | None], said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        provider_table(**given_)
    assert "sk-abc" not in str(refused.value)


def test_a_model_that_a_setting_names_is_not_removed(path: Path) -> None:
    text = SETTINGS.replace("prefer = 0.6", 'models = ["small"]\nprefer = 0.6')
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"policy\.models names 'small'"):
        SettingsFile.open(path).remove("small")
    assert path.read_text() == text


def test_an_unknown_model_is_named_with_those_there_are(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no model 'smal'; it has small, big\.one"):
        SettingsFile.open(path).remove("smal")


@pytest.mark.parametrize(
    "unusual",
    [
        'models = { small = { provider = "house" } }\n[providers.house]\ntype = "openai"\n'
        'base_url = "http://h"\n',
        '[providers.house]\ntype = "openai"\nbase_url = "http://h"\n[models]\n'
        'small.provider = "house"\n',
    ],
)
def test_a_layout_it_cannot_cut_is_left_alone(path: Path, unusual: str) -> None:
    path.write_text(unusual)
    with pytest.raises(ConfigError, match="edit it by hand"):
        SettingsFile.open(path).remove("small")
    assert path.read_text() == unusual


def test_a_header_inside_a_text_is_no_header(path: Path) -> None:
    text = SETTINGS + '\n[models.third]\nprovider = "house"\nsystem = """\n[models.small]\n"""\n'
    path.write_text(text)
    with pytest.raises(ConfigError, match="edit it by hand"):
        SettingsFile.open(path).remove("small")
    SettingsFile.open(path).remove("big.one")
    assert tomllib.loads(path.read_text())["models"]["third"]["system"] == "[models.small]\n"


def test_a_broken_file_is_refused_as_it_is(path: Path) -> None:
    path.write_text("[models.small\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        SettingsFile.open(path)


def test_a_missing_file_begins_with_the_built_in_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EMAFUSION_CONFIG", raising=False)
    table = provider_table(base_url="https://api.example/v1", vendor=None, api_key_env=None)
    file = SettingsFile.open(None)
    known = set(tomllib.loads(file.text).get("models", {}))
    file.add("mine", PRICED, provider=table)
    found = tomllib.loads((tmp_path / "emafusion.toml").read_text())
    assert set(found["models"]) == known | {"mine"}


def test_line_ends_stay(path: Path) -> None:
    path.write_bytes(SETTINGS.replace("\n", "\r\n").encode())
    file = SettingsFile.open(path)
    file.remove("small")
    file.add("third", PRICED)
    assert path.read_bytes().startswith(SETTINGS[:60].replace("\n", "\r\n").encode())


def test_permissions_and_links_stay(path: Path, tmp_path: Path) -> None:
    path.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    SettingsFile.open(link).add("third", PRICED)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert "third" in path.read_text()


NAMES = (
    st.text(min_size=1, max_size=20)
    .map(lambda text: "".join(one for one in text if one.isprintable() and one != ",").strip())
    .filter(lambda name: name not in ("", "small", "big.one"))
)


@settings(deadline=None, max_examples=15)
@given(name=NAMES, system=st.text(max_size=40))
def test_any_name_and_text_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, name: str, system: str
) -> None:
    path = tmp_path_factory.mktemp("settings") / "any.toml"
    path.write_text(SETTINGS)
    file = SettingsFile.open(path)
    file.add(name, {**PRICED, "system": system})
    assert tomllib.loads(path.read_text())["models"][name]["system"] == system
    file.remove(name)
    assert tomllib.loads(path.read_text()) == tomllib.loads(SETTINGS)
