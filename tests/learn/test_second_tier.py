"""The second tier learns to act where it pays, and that it pays nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emafusion.errors import DataError
from emafusion.evaluate.recorded import Recorded
from emafusion.learn.combinings import FILE, Combined, read, write
from emafusion.learn.fit.answering import States
from emafusion.learn.fit.deciding import NOTHING, Decided
from emafusion.learn.fit.evidence import Evidence
from emafusion.learn.fit.second_tier import FOLDS, Seen, Tried, fit, held_out, learnt, tried
from emafusion.plan.combining import CAUTION, FEATURES, Action, FittedCombiner
from emafusion.types import (
    Completion,
    Draft,
    Estimate,
    Forecast,
    Fusion,
    Labels,
    Model,
    Plan,
    Usage,
)
from emafusion.types.outcomes import Gathered

if TYPE_CHECKING:
    from numpy.typing import NDArray

pa = pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

OPEN, BEST = FEATURES.index("open_ended"), FEATURES.index("best")


def world(*, rows: int = 400, seed: int = 0, pays: float = 0.0, costs_else: float = 0.0) -> Tried:
    """Scores of 0 and 1: a synthesis is right as often as the draft, `pays` more often where the
    request is open-ended and `costs_else` less often elsewhere.
    """
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rows, len(FEATURES)))
    table[:, OPEN] = rng.random(rows) < 0.5
    table[:, BEST] = rng.uniform(0.2, 0.8, rows)
    stopped = (rng.random(rows) < table[:, BEST]).astype(float)
    rate = table[:, BEST] + np.where(table[:, OPEN] > 0, pays, -costs_else)
    other = (rng.random(rows) < rate).astype(float)
    return Tried(
        by=("w",),
        places=np.zeros(rows, dtype=np.int64),
        features=table,
        odds=np.zeros((rows, 2)),
        stopped=stopped,
        other=other,
        costs=np.full(rows, 1e-4),
        fold=np.arange(rows) % FOLDS,
    )


def acts(table: Tried, action: Action = "synthesise") -> NDArray[np.bool_]:
    told, spread = learnt(table, action).expect(table.features, table.places.tolist())
    return np.asarray(told - CAUTION * spread > 0.0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_acts_where_acting_pays_and_not_elsewhere(seed: int) -> None:
    table = world(pays=0.4, costs_else=0.3, seed=seed)
    figures = held_out(table, "synthesise")
    assert figures["pays"] == 1.0
    assert figures["policy_gain"] > max(0.1, figures["always_gain"])
    acted, open_ended = acts(table), table.features[:, OPEN] > 0.0
    assert acted[open_ended].mean() > 0.9
    assert acted[~open_ended].mean() < 0.05


def test_it_abstains_where_acting_pays_nothing() -> None:
    """About one such world in ten looks as if it paid: so much a bound of 90 % allows."""
    fooled = [held_out(world(seed=seed), "synthesise")["pays"] for seed in range(20)]
    assert sum(fooled) <= 2
    harmed = [held_out(world(costs_else=0.3, seed=s), "synthesise")["pays"] for s in range(20)]
    assert sum(harmed) <= 2


def test_a_gain_in_a_few_rows_is_not_believed() -> None:
    assert held_out(world(rows=40, pays=0.1, seed=5), "synthesise")["pays"] == 0.0


def compared(weight: float, seed: int = 0, rows: int = 400) -> Tried:
    """A panel that knows nothing, and a judge whose log-odds are worth `weight` of truth."""
    rng = np.random.default_rng(seed)
    table = world(rows=rows, seed=seed)
    odds = np.stack([np.abs(rng.normal(0, 0.3, rows)), rng.normal(0, 1.5, rows)], axis=1)
    better = rng.random(rows) < 1.0 / (1.0 + np.exp(-weight * odds[:, 1]))
    return Tried(
        by=("j",),
        places=table.places,
        features=table.features,
        odds=odds,
        stopped=better.astype(float),
        other=(~better).astype(float),
        costs=table.costs,
        fold=table.fold,
    )


def test_a_judge_that_knows_is_heard_and_one_that_does_not_is_not_asked() -> None:
    knows, guesses = compared(1.5), compared(0.0)
    assert learnt(knows, "compare").weight > 1.0
    assert learnt(guesses, "compare").weight < 1.0
    told = held_out(knows, "compare")
    assert told["pays"] == 1.0
    assert told["policy_gain"] > 0.1
    assert held_out(guesses, "compare")["pays"] == 0.0


def test_pairs_of_equal_score_teach_nothing() -> None:
    table = compared(1.5)
    same = Tried(
        **{
            **{name: getattr(table, name) for name in table.__struct_fields__},
            "other": table.stopped,
        }
    )
    assert learnt(same, "compare").weight == 0.0
    assert held_out(same, "compare")["pays"] == 0.0


POOL = ("a", "b", "w")
COUNT = 160


def drafted(model: str, text: str) -> Draft:
    usage = Usage(prompt_tokens=40, completion_tokens=20)
    return Draft(
        model=model, completion=Completion(text=text, usage=usage), cost_usd=1e-4, latency_s=1.0
    )


def seen() -> tuple[Recorded, Seen]:
    """Two drafters that differ on every query but the first, the trusted one right half the time;
    odd queries are open-ended.
    """
    shape = (COUNT, len(POOL))
    even = np.arange(COUNT) % 2 == 0
    scores = np.zeros(shape)
    scores[:, 0] = np.arange(COUNT) // 2 % 2
    second = np.full(COUNT, 0.4)
    second[0] = 0.0
    zeros = np.zeros(shape)
    evidence = Evidence(
        pool=POOL,
        priors=zeros,
        expected=zeros,
        surplus=zeros,
        surfaces=np.zeros((*shape, 1)),
        answers=np.where(even[:, None], np.arange(3)[None, :], -1),
        flagged=np.zeros(shape, dtype=bool),
        scores=scores,
        costs=zeros,
        fold=np.arange(COUNT) % 5,
    )
    decided = Decided(
        without=NOTHING,
        heads={},
        ranker=None,
        members=(0, 1),
        council=None,  # type: ignore[arg-type]  # the states are given
        rules=None,  # type: ignore[arg-type]
        evidence=evidence,
        states=States(each={3: np.tile([0.6, 0.4], (COUNT, 1))}, second={3: second}),
    )
    recorded = Recorded(
        queries=tuple(str(row) for row in range(COUNT)),
        prompts=("p",) * COUNT,
        splits=("train",) * COUNT,
        tasks=("t",) * COUNT,
        models=POOL,
        scores=scores,
        costs=zeros,
        prompt_tokens=zeros,
        tokens=zeros,
        seconds=zeros,
        drafts=tuple(
            tuple(drafted(name, f"{name} {row}") for name in POOL) for row in range(COUNT)
        ),
        digest="",
    )
    labels = [Labels(axes={"task": {"generation": 1.0}})] * COUNT
    found = Seen.of(
        decided,
        recorded,
        rows=np.arange(COUNT),
        labels=labels,
        qualities=np.full(shape, 0.5),
    )
    return recorded, found


def synthesis(row: int, score: float, panel: tuple[str, ...] = ("a", "b")) -> Combined:
    return Combined(
        query=str(row), action="synthesise", by="w", panel=panel, score=score, cost_usd=1e-4
    )


def choice(arrays: Mapping[str, NDArray[np.generic]], *, open_ended: bool) -> str:
    """What a policy of these arrays does with drafts like those it was fitted on."""
    policy = FittedCombiner.from_arrays(arrays)
    assert policy is not None
    model = Model(name="w", provider="p", upstream="w", usd_per_mtok_in=0.1, usd_per_mtok_out=0.1)
    estimate = Estimate(model="w", quality=0.5, quality_std=0.1, cost_usd=1e-4, latency_s=1.0)
    gathered = Gathered(
        authors=("a", "b"),
        leading=(0, 1),
        best=0.6,
        second=0.4,
        agreeing=0.0,
        open_ended=open_ended,
        prompt_tokens=40,
        draft_tokens=40,
    )
    plan = Plan(
        arrangement=Fusion(panel=("a", "b")),
        quality=0.5,
        cost_usd=1e-4,
        latency_s=1.0,
        fallbacks=("w",),
        usd_per_quality=0.1,
    )
    labels = Labels(axes={"task": {"generation": 1.0}})
    forecast = Forecast(estimates=(estimate,))
    return policy.choose(gathered, labels, forecast=forecast, plan=plan, models=[model]).action


def test_what_was_recorded_becomes_a_policy_that_acts_where_it_paid() -> None:
    recorded, told = seen()
    # Right wherever the request is open-ended, and as the selected draft elsewhere.
    rows = [synthesis(r, 1.0 if r % 2 else float(recorded.scores[r, 0])) for r in range(COUNT)]
    fitted = fit(rows, told, recorded)
    assert set(fitted.gains) == {"synthesise"}
    assert fitted.figures["combine_synthesise_rows"] == COUNT - 1
    assert choice(fitted.arrays, open_ended=True) == "synthesise"
    assert choice(fitted.arrays, open_ended=False) == "select"


def test_what_did_not_pay_is_not_written() -> None:
    recorded, told = seen()
    rows = [synthesis(row, float(recorded.scores[row, 0])) for row in range(COUNT)]
    fitted = fit(rows, told, recorded)
    assert fitted.figures["combine_synthesise_pays"] == 0.0
    assert fitted.arrays == {}
    assert fit(rows[:20], told, recorded).figures == {}
    assert fit([], told, recorded).figures == {}


def test_rows_that_say_nothing_of_the_policy_are_left_out() -> None:
    recorded, told = seen()
    useless = [
        synthesis(0, 1.0),  # the drafts say the same
        synthesis(1, 1.0, ("a", "w")),  # not of the council
        synthesis(2, 1.0, ("a", "a")),
        synthesis(3, 1.0, ("a", "stranger")),
        synthesis(COUNT, 1.0),
        Combined(query="5", action="synthesise", by="x", panel=("a", "b"), score=1, cost_usd=0),
        Combined(query="6", action="compare", by="w", panel=("a", "b"), score=None, cost_usd=0),
    ]
    assert tried(useless, told, recorded, action="synthesise") is None
    assert tried(useless, told, recorded, action="compare") is None


@pytest.mark.parametrize("panel", [("a", "b"), ("b", "a")])
def test_a_comparison_is_read_from_the_leading_drafts_side(panel: tuple[str, str]) -> None:
    recorded, told = seen()
    row = Combined(query="2", action="compare", by="w", panel=panel, score=0.8, cost_usd=0.0)
    table = tried([row], told, recorded, action="compare")
    assert table is not None
    ours, judges = table.odds[0]
    assert ours > 0.0
    assert judges == pytest.approx(np.log(4.0) * (1 if panel == ("a", "b") else -1))
    assert (table.stopped[0], table.other[0]) == tuple(recorded.scores[2, :2])


ROWS = [
    Combined(query="1", action="synthesise", by="w", panel=("a", "b"), score=0.5, cost_usd=1e-4),
    Combined(
        query="2",
        action="compare",
        by="w",
        panel=("a", "b"),
        score=None,
        cost_usd=2e-4,
        prompt_tokens=300,
        completion_tokens=2,
        latency_s=1.5,
        text="[null, null]",
    ),
]


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    write(tmp_path, ROWS)
    assert read(tmp_path) == ROWS


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"action": "guess"}, "an action is one of"),
        ({"score": 1.5}, "scores go from 0 to 1"),
        ({"panel": "a, b"}, "a panel a list"),
        ({"by": ...}, "has no column 'by'"),
    ],
)
def test_a_malformed_table_is_told(tmp_path: Path, changed: dict[str, object], told: str) -> None:
    from pyarrow import parquet

    row = {
        "query_id": "1",
        "action": "compare",
        "by": "w",
        "panel": ["a", "b"],
        "score": 0.5,
        "cost_usd": 0.0,
        **changed,
    }
    row = {name: value for name, value in row.items() if value is not ...}
    parquet.write_table(pa.Table.from_pylist([row]), tmp_path / FILE)
    with pytest.raises(DataError, match=told):
        read(tmp_path)
    (tmp_path / FILE).write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path)
