"""Settings: every mistake is named, with the key, the place and the way out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from emafusion import config
from emafusion.config.load import parse, secret
from emafusion.errors import ConfigError
from emafusion.judge.sandbox import Sandbox
from emafusion.providers.local import LocalProvider
from emafusion.testing import ScriptedProvider

SMALL = """
[policy]
prefer = 0.5
[providers.house]
type = "openai"
base_url = "http://127.0.0.1:1/v1"
[models.a]
provider = "house"
usd_per_mtok_in = 1.0
usd_per_mtok_out = 2.0
[record]
path = "memory"
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[polcy]\nprefer = 1", "unknown key 'polcy'; did you mean 'policy'"),
        ("[policy]\nprefre = 1", "unknown key 'policy.prefre'; did you mean 'prefer'"),
        ("[policy]\nprefer = 2", r"<= 1\.0.*policy\.prefer"),
        ("[policy]\nprefer = 'high'", r"float.*policy\.prefer"),
        (
            "[models.a]\nprovider = 'x'\nusd_per_mtok = 1",
            r"models\.a\.usd_per_mtok.*usd_per_mtok_in",
        ),
        ("[providers.x]\ntype = 'opnai'", "must be one of bridge, local, openai, replay"),
        ("[providers.x]\ntype = 'local'\nthread = 1", r"providers\.x\.thread.*threads"),
        ("[providers.x]\ntype = 'openai'", "base_url"),
        (
            "[policy]\nmodels = []",
            r"test\.toml: a policy's models is empty.*name one or more in it, or leave it out",
        ),
        ("policy = 3", "policy must be a table"),
        ("[policy\n", "not valid TOML"),
    ],
)
def test_a_mistake_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text, "test.toml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        config.load(tmp_path / "nowhere.toml")


def test_a_key_never_stands_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="env:NAME") as told:
        secret("sk-12345", "providers.x.api_key")
    assert "sk-12345" not in str(told.value)
    with pytest.raises(ConfigError, match="'HOUSE_KEY', which is unset"):
        secret("env:HOUSE_KEY", "providers.x.api_key")
    monkeypatch.setenv("HOUSE_KEY", "k")
    assert secret("env:HOUSE_KEY", "providers.x.api_key") == "k"


def test_the_environment_is_read_in_one_file() -> None:
    package = Path(config.__file__).parent.parent
    readers = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\bos\.(environb?|getenvb?|putenv)\b", path.read_text("utf-8"))
    ]
    assert readers == ["config/load.py"]


def test_a_download_gets_the_whole_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://house.example/simple")
    made = config.providers(parse("[providers.x]\ntype = 'local'", "t"))["x"]
    assert isinstance(made, LocalProvider)
    assert made.weights.environment == dict(os.environ)


def test_the_variable_must_name_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAFUSION_CONFIG", "nowhere.toml")
    with pytest.raises(ConfigError, match=r"EMAFUSION_CONFIG names 'nowhere\.toml'"):
        config.default_path()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('provider = "house"', r"models\.a\.provider is 'hause'.*house"),
        ("[record]", r"understand\.slow names 'b'; the models are a"),
    ],
)
def test_a_name_that_is_not_there_is_named(change: str, message: str) -> None:
    wrong = {
        'provider = "house"': 'provider = "hause"',
        "[record]": '[understand]\nslow = "b"\n[record]',
    }[change]
    with pytest.raises(ConfigError, match=message):
        config.build(parse(SMALL.replace(change, wrong), "test.toml"))


def test_no_model_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no model is configured"):
        config.build(parse("", "test.toml"))


async def test_a_configured_client_answers() -> None:
    provider = ScriptedProvider("The capital of Australia is Canberra.")
    client = config.build(parse(SMALL, "test.toml"), parts={"house": provider})
    answer = await client.answer("What is the capital of Australia?")
    assert answer.model == "a"
    assert "Canberra" in answer.text
    assert answer.cost_usd > 0
    assert (await client.find(answer.decision_id)) == answer.outcome
    assert "Canberra" not in answer.explain()
    await client.aclose()
    assert provider.closed


CODED = SMALL.replace("[record]", "[judge]\nrun_code = true\n[record]")
ISOLATION = """
import ctypes
if ctypes.CDLL(None).unshare(0x10000000): raise SystemExit("skip")
from emafusion import config
from emafusion.config.load import parse
from emafusion.errors import ConfigError
try: config.build(parse({text!r}, "test.toml"))
except ConfigError as refused: print(refused)
"""


async def test_code_is_run_where_that_is_configured() -> None:
    program = "def double(x):\n    return 2 * x"
    try:
        Sandbox().check()
    except ConfigError:
        pytest.skip("this machine permits no namespaces")
    client = config.build(parse(CODED, "test.toml"), parts={"house": ScriptedProvider(program)})
    asked = "Write a Python function double. For example, double(2) returns 4."
    proved = await client.answer(asked)
    await client.aclose()
    assert "verdict     execution on draft 1: 1.00 meets 1 of 1 examples" in proved.explain()
    plain = config.build(parse(SMALL, "test.toml"), parts={"house": ScriptedProvider(program)})
    unrun = await plain.answer(asked)
    await plain.aclose()
    assert "execution" not in unrun.explain()
    assert unrun.confidence < proved.confidence


def test_where_programs_cannot_be_isolated_nothing_starts() -> None:
    """A process in an empty user namespace can make none of its own: there we try."""
    done = subprocess.run(
        [sys.executable, "-c", ISOLATION.format(text=CODED)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if "skip" in done.stderr:
        pytest.skip("this machine permits no namespaces")
    assert "judge.run_code is true, but programs cannot be run in isolation" in done.stdout
    assert "unshare: Operation not permitted" in done.stdout
    assert "without the setting" in done.stdout


def test_the_embedded_default_has_three_local_models() -> None:
    settings = config.load()
    assert len(settings.models) == 3
    assert {one.provider for one in settings.models.values()} == {"local"}


def test_a_local_model_without_its_file_is_left_out_unless_it_is_the_last(tmp_path: Path) -> None:
    text = f"""
[providers.local]
type = "local"
cache = "{tmp_path}"
[models."smollm2-135m"]
provider = "local"
[models."qwen2.5-coder-1.5b"]
provider = "local"
"""
    assert list(config.available(parse(text, "t")).models) == ["smollm2-135m"]
    remote = SMALL.split("[record]", maxsplit=1)[0].split("[policy]\nprefer = 0.5\n")[1]
    assert list(config.available(parse(text + remote, "t")).models) == ["a"]


def test_a_policy_of_local_models_never_becomes_one_of_others(tmp_path: Path) -> None:
    text = f"""
[policy]
models = ["smollm2-135m"]
[providers.local]
type = "local"
cache = "{tmp_path}"
[models."smollm2-135m"]
provider = "local"
[understand]
slow = "qwen2.5-coder-1.5b"
[models."qwen2.5-coder-1.5b"]
provider = "local"
"""
    remote = SMALL.split("[record]", maxsplit=1)[0].split("[policy]\nprefer = 0.5\n")[1]
    found = config.available(parse(text + remote, "t"))
    assert found.policy.models == ("smollm2-135m",)
    assert list(found.models) == ["smollm2-135m", "a"]
    assert found.understand.slow is None
