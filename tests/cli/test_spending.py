"""``emafusion spend``, as typed, on accounts that workers have written."""

from __future__ import annotations

import csv
import datetime
import io
import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from emafusion.cli import app
from emafusion.databases import Connection
from emafusion.errors import ConfigError
from emafusion.gateway.accounts import Registry, books, database, leases
from emafusion.gateway.accounts.books import Message, Sums

Run = Callable[..., Result]
LONGEST = "a-team-with-quite-a-long-name-for-a-table"


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Accounts with two keys, one of them revoked, and what they spent in two months."""
    path = str(tmp_path / "accounts.db")
    with closing(database(path)) as one:
        registry = Registry(one)
        alice, bob = (registry.create(name)[0].id for name in ("alice", "bob"))
        registry.revoke("bob")
        rows = (
            (("2026-09-30", alice, "ops", "large"), Sums(1, 1, 10, 20, 10**9)),
            (("2026-10-01", "", "", "large"), Sums(2, 2, 10, 20, 125 * 10**6)),
            (("2026-10-01", alice, "ops", "large"), Sums(3, 4, 1000, 2000, 10**9)),
            (("2026-10-01", alice, "ops", "small"), Sums(0, 3, 100, 200, 5 * 10**8)),
            (("2026-10-31", bob, LONGEST, "large"), Sums(10**9, 10**9, 10**12, 10**12, 10**15)),
        )

        def work(connection: Connection) -> None:
            leases.hear(connection, "w", now=time.time())
            books.enter(connection, "w", Message(number=1, rows=rows))

        one.transact(work)
    return path


@pytest.fixture
def run(place: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "80")

    def typed(line: str = "") -> Result:
        found = CliRunner().invoke(app, ["spend", *line.split(), "--accounts", place])
        if found.exception is not None:
            raise found.exception
        return found

    return typed


def test_a_month_by_key_names_revoked_ones_and_the_operators(run: Run) -> None:
    found = run("--until 2026-10-31")
    lines = [line.split() for line in found.stdout.splitlines()]
    assert lines[0] == ["key", "name", "requests", "tokens", "in", "out", "US$"]
    told = ["1.00G", "1.00T", "1.00T", "1,000,000.0000"]
    assert lines[1][1:] == ["bob", *told]
    assert lines[2][1:] == ["alice", "3", "1,100", "2,200", "1.5000"]
    assert lines[3] == ["–", "operators", "2", "10", "20", "0.1250"]
    assert lines[4] == ["total", "1.00G", "1.00T", "1.00T", "1,000,001.6250"]
    assert found.stderr == "2026-10-01 to 2026-10-31, UTC\n"


def test_everything_told_apart_fits_the_terminal_and_is_legible(run: Run) -> None:
    shown = run("--by model,team,key,day --since 2026-09-01 --until 2026-10-31").stdout
    assert all(len(line) <= 80 for line in shown.splitlines())
    for whole in ("2026-10-31", "2026-09-30", "1.00G", "1,000,000.0000", "1,000,002.6250"):
        assert whole in shown
    columns = [line.split() for line in shown.splitlines()]
    assert columns[0] == ["day", "key", "name", "team", "model", "requests", "US$"]
    assert columns[1][2:] == ["alice", "ops", "large", "1", "1.0000"]
    assert all(len(line) <= 80 for line in run("--until 2026-10-31 --by team").stdout.splitlines())


def test_json_has_every_figure_and_the_sides_that_were_asked_for(run: Run) -> None:
    found = json.loads(run("--by model --since 2026-10-01 --until 2026-10-01 --json").stdout)
    large = {"requests": 5, "calls": 6, "prompt_tokens": 1010, "completion_tokens": 2020}
    small = {"requests": 0, "calls": 3, "prompt_tokens": 100, "completion_tokens": 200}
    both = {"requests": 5, "calls": 9, "prompt_tokens": 1110, "completion_tokens": 2220}
    assert found == {
        "since": "2026-10-01",
        "until": "2026-10-01",
        "spent": [
            {"model": "large", **large, "spent_usd": 1.125},
            {"model": "small", **small, "spent_usd": 0.5},
        ],
        "total": {**both, "spent_usd": 1.625},
    }


def test_csv_has_a_row_each_and_no_total(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("--by day,key --until 2026-10-31 --csv").stdout)))
    assert [(one["day"], one["name"], one["spent_usd"]) for one in rows] == [
        ("2026-10-01", "alice", "1.5"),
        ("2026-10-01", "", "0.125"),
        ("2026-10-31", "bob", "1000000.0"),
    ]
    assert rows[0]["calls"] == "7"


def test_by_default_it_is_this_month(run: Run) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    found = json.loads(run("--json").stdout)
    # Midnight may pass between the two.
    assert today <= datetime.date.fromisoformat(found["until"])
    assert found["since"] == f"{found['until'][:7]}-01"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--by colour", "day, key, team, model"),
        ("--by key,", "day, key, team, model"),
        ("--since yesterday", "2026-01-31"),
        ("--until 2026-02-30", "2026-01-31"),
        ("--since 2026-10-02 --until 2026-10-01", "is later than"),
        ("--json --csv", "ask for one"),
    ],
)
def test_what_cannot_be_told_says_why(run: Run, line: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        run(line)
