"""The files of ``deploy`` fit the program: its options, its settings, its addresses.

``make deploy-check`` has the tools themselves read them; what it needs is too large for every run.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from emafusion import cli, config
from emafusion.config.build import model, providers

DEPLOY = Path(__file__).parent.parent / "deploy"
CHART = DEPLOY / "helm" / "emafusion"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
UNIT = (DEPLOY / "emafusion.service").read_text()


def instructions(name: str) -> list[str]:
    """What follows each instruction `name` of the Dockerfile, its lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name}\s+(.*)$", joined, flags=re.MULTILINE)


def options() -> set[str]:
    """The options of ``emafusion serve``."""
    group = get_command(cli.app)
    assert isinstance(group, TyperGroup)
    command = group.get_command(
        group.make_context("emafusion", [], resilient_parsing=True), "serve"
    )
    assert command is not None
    return {name for param in command.params for name in param.opts}


def words(name: str) -> list[str]:
    """The JSON array that instruction `name` ends with."""
    found: list[str] = yaml.safe_load(instructions(name)[-1])
    return found


def of_unit() -> list[str]:
    (line,) = re.findall(r"^ExecStart=(.*)$", UNIT, flags=re.MULTILINE)
    return shlex.split(line)[1:]


def of_chart() -> list[str]:
    template = (CHART / "templates" / "deployment.yaml").read_text()
    block = template.partition("args:\n")[2].partition("{{-")[0]
    return [line.strip().removeprefix("- ").strip('"') for line in block.strip().splitlines()]


@pytest.mark.parametrize("command", [words("CMD"), of_unit(), of_chart()], ids=repr)
def test_the_server_is_started_with_options_that_it_has(command: list[str]) -> None:
    assert command[0] == "serve"
    used = {word for word in command if word.startswith("--")}
    assert used
    assert used <= options()


def test_no_server_is_open_to_other_machines_without_a_key() -> None:
    for command in (words("CMD"), of_chart()):
        assert "0.0.0.0" in command
        assert "--api-key-env" in command
        assert "--allow-remote" not in command


@pytest.mark.parametrize("text", [(DEPLOY / "emafusion.toml").read_text(), VALUES["config"]])
def test_the_settings_that_are_shipped_can_be_used(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    file = tmp_path / "emafusion.toml"
    file.write_text(text)
    settings = config.load(file)
    made = providers(settings)
    models = [model(name, one, made) for name, one in settings.models.items()]
    assert all(each.usd_per_mtok_out > 0 for each in models)


@pytest.mark.parametrize("text", [(DEPLOY / "emafusion.toml").read_text(), VALUES["config"]])
def test_gateways_that_may_be_thrown_away_keep_nothing_of_their_own(
    text: str, tmp_path: Path
) -> None:
    file = tmp_path / "emafusion.toml"
    file.write_text(text)
    settings = config.load(file)
    assert settings.gateway.accounts == settings.record.path == "env:EMAFUSION_DATABASE"
    assert settings.gateway.valkey == "env:EMAFUSION_VALKEY"
    told = COMPOSE["services"]["gateway-1"]["environment"]
    assert {"EMAFUSION_DATABASE", "EMAFUSION_VALKEY"} <= set(told)


def test_the_image_is_made_in_stages_and_runs_without_root() -> None:
    assert len(instructions("FROM")) == 2
    assert instructions("USER")[-1] == "10001:10001"
    assert words("ENTRYPOINT") == ["emafusion"]
    assert "/healthz" in instructions("HEALTHCHECK")[0]


def test_the_image_fetches_nothing_that_is_not_locked() -> None:
    runs = " ".join(instructions("RUN"))
    assert not re.search(r"curl|wget|apt-get|\| *(ba)?sh", runs)
    assert not instructions("ADD")
    for install in re.findall(r"pip install ([^&]*)", runs):
        assert "--no-deps" in install
        assert "--require-hashes" in install or "--no-build-isolation" in install
    (base,) = instructions("ARG")
    # A tag that says which; never an invented digest.
    assert re.fullmatch(r"BASE=python:3\.\d+-slim-\w+", base)


def test_what_the_image_copies_is_let_into_its_context() -> None:
    let = {
        line[1:]
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        name.removeprefix("./")
        for line in instructions("COPY")
        if not line.startswith("--from")
        for name in line.split()[:-1]
    }
    assert copied == let
    assert all((DEPLOY.parent / name).exists() for name in copied)


def services() -> list[tuple[str, dict[str, Any]]]:
    return list(COMPOSE["services"].items())


def test_compose_has_two_gateways_and_what_they_share() -> None:
    names = {name for name, _ in services()}
    assert names == {"gateway-1", "gateway-2", "postgres", "valkey"}
    for name, service in services():
        if not name.startswith("gateway"):
            assert "ports" not in service, name
            assert service["networks"] == ["inside"], name
            assert service["healthcheck"], name
            continue
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_a_secret_of_compose_stands_alone_whatever_its_characters() -> None:
    """A password with @ or / in it, put into an address, makes another address."""
    for name, service in services():
        for variable, value in service.get("environment", {}).items():
            assert re.fullmatch(r"[^$]*|\$\{\w+:\?[^}]*\}", value), (name, variable)


def test_nothing_that_is_shipped_holds_a_secret() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert not re.search(r"\b(sk|emf)[-_][A-Za-z0-9]{8,}", path.read_text()), path
    example = (DEPLOY / "compose.env.example").read_text()
    named = re.findall(r"^(\w+)=(.*)$", example, flags=re.MULTILINE)
    assert all(value == "" for _, value in named)
    needed = re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text())
    assert {name for name, _ in named} == set(needed)


