"""From recorded outcomes to an artefact that serves: on a world whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emafusion import artefacts, config, encoders
from emafusion.config.build import replaying
from emafusion.errors import DataError
from emafusion.evaluate.recorded import read
from emafusion.judge import Bench, CalibratedPanel
from emafusion.learn import combinings
from emafusion.learn.fit import fit
from emafusion.plan import FittedRule, Lookahead, Signals, UtilityPlanner
from emafusion.predict import Fitted, Union
from emafusion.protocols import Panel
from emafusion.types import (
    Adaptive,
    Assessment,
    Completion,
    Draft,
    Forecast,
    Knobs,
    Model,
    Plan,
    Request,
    Usage,
)
from emafusion.understand import FastClassifier

pa = pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

EASY = "What is the capital of country number {}?"
POOL = tuple(
    Model(name=n, provider="p", upstream=n, usd_per_mtok_in=p, usd_per_mtok_out=p)
    for n, p in (("cheap", 0.03), ("dear", 0.6))
)
HARD = "A train travels {} km in 3 hours, then stops. Work out its speed step by step."


def world(folder: Path, count: int = 300) -> None:
    """Easy questions that both models answer, hard ones that only the dear one does.

    A wrong answer is written with less confidence than a right one, most of the time.
    """
    from pyarrow import parquet

    rng = np.random.default_rng(1)
    queries, outcomes, responses = [], [], []
    for number in range(count):
        easy = number % 2 == 0
        prompt = (EASY if easy else HARD).format(number)
        split = ("train", "train", "train", "val", "test")[number % 5]
        queries.append({"query_id": str(number), "task": "t", "prompt": prompt, "split": split})
        for name, rate, price in (("cheap", 0.9 if easy else 0.1, 1.0), ("dear", 0.92, 20.0)):
            right = rng.random() < rate
            doubt = rng.normal(-0.1 if right else -0.9, 0.15)
            outcomes.append(
                {
                    "query_id": str(number),
                    "model": name,
                    "score": float(right),
                    "cost_usd": price * 1e-6,
                    "prompt_tokens": 20,
                    "completion_tokens": 10,
                    "latency_s": price / 10,
                    "mean_logprob": min(doubt, -0.01),
                    "min_logprob": min(2 * doubt, -0.02),
                }
            )
            text = f"The answer is {number if right else number + 1000}."
            responses.append({"query_id": str(number), "model": name, "response": text})
    for name, rows in (("queries", queries), ("outcomes", outcomes), ("responses", responses)):
        parquet.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> artefacts.Artefact:
    folder = tmp_path_factory.mktemp("outcomes")
    world(folder)
    return fit(folder, folder / "policy", classifier=classifier())


def classifier() -> FastClassifier:
    shipped = artefacts.read(Path(config.__file__).parent / "policy")
    return FastClassifier.from_arrays(shipped.under("understand"), encoders.default())


def forecast(policy: artefacts.Artefact, prompt: str) -> Forecast:
    reader = FastClassifier.from_arrays(policy.under("understand"), encoders.default())
    names = {axis: head.labels for axis, head in reader.heads.items()}
    fitted = Fitted.from_arrays(
        policy.under("predict"),
        policy.manifest.pool,
        encoder=encoders.default(),
        labels={str(axis): labels for axis, labels in names.items()},
    )
    return Union(fitted).predict(asked(prompt), reader.labels(asked(prompt)), POOL)


def asked(prompt: str, prefer: float = 0.5) -> Request:
    return Request(
        id="x", messages=({"role": "user", "content": prompt},), knobs=Knobs(prefer=prefer)
    )


def test_the_forecast_knows_easy_from_hard(policy: artefacts.Artefact) -> None:
    easy, hard = forecast(policy, EASY.format(999)), forecast(policy, HARD.format(999))
    assert easy["cheap"].quality > 0.75
    assert hard["cheap"].quality < 0.35
    assert hard["dear"].quality > 0.75


def planned(policy: artefacts.Artefact, prompt: str, prefer: float) -> Plan:
    arrays, pool = policy.under("plan"), policy.manifest.pool
    planner = UtilityPlanner(
        Signals.from_arrays(arrays, pool), rule=FittedRule(Lookahead.from_arrays(arrays, pool))
    )
    return planner.plan(asked(prompt, prefer), forecast(policy, prompt), POOL)


def test_the_plan_spends_where_it_pays(policy: artefacts.Artefact) -> None:
    easy = planned(policy, EASY.format(999), 0.5)
    hard = planned(policy, HARD.format(999), 1.0)
    assert isinstance(easy.arrangement, Adaptive)
    assert easy.arrangement.start == "cheap"
    assert "dear" in hard.arrangement.models
    assert easy.cost_usd < hard.cost_usd


def test_following_the_rule_beats_the_best_model_at_less_than_its_cost(
    policy: artefacts.Artefact,
) -> None:
    """Easy questions need the cheap model alone, and doubt tells which of its answers are wrong."""
    figures = policy.manifest.metrics
    assert figures["best"] <= figures["accuracy_at_0.5"]
    assert figures["cost_share_at_0.5"] < 0.9
    assert figures["cost_share_at_0"] < figures["cost_share_at_1"]


async def test_the_panel_hears_the_doubt(policy: artefacts.Artefact) -> None:
    assert policy.manifest.metrics["panel_auroc"] > 0.9
    assert policy.manifest.metrics["panel_ece"] < 0.1
    last_resort = CalibratedPanel(policy.under("judge"), policy.manifest.pool)
    for panel in (last_resort, Bench.from_arrays(policy.under("judge"), policy.manifest.pool)):
        sure, unsure = [(await heard(panel, policy, doubt)).confidence for doubt in (-0.1, -0.9)]
        assert sure > unsure + 0.3


async def heard(panel: Panel, policy: artefacts.Artefact, doubt: float) -> Assessment:
    """The dear model's answer to a hard question, written with this log-probability a token."""
    prompt = HARD.format(999)
    completion = Completion(
        text="The answer is 999.", usage=Usage(completion_tokens=10), logprobs=(doubt,) * 10
    )
    draft = Draft(model="dear", completion=completion, cost_usd=0.0, latency_s=0.0)
    return await panel.assess(asked(prompt), forecast(policy, prompt), [draft], port=Nobody())


