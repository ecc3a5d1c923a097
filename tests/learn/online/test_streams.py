"""The benchmark's two streams, front to back, on a world whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emafusion import artefacts, config, encoders
from emafusion.learn.benchmark import Options, Parts, preparing
from emafusion.learn.benchmark.drifting import Change, Ground, drift
from emafusion.learn.benchmark.online import bandit
from emafusion.learn.benchmark.ours import VARIANTS, Job, measure
from emafusion.learn.benchmark.preparing import Prepared
from emafusion.protocols import Provider
from emafusion.understand import FastClassifier

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

RATES = {"cheap": (0.5, 1.0), "middle": (0.3, 2.0), "dear": (0.9, 10.0)}
THINGS = ("coins", "keys", "letters", "stones", "tickets", "beans", "pearls", "maps")


def world(folder: Path, count: int, seed: int) -> Path:
    """Models that are right at a rate of their own, whatever is asked."""
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(seed)
    queries, outcomes = [], []
    for number in range(count):
        name, thing = f"{seed}-{number}", THINGS[int(rng.integers(len(THINGS)))]
        prompt = f"Riddle {name}: how many {thing} are in purse {rng.integers(1000)}?"
        queries.append({"query_id": name, "task": "t", "prompt": prompt, "split": "train"})
        for model, (rate, price) in RATES.items():
            right = bool(rng.random() < rate)
            tokens = int(rng.integers(20, 60)) * (3 if model == "middle" else 1)
            outcomes.append(
                {
                    "query_id": name,
                    "model": model,
                    "score": float(right),
                    "answer": "7" if right else str(rng.integers(100, 900)),
                    "cost_usd": price * tokens * 1e-6,
                    "prompt_tokens": 20,
                    "completion_tokens": tokens,
                }
            )
    folder.mkdir()
    for file, rows in (("queries", queries), ("outcomes", outcomes)):
        parquet.write_table(pa.Table.from_pylist(rows), folder / f"{file}.parquet")
    return folder


def never(*_: object) -> Provider:
    raise AssertionError("these streams need no engine")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    base = tmp_path_factory.mktemp("streams")
    encoder = encoders.Remembered(encoders.default(), size=2000)
    shipped = artefacts.read(Path(config.__file__).parent / "policy")
    classifier = FastClassifier.from_arrays(shipped.under("understand"), encoder)
    return preparing.prepared(
        world(base / "train", 400, 1),
        world(base / "test", 100, 2),
        base / "out",
        parts=Parts(classifier=classifier, encoder=encoder, build=never, version="0"),  # type: ignore[arg-type]  # nothing is built
        options=Options(),
        tell=lambda *_: None,
    )


def test_a_cold_start_comes_near_to_the_fit_and_keeps_its_bound(prepared: Prepared) -> None:
    job = Job(
        name="emafusion",
        variant=VARIANTS["no_cascade"],
        fitted=prepared.learnt.evidence,
        test=prepared.seen,
    )
    found = bandit(prepared, [measure(job)], queries=400)
    assert found.of_fitted > 0.9
    assert found.spent.extra_usd <= found.terms.budget * found.spent.greedy_usd + 1e-12
    assert sum(found.asked.values()) == found.spent.seen == 400
    assert found.asked["middle"] < min(found.asked["cheap"], found.asked["dear"])
    # What was learnt early saves regret later.
    assert found.curve[-1].after == 400
    assert found.curve[-1].regret - found.curve[4].regret < found.curve[4].regret
    assert found.told()["queries"] == 400


def test_a_change_is_noticed_and_made_good(prepared: Prepared) -> None:
    change = Change(model="dear", weaker="middle", row=300)
    found = drift(prepared, change, ground=Ground.of(prepared), queries=1200)
    assert found.gap == pytest.approx(0.6, abs=0.15)
    assert found.noticed.within == 1.0
    assert found.noticed.false_alarms == 0
    assert 0 < found.own_answers < 100
    assert found.others == 0
    assert found.of_refitted > 0.9
    assert found.utility["prefer=0.75"][1] > found.utility["prefer=0.75"][0] + 0.05
