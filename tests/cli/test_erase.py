"""``emafusion erase``: planted, erased, and then sought in the bytes of every file."""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
import time
from pathlib import Path

import msgspec
import psycopg
import pyarrow as pa
import pytest
from pyarrow import parquet

from emafusion.cli import run
from emafusion.learn.traffic import identifier
from emafusion.protect.placeholders import Mint
from emafusion.protect.vault import Vault
from emafusion.record import Store
from emafusion.types import Feedback, Findings, Forecast, Labels, Outcome

MAIL = "jane.roe@harbour.example"
KEY = "a secret of sixteen bytes"
MASKED = Vault(Mint(KEY.encode()), "team:a").put("EMAIL", MAIL)
DAY_S = 86_400.0


def outcome(name: str, prompt: str, *, caller: str = "", created: float | None = None) -> Outcome:
    return Outcome(
        decision_id=name,
        created=time.time() if created is None else created,
        prompt=prompt,
        labels=Labels(axes={}, familiarity=1.0),
        forecast=Forecast(estimates=()),
        plan=None,
        steps=(),
        verdicts=(),
        model="m",
        text="done",
        confidence=1.0,
        cost_usd=0.0,
        latency_s=0.0,
        caller=caller,
    )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings that name its record, and a secret."""
    monkeypatch.setenv("ERASE_TEST_SECRET", KEY)
    (tmp_path / "settings.toml").write_text(
        f'[record]\npath = "{tmp_path}/decisions.sqlite3"\n\n'
        '[protect]\nsecret = "env:ERASE_TEST_SECRET"\n'
    )
    return tmp_path


@pytest.fixture(params=["sqlite", "postgres"])
def anywhere(request: pytest.FixtureRequest, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same on either database."""
    if request.param == "postgres":
        address = request.getfixturevalue("postgres").fresh()
        monkeypatch.setenv("ERASE_TEST_RECORD", address)
        path = place / "settings.toml"
        sqlite = f"{place}/decisions.sqlite3"
        path.write_text(path.read_text().replace(sqlite, "env:ERASE_TEST_RECORD"))
    return place


def record(place: Path) -> str:
    return os.environ.get("ERASE_TEST_RECORD", str(place / "decisions.sqlite3"))


def fill(place: Path) -> None:
    store = Store(record(place))

    async def plant() -> None:
        await store.record(outcome("plain", f"Mail {MAIL.upper()}!"))
        await store.record(outcome("masked", f"Mail {MASKED}", caller="team:a/7"))
        await store.record(outcome("asked", "What now?", caller="team:a/[EMAIL_x]"))
        await store.record(outcome("other", "What else?", caller="team:a/8"))
        said = Feedback(decision_id="other", score=0.0, caller="team:b/9", created=1.0)
        await store.note(msgspec.structs.replace(said, comment=f"ask {MASKED}"))
        await store.note(msgspec.structs.replace(said, caller="team:b/1", comment="fine"))
        await store.aclose()

    asyncio.run(plant())


def erased(place: Path, *arguments: str) -> int:
    return run(["erase", "--config", str(place / "settings.toml"), *arguments])


def left(place: Path) -> set[str]:
    async def names() -> set[str]:
        store = Store(record(place))
        found = {one.decision_id for one in await store.recent(99)}
        await store.aclose()
        return found

    return asyncio.run(names())


def files(place: Path, *values: str) -> list[str]:
    """The files of `place` that hold one of `values`, in small letters or not."""
    return [
        path.name
        for path in place.rglob("*")
        if path.is_file()
        and any(one.lower().encode() in path.read_bytes().lower() for one in values)
    ]


def stored(place: Path, *values: str) -> list[str]:
    """The files, or the tables of a server, that hold one of `values`, in small letters or not."""
    found = files(place, *values)
    if "ERASE_TEST_RECORD" not in os.environ:
        return found
    with psycopg.connect(record(place)) as server:
        tables = server.execute(
            "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables"
            " WHERE table_schema = 'emafusion'"
        ).fetchall()
        assert len(tables) >= 4
        for (name,) in tables:
            said = str(server.execute(f"SELECT t::text FROM {name} t".encode()).fetchall()).lower()
            found += [name for one in values if one.lower() in said]
    return found