class Nobody:
    """A port that may not be used."""

    async def complete(self, model: str, messages: object, **more: object) -> Draft:
        raise AssertionError(model)


def test_equal_outcomes_give_equal_policies(policy: artefacts.Artefact, tmp_path: Path) -> None:
    world(tmp_path)
    again = fit(tmp_path, tmp_path / "p", classifier=classifier())
    assert again.arrays.keys() == policy.arrays.keys()
    for name, array in again.arrays.items():
        assert np.array_equal(array, policy.arrays[name]), name


def test_too_few_outcomes_are_refused(tmp_path: Path) -> None:
    world(tmp_path, count=30)
    with pytest.raises(DataError, match="at least 40"):
        fit(tmp_path, tmp_path / "p", classifier=classifier())
    assert not (tmp_path / "p").exists()


def test_a_damaged_folder_is_named(tmp_path: Path) -> None:
    world(tmp_path)
    (tmp_path / "outcomes.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"outcomes\.parquet"):
        read(tmp_path)
    (tmp_path / "queries.parquet").unlink()
    with pytest.raises(DataError, match=r"queries\.parquet"):
        read(tmp_path)


def test_a_pool_that_never_errs_gives_a_policy_that_serves(tmp_path: Path) -> None:
    """Nothing tells right from wrong there: the panel of last resort stays unfitted."""
    from pyarrow import parquet

    world(tmp_path, count=100)
    rows = parquet.read_table(tmp_path / "outcomes.parquet").to_pylist()
    for row in rows:
        row["score"] = 1.0
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "outcomes.parquet")
    made = fit(tmp_path, tmp_path / "made", classifier=classifier())
    engine = replaying(made, POOL, {})
    request = asked(EASY.format(999))
    labels = FastClassifier.from_arrays(made.under("understand"), encoders.default()).labels(
        request
    )
    told = engine.stages.predictor.predict(request, labels, POOL)
    assert engine.stages.planner.plan(request, told, POOL).arrangement.models[0] == "cheap"


def test_drafts_that_nobody_scored_and_two_models_cannot_vote_on_stay_unscored(
    tmp_path: Path,
) -> None:
    from pyarrow import parquet

    world(tmp_path, count=150)
    rows = parquet.read_table(tmp_path / "outcomes.parquet").to_pylist()
    for row in rows[:20]:
        row["score"] = None
    rows[20]["score"] = None
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "outcomes.parquet")
    made = fit(tmp_path, tmp_path / "made", classifier=classifier())
    left_out = sum(number % 5 != 4 for number in range(10))
    assert made.manifest.queries == 120 - left_out
    told = forecast(made, EASY.format(999))
    assert told["cheap"].quality > forecast(made, HARD.format(999))["cheap"].quality


def test_syntheses_are_read_beside_the_rows_that_a_model_given_up_never_answered(
    tmp_path: Path,
) -> None:
    from pyarrow import parquet

    world(tmp_path, count=200)
    rows = parquet.read_table(tmp_path / "outcomes.parquet").to_pylist()
    texts = parquet.read_table(tmp_path / "responses.parquet").to_pylist()
    # A third model answers only every fourth query: the rule is fitted on the other two's rows.
    for table, file in ((rows, "outcomes"), (texts, "responses")):
        late = [dict(row, model="late") for row in table if row["model"] == "dear"]
        more = [row for row in late if int(row["query_id"]) % 4 == 3]
        parquet.write_table(pa.Table.from_pylist(table + more), tmp_path / f"{file}.parquet")
    scores = {(row["query_id"], row["model"]): row["score"] for row in rows}
    differ = [n for n in map(str, range(200)) if scores[n, "cheap"] != scores[n, "dear"]]
    written = [
        combinings.Combined(
            query=n, action="synthesise", by="dear", panel=("cheap", "dear"), score=1.0, cost_usd=0
        )
        for n in differ
    ]
    combinings.write(tmp_path, written)
    made = fit(tmp_path, tmp_path / "made", classifier=classifier())
    fitted = [n for n in differ if int(n) % 5 != 4]
    assert made.manifest.metrics["combine_synthesise_rows"] == len(fitted)
    # The drafts selected are those of the very queries: the dear one's, right on the hard ones.
    right = sum(scores[n, "dear"] for n in fitted) / len(fitted)
    assert made.manifest.metrics["combine_synthesise_selected"] == pytest.approx(right, abs=0.1)