def leaves(table: dict[str, Any], place: str = "") -> set[str]:
    """The places of a table's values, tables within it included."""
    return {
        found
        for name, value in table.items()
        for found in (
            {f"{place}{name}", *leaves(value, f"{place}{name}.")}
            if isinstance(value, dict) and value and name != "resources"
            else {f"{place}{name}"}
        )
    }


def test_every_value_of_the_chart_is_used() -> None:
    text = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    used = set(re.findall(r"\.Values\.([\w.]+)", text))
    tables = {name.rpartition(".")[0] for name in used}
    assert leaves(VALUES) - used - tables == set()
    assert used - leaves(VALUES) == set()


def test_prometheus_gets_a_key_that_may_read_metrics_alone() -> None:
    template = (CHART / "templates" / "servicemonitor.yaml").read_text()
    (credentials,) = re.findall(r"credentials: (.*)", template)
    assert ".Values.serviceMonitor.existingSecret" in credentials
    assert "EMAFUSION_KEY" not in template
    assert VALUES["serviceMonitor"]["existingSecret"] != VALUES["existingSecret"]


def test_the_chart_tells_what_its_network_policy_shuts_out_and_how_to_let_it_through() -> None:
    text = (CHART / "README.md").read_text()
    callers, servers = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S))
    let_in = callers["networkPolicy"]["from"]
    # A list takes the default's place: who was let in before still is.
    assert {"podSelector": {}} in let_in
    assert any("namespaceSelector" in each for each in let_in)
    let_out = servers["networkPolicy"]["to"]
    before = VALUES["networkPolicy"]["to"]
    assert [each for each in before if each not in let_out] == []
    (beside,) = [each for each in let_out if each not in before]
    assert beside["ports"] == [{"protocol": "TCP", "port": 4318}]


def test_probes_ask_for_addresses_that_need_no_key() -> None:
    template = (CHART / "templates" / "deployment.yaml").read_text()
    assert set(re.findall(r"httpGet: \{path: (\S+),", template)) == {"/healthz", "/readyz"}


@pytest.mark.parametrize(
    "line",
    [
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "StateDirectory=emafusion",
        "LimitNOFILE=65536",
    ],
)
def test_the_unit_gives_the_process_little(line: str) -> None:
    assert line in UNIT.splitlines()
    assert "ExecReload=/bin/kill -HUP $MAINPID" in UNIT


def test_what_a_killed_server_noted_outlives_it() -> None:
    """A private folder for temporary files goes with the process."""
    folder = re.findall(r"^Environment=.*\bTMPDIR=(\S+)", UNIT, flags=re.MULTILINE)
    kept = re.findall(r"^CacheDirectory=(\S+)$", UNIT, flags=re.MULTILINE)
    assert folder == [f"/var/cache/{one}" for one in kept] != []
