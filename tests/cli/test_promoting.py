"""Policies from the command line: compared, let in, listed, and back again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from emafusion import artefacts, config, encoders
from emafusion.artefacts import Artefact, Serving, Versions
from emafusion.cli import run
from emafusion.client import request
from emafusion.learn.fit import fit
from emafusion.testing import ScriptedProvider
from emafusion.types import replace
from emafusion.understand import FastClassifier

pytest.importorskip("sklearn")

Out = pytest.CaptureFixture[str]


def world(folder: Path, count: int, *, splits: tuple[str, ...], seed: int) -> None:
    """`cheap` is right on 5 of 10, `dear` on 9 at twenty times the price."""
    rng = np.random.default_rng(seed)
    queries, outcomes, responses = [], [], []
    for number in range(count):
        query = {"query_id": f"{seed}-{number}", "split": splits[number % len(splits)]}
        queries.append({**query, "task": "t", "prompt": f"Riddle {rng.integers(10**9)}: how many?"})
        for model, rate, price in (("cheap", 0.5, 1e-5), ("dear", 0.9, 2e-4)):
            right = rng.random() < rate
            cell = {"query_id": query["query_id"], "model": model}
            spent = {"cost_usd": price, "prompt_tokens": 20, "completion_tokens": 10}
            outcomes.append({**cell, "score": float(right), "answer": None, **spent})
            told = 7 if right else int(rng.integers(100, 900))
            responses.append({**cell, "response": f"The answer is {told}."})
    folder.mkdir()
    for file, rows in (("queries", queries), ("outcomes", outcomes), ("responses", responses)):
        parquet.write_table(pa.Table.from_pylist(rows), folder / f"{file}.parquet")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted policy in ``good``, a spoilt one in ``bad``, and held-out rows in ``test``."""
    base = tmp_path_factory.mktemp("promoting")
    world(base / "train", 120, splits=("train", "train", "train", "val"), seed=1)
    world(base / "test", 50, splits=("test",), seed=2)
    encoder = encoders.Remembered(encoders.default())
    shipped = artefacts.read(Path(config.__file__).parent / "policy")
    reader = FastClassifier.from_arrays(shipped.under("understand"), encoder)
    good = fit(base / "train", base / "good", classifier=reader)
    artefacts.write(base / "bad", spoilt(good))
    return base


def spoilt(policy: Artefact) -> Artefact:
    """The policy bound to the cheapest member, whatever the dial says."""
    safe = np.full_like(policy.arrays["plan/lookahead_safe"], 0)
    return replace(policy, arrays={**policy.arrays, "plan/lookahead_safe": safe})


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(f'[policy]\nprefer = 1.0\n[artefact]\npath = "{tmp_path}/policies"\n')
    return path


