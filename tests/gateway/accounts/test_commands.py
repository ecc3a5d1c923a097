"""``emafusion keys``, ``teams`` and ``budget``, as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from emafusion.cli import budgets, keys, teams
from emafusion.errors import ConfigError

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    app = typer.Typer()
    app.add_typer(keys.app, name="keys")
    app.add_typer(teams.app, name="teams")
    app.add_typer(budgets.app, name="budget")
    place = str(tmp_path / "accounts.db")

    def typed(line: str) -> Result:
        found = CliRunner().invoke(app, [*line.split(), "--accounts", place])
        if found.exception is not None:
            raise found.exception
        return found

    return typed


def test_a_key_from_first_to_last(run: Run) -> None:
    run("teams create ops --models a,b --prefer 0.3")
    made = json.loads(
        run("keys create alice --team ops --expires 30d --scopes chat --models a --json").stdout
    )
    key = made["key"]
    assert made["token"].startswith(f"emf_{key['id']}_")
    assert (key["name"], key["team"], key["scopes"]) == ("alice", "ops", ["chat"])
    assert key["expires"] - key["created"] == pytest.approx(30 * 86400, abs=60)
    token = run("keys rotate alice --grace 1h").stdout.strip()
    assert token.startswith(f"emf_{key['id']}_")
    assert token != made["token"]
    shown = run("keys show alice").stdout
    assert "old secret until" in shown
    assert token[-64:] not in shown
    run("keys revoke alice")
    assert json.loads(run("keys list --json").stdout) == []
    assert "revoked" in run("keys list --all").stdout


def test_a_plain_create_prints_the_token_alone(run: Run) -> None:
    found = run("keys create alice").stdout.splitlines()
    assert found[0].startswith("emf_")


def test_teams_and_budgets(run: Run) -> None:
    run("teams create ops")
    run("keys create alice --team ops")
    run("budget set team:ops 100")
    run("budget set key:alice 5 --per day")
    shown = run("teams show ops").stdout
    assert "alice" in shown
    assert "100.00" in shown
    assert all(len(line) <= 80 for line in run("budget list").stdout.splitlines())
    [found] = json.loads(run("budget show key:alice --json").stdout)
    assert (found["limit_usd"], found["period"]) == (5.0, "day")
    run("budget remove key:alice --per day")
    assert run("budget show key:alice").stdout == ""
    [team] = json.loads(run("teams list --json").stdout)
    assert team["name"] == "ops"
    run("keys revoke alice")
    run("teams remove ops")
    assert json.loads(run("teams list --json").stdout) == []


@pytest.mark.parametrize(
    "line",
    [
        "keys show nobody",
        "keys create alice --scopes everything",
        "keys create alice --expires tomorrow",
        "keys create alice --team none",
        "keys change nobody --prefer 1",
        "keys change nobody --unset colour",
        "keys change alice",
        "keys change alice --team none",
        "keys change alice --scopes everything",
        "keys change alice --models ,",
        "teams create ops --prefer 1",
        "teams change ops",
        "teams change ops --unset expires",
        "teams change none --prefer 1",
        "budget show alice",
        "budget show team:none",
        "budget remove key:nobody",
        "budget set alice 5",
        "budget set model:a -5",
        "teams remove none",
    ],
)
def test_what_cannot_be_done_says_why(run: Run, line: str) -> None:
    run("teams create ops")
    run("keys create alice")
    with pytest.raises((ConfigError, SystemExit)):
        run(line)


def test_the_place_must_be_named() -> None:
    found = CliRunner().invoke(keys.app, ["list"])
    assert isinstance(found.exception, ConfigError)
    assert "--accounts" in str(found.exception)


def test_a_key_has_the_class_of_what_it_sends(run: Run) -> None:
    run("teams create law --class restricted")
    made = json.loads(run("keys create bob --team law --class confidential --json").stdout)
    assert made["key"]["terms"] == {"data_class": "confidential"}
    shown = run("keys show bob").stdout.split("\n")
    assert any(one.split() == ["data", "class", "confidential"] for one in shown)
    changed = json.loads(run("keys change bob --class public --json").stdout)
    assert changed["terms"] == {"data_class": "public"}
    assert json.loads(run("keys change bob --unset class --json").stdout)["terms"] == {}


def test_a_key_is_changed_in_what_is_said_and_in_nothing_else(run: Run) -> None:
    made = json.loads(
        run("keys create alice --models a,b --prefer 0.3 --expires 30d --json").stdout
    )
    line = "keys change alice --models c --min-quality 0.8 --requests-per-minute 7 --expires 60d"
    changed = json.loads(run(f"{line} --json").stdout)
    expected = {"models": ["c"], "prefer": 0.3, "min_quality": 0.8, "requests_per_minute": 7}
    assert changed["terms"] == expected
    assert changed["expires"] - made["key"]["expires"] == pytest.approx(30 * 86400, abs=60)
    kept = {"id", "name", "created", "team"}
    assert {k: changed[k] for k in kept} == {k: made["key"][k] for k in kept}
    assert changed["scopes"] == made["key"]["scopes"] == sorted(changed["scopes"])

    freed = json.loads(run("keys change alice --unset models,min-quality,expires --json").stdout)
    assert freed["terms"] == {"prefer": 0.3, "requests_per_minute": 7}
    assert freed["expires"] is None
    rotated = run("keys rotate alice").stdout
    assert rotated.startswith(f"emf_{made['key']['id']}_")


def test_a_team_is_changed_in_what_is_said_and_in_nothing_else(run: Run) -> None:
    run("teams create ops --models b,a --prefer 0.3 --requests-per-minute 600")
    changed = json.loads(run("teams change ops --prefer 0.5 --class internal --json").stdout)
    expected = {"models": ["a", "b"], "prefer": 0.5, "data_class": "internal"}
    assert changed["terms"] == {**expected, "requests_per_minute": 600}
    freed = json.loads(run("teams change ops --unset requests-per-minute,class --json").stdout)
    assert freed["terms"] == {"models": ["a", "b"], "prefer": 0.5}
    assert json.loads(run("teams show ops --json").stdout)["team"] == freed


def test_a_key_is_given_other_scopes_and_another_team(run: Run) -> None:
    run("teams create ops")
    made = json.loads(run("keys create alice --prefer 0.3 --expires 30d --json").stdout)["key"]
    moved = json.loads(run("keys change alice --scopes models,chat --team ops --json").stdout)
    assert moved == {**made, "team": "ops", "scopes": ["chat", "models"]}
    freed = json.loads(run("keys change alice --unset team --json").stdout)
    assert freed == {**moved, "team": ""}


@pytest.mark.parametrize("line", ["budget show team:ops", "budget remove team:ops"])
def test_who_holds_no_budget_is_told_so(run: Run, line: str) -> None:
    run("teams create ops")
    found = run(line)
    assert "team:ops has no budget" in found.stderr
    assert found.stdout == ""
