"""The whole benchmark on a world whose truth is known: a cheap model shows when it is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emafusion import artefacts, config, encoders
from emafusion.config.build import replaying
from emafusion.errors import DataError
from emafusion.evaluate.recorded import read
from emafusion.evaluate.report import decisions
from emafusion.evaluate.report.document import Document
from emafusion.learn.benchmark import Options, Parts, run
from emafusion.learn.benchmark.guarantees import ALPHAS, FEWEST
from emafusion.learn.benchmark.kept import Kept
from emafusion.understand import FastClassifier

pa = pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

PRICES = {"cheap": 1.0, "middle": 5.0, "dear": 20.0}


THINGS = ("coins", "keys", "letters", "stones", "tickets", "beans", "pearls", "maps")


def world(folder: Path, *, count: int, splits: tuple[str, ...], seed: int) -> None:
    """`cheap` is right on 6 of 10 and hedges when wrong; `dear` is right on 8 of 10."""
    from pyarrow import parquet

    rng = np.random.default_rng(seed)
    queries, outcomes, responses = [], [], []
    for number in range(count):
        name = f"{seed}-{number}"
        thing = THINGS[int(rng.integers(len(THINGS)))]
        prompt = f"Riddle {name}: how many {thing} are in purse {rng.integers(1000)}?"
        split = splits[number % len(splits)]
        queries.append({"query_id": name, "task": "t", "prompt": prompt, "split": split})
        for model, rate in (("cheap", 0.6), ("middle", 0.65), ("dear", 0.8)):
            right = rng.random() < rate
            wrong = int(rng.integers(100, 900))
            hedge = "" if right or model != "cheap" else "Perhaps, but maybe not; possibly "
            outcomes.append(
                {
                    "query_id": name,
                    "model": model,
                    "score": float(right),
                    "answer": None,
                    "cost_usd": PRICES[model] * 30e-6,
                    "prompt_tokens": 20,
                    "completion_tokens": 10,
                }
            )
            text = f"{hedge}The answer is {7 if right else wrong}."
            responses.append({"query_id": name, "model": model, "response": text})
    folder.mkdir()
    for file, rows in (("queries", queries), ("outcomes", outcomes), ("responses", responses)):
        parquet.write_table(pa.Table.from_pylist(rows), folder / f"{file}.parquet")


def parts() -> Parts:
    encoder = encoders.Remembered(encoders.default())
    shipped = artefacts.read(Path(config.__file__).parent / "policy")
    classifier = FastClassifier.from_arrays(shipped.under("understand"), encoder)
    return Parts(classifier=classifier, encoder=encoder, build=replaying, version="0")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("benchmark")
    world(base / "train", count=240, splits=("train", "train", "train", "val"), seed=1)
    world(base / "test", count=FEWEST - 10, splits=("test",), seed=2)
    world(base / "larger", count=FEWEST, splits=("test",), seed=2)
    return base


@pytest.fixture(scope="module")
def report(folders: Path) -> Document:
    return run(folders / "train", folders / "test", folders / "out", parts=parts())


def test_it_beats_the_best_single_model_for_less(report: Document) -> None:
    best = report.best_single
    parity = report.headline["parity"]
    assert best.model == "dear"
    assert parity.accuracy >= best.accuracy - 0.05
    assert parity.cost_usd < 0.7 * best.cost_usd
    assert report.headline["max_quality"].accuracy > best.accuracy


def test_every_system_is_there(report: Document) -> None:
    roles = {name: system.role for name, system in report.systems.items()}
    assert roles["emafusion"] == "ours"
    for ablation in ("taxonomy_only", "learned_only", "no_cascade", "no_judges", "no_fusion"):
        assert roles[ablation] == "ablation"
    for baseline in ("knn", "frugal_gpt", "zero_router", "majority_vote", "cascade_routing"):
        assert roles[baseline] == "baseline"
    # No log-probabilities were recorded: there is no such judge to leave out.
    assert "no_logprob_judge" not in roles


def test_judging_is_what_saves(report: Document) -> None:
    aiq = {name: system.aiq or 0.0 for name, system in report.systems.items()}
    assert aiq["emafusion"] > aiq["no_judges"] + 0.005
    assert aiq["emafusion"] > aiq["zero_router"]


def test_of_few_rows_nothing_is_promised(report: Document) -> None:
    assert report.run["guarantee"] == []


def test_every_figure_follows_from_the_outcomes(folders: Path, report: Document) -> None:
    recorded = read(folders / "test")
    place = {name: at for at, name in enumerate(recorded.models)}
    row = {name: at for at, name in enumerate(recorded.queries)}
    found = decisions.read(folders / "out" / "decisions.parquet")
    for name, point in report.headline.items():
        mine = [one for one in found if one.point == name]
        assert len(mine) == len(recorded.queries)
        spent = [
            sum(recorded.costs[row[one.query_id], place[call]] for call in one.calls)
            for one in mine
        ]
        scores = [recorded.scores[row[one.query_id], place[one.answer_from]] for one in mine]
        assert point.cost_usd == pytest.approx(float(np.mean(spent)))
        assert point.accuracy == pytest.approx(float(np.mean(scores)))


def test_the_engine_decides_as_the_batch_does(report: Document) -> None:
    assert report.run["engine_equals_batch"] == pytest.approx(1.0, abs=0.005)


def test_test_scores_change_no_decision(folders: Path, report: Document, tmp_path: Path) -> None:
    from pyarrow import parquet

    shuffled = tmp_path / "test"
    shuffled.mkdir()
    for file in ("queries", "responses"):
        (shuffled / f"{file}.parquet").write_bytes((folders / f"test/{file}.parquet").read_bytes())
    rows = parquet.read_table(folders / "test/outcomes.parquet").to_pylist()
    rng = np.random.default_rng(0)
    for one in rows:
        one["score"] = float(rng.random() < 0.5)
    parquet.write_table(pa.Table.from_pylist(rows), shuffled / "outcomes.parquet")
    run(folders / "train", shuffled, tmp_path / "out", parts=parts())
    before = decisions.read(folders / "out" / "decisions.parquet")
    after = decisions.read(tmp_path / "out" / "decisions.parquet")
    assert [(d.point, d.query_id, d.calls, d.answer_from) for d in before] == [
        (d.point, d.query_id, d.calls, d.answer_from) for d in after
    ]


def test_a_second_run_goes_on_and_says_the_same(folders: Path, report: Document) -> None:
    kept = folders / "out" / ".systems"
    written = {path.name: path.stat().st_mtime_ns for path in kept.glob("*.npz")}
    assert "emafusion.npz" in written
    first = json.loads((folders / "out" / "report.json").read_bytes())
    (kept / "knn.npz").unlink()
    run(folders / "train", folders / "test", folders / "out", parts=parts())
    second = json.loads((folders / "out" / "report.json").read_bytes())
    for told in (first, second):
        told["run"].pop("fit_cpu_s")
    assert first == second
    for name, stamp in written.items():
        same = (kept / name).stat().st_mtime_ns == stamp
        assert same == (name != "knn.npz")


def test_parts_of_other_inputs_are_not_taken(folders: Path, report: Document) -> None:
    assert Kept(folders / "out" / ".systems", "another digest").find("emafusion") is None


def test_pools_that_differ_are_refused(folders: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    other = tmp_path / "other"
    other.mkdir()
    for file in ("queries", "responses"):
        (other / f"{file}.parquet").write_bytes((folders / f"test/{file}.parquet").read_bytes())
    rows = parquet.read_table(folders / "test/outcomes.parquet").to_pylist()
    fewer = [one for one in rows if one["model"] != "dear"]
    parquet.write_table(pa.Table.from_pylist(fewer), other / "outcomes.parquet")
    with pytest.raises(DataError, match="'dear'"):
        run(folders / "train", other, tmp_path / "out", parts=parts(), options=Options())


def test_learning_without_scores_from_few_rows_and_while_serving_is_measured(
    folders: Path, tmp_path: Path
) -> None:
    options = Options(
        labels="consensus",
        train_rows=200,
        leave_out=("middle",),
        probes=40,
        online=True,
        drift="dear=cheap@500",
    )
    found = run(folders / "train", folders / "larger", tmp_path, parts=parts(), options=options)
    told = json.loads((tmp_path / "report.json").read_text())["run"]
    assert found.run["labels"] == told["labels"] == "consensus"
    assert told["fitted_on"] == 200
    assert 0.0 < told["label_noise"] < 0.5
    (left,) = told["leave_out"]["models"]
    assert left["model"] == "middle"
    assert left["aiq_probed"] > 0.0
    assert told["online"]["queries"] > 0
    assert told["drift"]["model"] == "dear"
    assert len(told["guarantee"]) == len(ALPHAS) * len(found.headline)
    assert {one["alpha"] for one in told["guarantee"]} == set(ALPHAS)


def test_more_training_rows_than_there_are_is_an_error(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only 240 queries"):
        run(
            folders / "train",
            folders / "test",
            tmp_path,
            parts=parts(),
            options=Options(train_rows=241),
        )