def test_a_person_is_in_no_file_or_table_afterwards(
    anywhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(anywhere)
    assert stored(anywhere, MAIL) != [] != stored(anywhere, MASKED), "it is sought where it is"
    assert erased(anywhere, "--subject", MAIL, "--dry-run", "--json") == 0
    wanted = {"decisions": 2, "opinions": 1, "older": 0}
    assert msgspec.json.decode(capsys.readouterr().out)["removed"] == wanted
    assert len(left(anywhere)) == 4
    assert erased(anywhere, "--subject", MAIL, "--json") == 0
    told = capsys.readouterr()
    assert msgspec.json.decode(told.out) == {
        "dry_run": False,
        "removed": wanted,
        "left": [],
        "veiled": 0,
        "namesakes": [],
    }
    assert MAIL not in told.out + told.err
    assert left(anywhere) == {"asked", "other"}
    assert stored(anywhere, MAIL, MASKED) == []
    assert erased(anywhere, "--subject", MAIL) == 0
    assert ["decisions", "0"] in [line.split() for line in capsys.readouterr().out.split("\n")]


def test_a_caller_goes_with_what_was_learnt_of_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(place)
    work = place / "work"
    work.mkdir()
    names = [identifier("What else?"), identifier("What now?")]
    table = pa.table({"query_id": names, "prompt": ["What else?", "What now?"]})
    parquet.write_table(table, work / "queries.parquet")
    assert erased(place, "--subject", "team:a/8", "--folder", str(work), "--json") == 0
    told = msgspec.json.decode(capsys.readouterr().out)["removed"]
    assert told[str(work / "queries.parquet")] == told["decisions"] == 1
    assert left(place) == {"plain", "masked", "asked"}
    assert parquet.read_table(work / "queries.parquet")["prompt"].to_pylist() == ["What now?"]


def test_tenants_of_no_decision_are_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = place / "work"
    work.mkdir()
    table = pa.table({"query_id": ["1"], "prompt": [MASKED]})
    parquet.write_table(table, work / "queries.parquet")
    one = ("--subject", MAIL, "--folder", str(work), "--json")
    assert erased(place, *one) == erased(place, *one, "--tenant", "team:a") == 0
    first, second = capsys.readouterr().out.split("}\n{")
    assert "queries.parquet" not in first
    assert "queries.parquet" in second


def test_old_decisions_go_whoever_asked(place: Path) -> None:
    store = Store(record(place))
    for days in (1, 89, 91, 400):
        old = outcome(str(days), "What?", created=time.time() - days * DAY_S)
        asyncio.run(store.record(old))
    asyncio.run(store.aclose())
    assert erased(place, "--older-than", "90d", "--dry-run") == 0
    assert len(left(place)) == 4
    assert erased(place, "--older-than", "90d") == 0
    assert left(place) == {"1", "89"}


def test_values_come_from_stdin(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{MAIL}\n\n"))
    assert erased(place, "--subject", "-") == 0
    assert left(place) == {"asked", "other"}


def test_a_short_value_is_no_text_to_look_for(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(place)
    assert erased(place, "--subject", "at") == 0
    assert "too short" in capsys.readouterr().err
    assert len(left(place)) == 4


def test_what_is_left_makes_the_exit_code(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "work").mkdir()
    (place / "work" / "notes.md").write_text(MAIL)
    assert erased(place, "--subject", MAIL, "--folder", str(place / "work")) == 1
    assert "notes.md" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what to erase"),
        (("--older-than", "soon"), "write days"),
        (("--older-than", "9d", "--folder", "."), "add --subject"),
        (("--subject", "x@y.example", "--folder", "absent"), "no folder"),
    ],
)
def test_what_makes_no_sense_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert erased(place, *arguments) == 2
    assert said in capsys.readouterr().err


def test_without_its_secret_nothing_is_called_clean(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(place)
    monkeypatch.delenv("ERASE_TEST_SECRET")
    assert erased(place, "--subject", MAIL) == 2
    assert "ERASE_TEST_SECRET" in capsys.readouterr().err
    assert len(left(place)) == 4


FORMER = "the secret that was once"


def veiled(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of what was masked with a secret that is another one now."""
    monkeypatch.setenv("ERASE_TEST_FORMER", FORMER)
    once, now = Mint(FORMER.encode()), Mint(KEY.encode())
    store = Store(record(place))
    mask = Vault(once, "").put("EMAIL", MAIL)
    findings = Findings(data_class="internal", private=False, masked={"EMAIL": 1}, seal=once.seal)

    async def plant() -> None:
        for name, prompt, found in (
            ("once", f"Mail {mask}", findings),
            ("nothing", "masked", msgspec.structs.replace(findings, masked={})),
            ("now", f"Mail {MASKED}", msgspec.structs.replace(findings, seal=now.seal)),
        ):
            said = outcome(name, prompt, caller="team:a/8")
            said = msgspec.structs.replace(said, caller="" if name == "once" else said.caller)
            await store.record(msgspec.structs.replace(said, protection=found))
        await store.aclose()

    asyncio.run(plant())


def test_what_another_secret_masked_is_not_called_clean(
    anywhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    veiled(anywhere, monkeypatch)
    assert erased(anywhere, "--subject", MAIL, "--json") == 1
    told = capsys.readouterr()
    assert msgspec.json.decode(told.out)["veiled"] == 1
    assert "--secret env:NAME" in told.err
    assert left(anywhere) == {"once", "nothing"}
    assert erased(anywhere, "--subject", MAIL, "--secret", "env:ERASE_TEST_FORMER") == 0
    assert left(anywhere) == {"nothing"}


def test_without_protect_nothing_masked_is_called_clean(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    veiled(place, monkeypatch)
    path = place / "settings.toml"
    path.write_text(path.read_text().partition("[protect]")[0])
    for more in ((), ("--dry-run",)):
        assert erased(place, "--subject", MAIL, *more) == 2
        assert "no [protect]" in capsys.readouterr().err
    assert left(place) == {"once", "nothing", "now"}
    assert erased(place, "--subject", MAIL, "--secret", "ERASE_TEST_FORMER") == 2
    assert "env:NAME" in capsys.readouterr().err


def test_a_folder_of_masked_texts_is_not_called_clean_either(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = place / "settings.toml"
    path.write_text(path.read_text().partition("[protect]")[0])
    (place / "work").mkdir()
    table = pa.table({"query_id": ["1"], "prompt": [f"to {MASKED}"]})
    parquet.write_table(table, place / "work" / "queries.parquet")
    assert erased(place, "--subject", MAIL, "--folder", str(place / "work")) == 2
    assert "no [protect]" in capsys.readouterr().err


def test_a_short_id_is_a_callers_within_its_tenant(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(record(place))

    async def plant() -> None:
        for name, caller in (("a", "key:k1/7"), ("b", "team:b%2Fc/7"), ("c", "team:b%2Fc/77")):
            await store.record(outcome(name, "What?", caller=caller))
        await store.aclose()

    asyncio.run(plant())
    assert erased(place, "--subject", "7", "--json") == 1
    told = capsys.readouterr()
    assert msgspec.json.decode(told.out)["namesakes"] == ["key:k1/7", "team:b%2Fc/7"]
    assert "key:k1/7 has that id, too" in told.err
    assert left(place) == {"a", "b", "c"}
    assert erased(place, "--subject", "7", "--tenant", "team:b/c") == 1
    assert left(place) == {"a", "c"}
    assert erased(place, "--subject", "key:k1/7") == 0
    assert left(place) == {"c"}


def test_a_killed_erasure_is_completed_by_the_next(place: Path) -> None:
    fill(place)
    for _ in range(4):
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os._exit(erased(place, "--subject", MAIL))
        time.sleep(random.uniform(0.0, 0.3))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert {"asked", "other"} <= left(place)
    assert erased(place, "--subject", MAIL) == 0
    assert left(place) == {"asked", "other"}
    assert files(place, MAIL, MASKED) == []