def test_a_better_policy_is_let_in_and_a_worse_one_is_not(
    folders: Path, tmp_path: Path, capsys: Out
) -> None:
    place = str(tmp_path / "policies")
    data = ["--data", str(folders / "test"), "--policies", place]
    assert run(["promote", str(folders / "bad"), "--force", "--why", "a start", *data[2:]]) == 0
    assert "serves all requests: a start" in capsys.readouterr().err
    bad = Versions(Path(place)).current()
    assert bad is not None

    assert run(["promote", str(folders / "good"), "--margin", "0.001", "--json", *data]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["promoted"]
    assert told["comparison"]["queries"] == 50
    good = Versions(Path(place)).current()
    assert good == Serving(id=told["id"])

    assert run(["promote", good.id, *data]) == 0
    assert f"{good.id} serves all requests: it serves already" in capsys.readouterr().err

    assert run(["promote", bad.id, *data]) == 1
    said = capsys.readouterr().err
    assert f"{bad.id} is not promoted" in said
    assert Versions(Path(place)).current() == good


def test_compare_shows_both_and_the_verdict(folders: Path, capsys: Out, tmp_path: Path) -> None:
    asked = ["compare", str(folders / "good"), "--data", str(folders / "test")]
    assert run([*asked, "--with", "default", "--frontier", "--policies", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["policy", "score", "US$", "per", "1000", "utility", "AIQ"]
    assert lines[1].startswith("default")
    assert "held-out queries over the dial" in " ".join(lines[3:])
    assert max(map(len, lines[:3])) <= 80
    assert run([*asked, "--with", str(folders / "good"), "--json", "--prefer", "0.7"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["gain"]["value"] == 0.0
    assert found["prefer"] == 0.7


def test_answers_that_nobody_marked_are_put_to_the_vote_as_learn_does(
    tmp_path: Path, capsys: Out
) -> None:
    rng = np.random.default_rng(5)
    queries, outcomes, responses = [], [], []
    for number in range(60):
        name = f"q{number}"
        prompt = f"What is {number} + {2 * number}? Reply with the number only."
        queries.append({"query_id": name, "split": "test", "task": "t", "prompt": prompt})
        for model, rate in (("a", 0.9), ("b", 0.8), ("c", 0.7)):
            right = bool(rng.random() < rate)
            cell = {"query_id": name, "model": model}
            spent = {"cost_usd": 1e-5, "prompt_tokens": 20, "completion_tokens": 2}
            score = None if number % 3 == 0 else float(right)
            outcomes.append({**cell, "score": score, "answer": None, **spent})
            told = 3 * number if right else int(rng.integers(1000, 9000))
            responses.append({**cell, "response": str(told)})
        if number % 6 == 0:
            responses[-1]["response"] = "I would rather not say."
    for file, rows in (("queries", queries), ("outcomes", outcomes), ("responses", responses)):
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / f"{file}.parquet")
    asked = ["compare", "default", "--with", "default", "--data", str(tmp_path), "--json"]
    assert run([*asked, "--prefer", "1", "--policies", str(tmp_path / "none")]) == 0
    assert json.loads(capsys.readouterr().out)["queries"] > 40


EXPLORING = """
[policy]
prefer = 1.0
arrangement = "single"
[providers.p]
type = "openai"
base_url = "http://127.0.0.1:9/v1"
[models.cheap]
provider = "p"
usd_per_mtok_in = 0.3
usd_per_mtok_out = 0.3
[models.dear]
provider = "p"
usd_per_mtok_in = 6.0
usd_per_mtok_out = 6.0
[learn]
explore = 1.0
explore_budget = 1000.0
feedback = false
drift = false
"""


async def _served(settings: Path, count: int) -> None:
    """`count` requests of twenty callers, explored; `cheap` is right on 5 of 10, `dear` on 9."""
    rng = np.random.default_rng(3)
    provider = ScriptedProvider("Seven.")
    client = config.build(config.load(settings), parts={"p": provider})
    try:
        for number in range(count):
            caller = f"caller {number % 20}"
            one = request(f"Riddle {rng.integers(10**9)}: how many?", prefer=1.0)
            answer = await client.engine.serve(replace(one, caller=caller))
            right = rng.random() < (0.5 if answer.model == "cheap" else 0.9)
            await client.feedback(answer.decision_id, float(right), caller=caller)
    finally:
        await client.aclose()


def test_explored_traffic_tells_of_policies_that_never_served(
    folders: Path, tmp_path: Path, capsys: Out
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f'{EXPLORING}[record]\npath = "{tmp_path}/decisions.sqlite3"\n')
    asyncio.run(_served(path, 300))
    good = artefacts.read(folders / "good")
    for name, member in (("cheap", 0), ("dear", 1)):
        safe = np.full_like(good.arrays["plan/lookahead_safe"], member)
        manifest = replace(good.manifest, created="2020-01-01")
        arrays = {**good.arrays, "plan/lookahead_safe": safe}
        artefacts.write(tmp_path / name, replace(good, manifest=manifest, arrays=arrays))
    asked = ["compare", str(tmp_path / "dear"), "--with", str(tmp_path / "cheap"), "--traffic"]
    asked += ["--config", str(path), "--policies", str(tmp_path)]
    assert run([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["replayed"] is None
    found = told["served"]
    assert found["why"] == []
    assert 100 < found["rows"] == found["drawn"] <= 300
    for kind in ("ips", "dr"):
        for name, truth in (("incumbent", 0.5), ("candidate", 0.9)):
            one = found[name]["estimates"][kind]
            assert one["low"] - 0.05 < truth < one["high"] + 0.05
    assert found["gain"]["low"] > 0.0
    assert run(asked) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "doubly robust" in lines[0]
    assert max(map(len, lines[:3])) <= 80
    assert "what is replayed decides" in " ".join(lines)

    # Of what these policies may have been fitted on, they are not measured.
    asked[1] = str(folders / "good")
    assert run([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["served"]
    assert 0 < found["rows"] < found["drawn"] / 3


def test_traffic_that_tells_nothing_says_what_it_takes(tmp_path: Path, capsys: Out) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f'[record]\npath = "{tmp_path}/decisions.sqlite3"\n')
    asked = ["compare", "default", "--with", "default", "--config", str(path)]
    assert run([*asked, "--traffic"]) == 0
    assert "set learn.explore" in " ".join(capsys.readouterr().out.split())
    assert run(asked) == 2
    assert "with --traffic" in " ".join(capsys.readouterr().err.split())


def test_listing_trying_and_going_back(folders: Path, settings: Path, capsys: Out) -> None:
    with_settings = ["--config", str(settings)]
    versions = Versions(settings.parent / "policies")
    good, bad = (versions.add(artefacts.read(folders / name)) for name in ("good", "bad"))
    assert run(["promote", good, "--force", "--why", "first", *with_settings]) == 0
    by_hand = ["--force", "--why", "a look", *with_settings]
    assert run(["promote", bad, "--canary", "0.1", *by_hand]) == 0
    assert "serves 10% of the requests" in capsys.readouterr().err
    assert run(["policies", *with_settings]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown[1:]] == [good, bad]
    assert shown[1].rstrip().endswith("serves")
    assert shown[2].rstrip().endswith("is tried")
    assert max(map(len, shown)) <= 80
    assert run(["rollback", "--candidate", "--why", "slow", *with_settings]) == 0
    assert versions.current() == Serving(id=good)
    assert run(["promote", bad, *by_hand]) == 0
    assert run(["rollback", *with_settings]) == 0
    assert versions.current() == Serving(id=good)
    capsys.readouterr()
    assert run(["policies", "history", *with_settings]) == 0
    told = capsys.readouterr().out
    assert [line.split()[1] for line in told.splitlines() if line[0] != " "] == [
        "promote", "canary", "withdraw", "promote", "rollback",
    ]  # fmt: skip
    assert "    slow" in told
    assert run(["policies", "--json", *with_settings]) == 0
    assert json.loads(capsys.readouterr().out)["serving"]["id"] == good


def test_what_cannot_be_done_says_what_to_do(tmp_path: Path, capsys: Out) -> None:
    plain = tmp_path / "plain.toml"
    plain.write_text("[policy]\n")
    assert run(["policies", "--config", str(plain)]) == 2
    assert "name one with --policies FOLDER" in capsys.readouterr().err
    assert run(["promote", "0001-x", "--policies", str(tmp_path)]) == 2
    assert "with --data; or promote without comparing" in capsys.readouterr().err
    assert run(["promote", "nowhere", "--force", "--why", "?", "--policies", str(tmp_path)]) == 1
    assert "no fitted policy in 'nowhere'" in capsys.readouterr().err
    assert run(["rollback", "--policies", str(tmp_path)]) == 1
    assert "promote one first" in capsys.readouterr().err
