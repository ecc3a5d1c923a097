"""A benchmark's report: its figures follow from the outcomes, and its page is safe to open."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.errors import DataError, StoreError
from emafusion.evaluate import metrics
from emafusion.evaluate.report import decisions, document, page, plots
from emafusion.evaluate.report.benchmark import POINTS, Benchmark
from emafusion.evaluate.report.decisions import Decision
from emafusion.evaluate.report.save import save
from emafusion.evaluate.runs import Role, Run, System, Table

HOSTILE = "<script>alert('$1')</script> & $x^2$"
MODELS = ("cheap", "middle", "dear")
N = 120


def table() -> Table:
    rng = np.random.default_rng(7)
    scores = (rng.random((N, 3)) < (0.5, 0.65, 0.8)).astype(float)
    return Table(
        queries=tuple(f"q{n:03d}" for n in range(N)),
        tasks=tuple(HOSTILE if n % 3 else "sums" for n in range(N)),
        models=MODELS,
        scores=scores,
        costs=rng.uniform(0.5, 1.5, (N, 3)) * (0.0001, 0.001, 0.01),
        vectors=np.zeros((N, 2)),
        answers=np.zeros((N, 3), dtype=np.int64),
        surface=np.zeros((N, 3, 1)),
    )


TABLE = table()


def cascade(share: float, *, knob: str) -> Run:
    """Ask the cheap model; of `share` of the queries the dear one too, whose answer then counts."""
    later = np.arange(N) < share * N
    costs = TABLE.costs[:, 0] + np.where(later, TABLE.costs[:, 2], 0.0)
    scores = np.where(later, TABLE.scores[:, 2], TABLE.scores[:, 0])
    return Run(
        knob=knob,
        scores=scores,
        costs=costs,
        confidences=np.where(later, 0.8, 0.55),
        calls=[("cheap", "dear") if each else ("cheap",) for each in later],
        sources=["dear" if each else "cheap" for each in later],
        tuned=(0.5 + 0.3 * share, 0.0001 + 0.01 * share),
    )


def alone(place: int) -> Run:
    return Run(knob="", scores=TABLE.scores[:, place], costs=TABLE.costs[:, place])


def system(name: str, role: Role, runs: Sequence[Run]) -> System:
    return System(name=name, role=role, runs=tuple(runs), source=f"{name} & sons")


RUNS = [cascade(share, knob=f"prefer={share}") for share in (0.0, 0.3, 0.6, 1.0)]


def benchmark(**changes: object) -> Benchmark:
    systems = [system(name, "single", [alone(n)]) for n, name in enumerate(MODELS)]
    systems += [
        system("emafusion", "ours", RUNS),
        system(HOSTILE, "baseline", [alone(1), alone(0)]),
        system("without_half", "ablation", RUNS[:2]),
    ]
    made = Benchmark(
        dataset=HOSTILE,
        table=TABLE,
        systems=tuple(systems),
        headline={"max_quality": RUNS[3], "parity": RUNS[2], "economy": RUNS[0]},
        run={"seed": 3, "commit": HOSTILE},
    )
    return msgspec.structs.replace(made, **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report")
    save(benchmark(), path)
    return path


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, dict[str, dict[str, object]]]:
    read: dict[str, dict[str, dict[str, object]]] = json.loads((folder / "report.json").read_text())
    return read


def test_the_schema_is_the_agreed_one(told: dict[str, dict[str, dict[str, object]]]) -> None:
    assert {
        "dataset",
        "n",
        "pool",
        "best_single",
        "oracle",
        "random",
        "systems",
        "headline",
    } <= set(told)
    assert {"model", "accuracy", "cost_usd"} <= set(told["best_single"])
    ours = told["systems"]["emafusion"]
    assert {"role", "points", "aiq", "ece"} <= set(ours)
    points = ours["points"]
    assert isinstance(points, list)
    assert {"knob", "accuracy", "cost_usd", "accuracy_ci95"} <= set(points[0])
    assert set(told["headline"]) == set(POINTS)


def test_every_figure_is_what_the_arrays_say(folder: Path) -> None:
    found = document.decode((folder / "report.json").read_bytes())
    assert found.best_single.model == "dear"
    assert found.best_single.accuracy == pytest.approx(TABLE.scores[:, 2].mean())
    assert found.oracle.accuracy == pytest.approx(TABLE.scores.max(axis=1).mean())
    cheapest = [
        min(TABLE.costs[n, m] for m in range(3) if TABLE.scores[n, m] == TABLE.scores[n].max())
        for n in range(N)
    ]
    assert found.oracle.cost_usd == pytest.approx(np.mean(cheapest))
    assert found.random.accuracy == pytest.approx(TABLE.scores.mean())
    assert found.pool.mean_cost_usd == pytest.approx(TABLE.costs.mean())
    ours, parity = found.systems["emafusion"], found.headline["parity"]
    reach = 2 * found.best_single.cost_usd
    assert ours.aiq == metrics.aiq([(run.cost_usd, run.accuracy) for run in RUNS], reach)
    assert [point.cost_usd for point in ours.points] == sorted(run.cost_usd for run in RUNS)
    assert ours.max_quality == "prefer=1.0"
    assert ours.ours_over is None
    assert parity.calls == pytest.approx(1.6)
    assert parity.escalated == pytest.approx(0.6)
    assert parity.cost_share == pytest.approx(RUNS[2].cost_usd / found.best_single.cost_usd)
    gap = RUNS[2].accuracy - found.best_single.accuracy
    assert parity.over_best_single.difference == pytest.approx(gap)
    assert parity.over_best_single.low <= gap <= parity.over_best_single.high


def test_points_are_picked_on_val_where_val_figures_are_known() -> None:
    worse = msgspec.structs.replace(RUNS[3], tuned=(0.1, 0.01))
    ours = system("emafusion", "ours", [*RUNS[:3], worse])
    assert document.max_quality(ours).knob == "prefer=0.6"
    untuned = system("x", "baseline", [alone(0), alone(2), alone(1)])
    assert document.max_quality(untuned).accuracy == TABLE.scores[:, 2].mean()


def test_the_bins_bear_out_the_ece(folder: Path) -> None:
    found = document.decode((folder / "report.json").read_bytes())
    for point in POINTS:
        bins = found.calibration[point]
        assert sum(each.n for each in bins) == N
        ece = sum(each.n * abs(each.accuracy - each.confidence) for each in bins) / N
        assert found.headline[point].ece == pytest.approx(ece)


def test_every_cut_of_the_spending_adds_up(folder: Path) -> None:
    found = document.decode((folder / "report.json").read_bytes())
    for point, spent in found.spending.items():
        assert spent.total.cost_usd == pytest.approx(found.headline[point].cost_usd)
        for cut in (spent.by_model, spent.by_role, spent.by_fate):
            assert sum(each.cost_usd for each in cut.values()) == pytest.approx(
                spent.total.cost_usd
            )
            assert sum(each.calls for each in cut.values()) == pytest.approx(spent.total.calls)
    parity = found.spending["parity"]
    assert parity.by_role["later"].calls == pytest.approx(0.6)
    assert parity.kept["cheap"].calls == pytest.approx(0.4)
    assert parity.by_fate["discarded"].calls == pytest.approx(0.6)


def test_tasks_partition_the_rows(folder: Path) -> None:
    found = document.decode((folder / "report.json").read_bytes())
    assert sum(task.n for task in found.tasks) == N
    whole = sum(task.n * task.points["parity"].accuracy for task in found.tasks) / N
    assert whole == pytest.approx(found.headline["parity"].accuracy)
    assert all(t.specialist_accuracy >= t.best_single.accuracy for t in found.tasks)


def test_examples_are_won_and_lost_against_the_best_single() -> None:
    economy = {**benchmark().headline, "max_quality": RUNS[0]}
    made = benchmark(headline=economy, prompts={"q000": "the prompt"})
    found = document.document(made, decisions.decide(made.headline, TABLE)).examples
    assert found.won_count == int((TABLE.scores[:, 0] > TABLE.scores[:, 2]).sum())
    assert found.lost_count == int((TABLE.scores[:, 0] < TABLE.scores[:, 2]).sum())
    assert len(found.won) == len(found.lost) == 10
    assert all(each.score > each.best_single_score for each in found.won)
    assert all(each.score < each.best_single_score for each in found.lost)
    shown = [each for each in (*found.won, *found.lost) if each.prompt is not None]
    assert all(each.query_id == "q000" for each in shown)


def test_the_same_benchmark_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    save(benchmark(), tmp_path)
    for name in ("report.json", "report.html", "decisions.parquet"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "decisions.parquet",
        "report.html",
        "report.json",
    ]


# Decisions


def test_decisions_on_disk_recompute_the_headline(folder: Path) -> None:
    made = decisions.read(folder / "decisions.parquet")
    found = document.decode((folder / "report.json").read_bytes())
    for point, figures in decisions.recompute(made, TABLE).items():
        assert figures.n == N
        assert figures.accuracy == pytest.approx(found.headline[point].accuracy)
        assert figures.cost_usd == pytest.approx(found.headline[point].cost_usd)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": 0.5}, "states score 0.5"),
        ({"cost_usd": 0.0}, "states cost_usd 0.0"),
        ({"answer_from": "middle"}, "answers from 'middle', which it never called"),
        ({"calls": ("cheap", "stranger")}, "calls 'stranger', which is not in the pool"),
        ({"query_id": "elsewhere"}, "the outcomes have no such query"),
        ({"query_id": "q000"}, "is there twice"),
    ],
)
def test_the_first_decision_that_does_not_add_up_is_named(
    change: dict[str, object], said: str
) -> None:
    made = list(decisions.decide(benchmark().headline, TABLE))
    made[5] = msgspec.structs.replace(made[5], **change)
    made[9] = msgspec.structs.replace(made[9], score=0.25)
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        decisions.recompute(made, TABLE)
    assert repr(made[5].query_id) in str(caught.value)


def test_a_missing_query_is_named() -> None:
    made = decisions.decide(benchmark().headline, TABLE)
    with pytest.raises(DataError, match="at 'economy' lack query 'q119'"):
        decisions.recompute(made[:-1], TABLE)


def test_an_outcome_that_was_never_recorded_agrees_with_nothing() -> None:
    scores = TABLE.scores.copy()
    scores[0, 0] = np.nan
    made = [
        Decision(
            point="p", query_id="q000", calls=("cheap",), answer_from="cheap", score=1, cost_usd=0
        )
    ]
    with pytest.raises(DataError, match="the outcomes give nan"):
        decisions.recompute(made, msgspec.structs.replace(TABLE, scores=scores))


def test_figures_that_do_not_follow_are_not_written(tmp_path: Path) -> None:
    rosy = msgspec.structs.replace(RUNS[2], scores=np.ones(N))
    headline = {**benchmark().headline, "parity": rosy}
    with pytest.raises(DataError, match="at 'parity' on query"):
        save(benchmark(headline=headline), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"headline": {"parity": RUNS[0]}}, "no point 'max_quality'"),
        ({"systems": benchmark().systems[:3] * 2}, "two systems are named 'cheap'"),
        ({"systems": benchmark().systems[3:]}, "role 'single'"),
        ({"headline": dict.fromkeys(POINTS, alone(1))}, "does not tell its calls"),
        ({"table": msgspec.structs.replace(TABLE, queries=())}, "has no rows"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        save(benchmark(**changes), tmp_path)


def test_a_run_of_other_rows_is_refused(tmp_path: Path) -> None:
    short = Run(knob="short", scores=np.ones(3), costs=np.ones(3))
    systems = (*benchmark().systems, system("odd", "baseline", [short]))
    with pytest.raises(DataError, match="'odd' at 'short' has 3 rows"):
        save(benchmark(systems=systems), tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write"):
        save(benchmark(), tmp_path / "file")


# The page and the plots


class Seen(HTMLParser):
    """The tags and attributes of a page, and its text outside style sheets."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def seen(folder: Path) -> Seen:
    parser = Seen()
    parser.feed((folder / "report.html").read_text(encoding="utf-8"))
    return parser


def test_texts_are_escaped_everywhere(seen: Seen) -> None:
    assert "script" not in seen.tags
    assert seen.text.count(HOSTILE) >= 4


def test_the_page_needs_nothing_else(seen: Seen) -> None:
    assert not {"link", "img", "iframe", "object"} & set(seen.tags)
    loading = [value for name, value in seen.attributes if name in {"src", "href", "xlink:href"}]
    assert loading
    assert all(value.startswith("#") for value in loading)


def test_ids_are_unique_and_lead_somewhere(seen: Seen) -> None:
    ids = [value for name, value in seen.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value[1:] for name, value in seen.attributes if name == "xlink:href"}
    clips = " ".join(value for name, value in seen.attributes if name == "clip-path")
    used |= set(re.findall(r"url\(#([^)]+)\)", clips))
    assert used <= set(ids)


def test_no_stand_in_colour_is_left(folder: Path) -> None:
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "#0f0e" not in html
    assert "var(--ours)" in html
    assert "prefers-color-scheme:dark" in html


def test_prompts_show_only_when_given(seen: Seen) -> None:
    assert "details" not in seen.tags
    prompts = dict.fromkeys(TABLE.queries, HOSTILE)
    made = benchmark(prompts=prompts, headline=dict.fromkeys(POINTS, RUNS[0]))
    html = page.render(document.document(made, decisions.decide(made.headline, TABLE)))
    assert "<details>" in html
    assert HOSTILE not in html


def test_the_page_is_the_same_from_the_file(folder: Path) -> None:
    found = document.decode((folder / "report.json").read_bytes())
    assert page.render(found) == (folder / "report.html").read_text(encoding="utf-8")


def test_the_plot_alone_follows_the_readers_colours(folder: Path, tmp_path: Path) -> None:
    found = document.decode((folder / "report.json").read_bytes())
    plots.save_plot(found, tmp_path / "pareto.svg")
    svg = (tmp_path / "pareto.svg").read_text(encoding="utf-8")
    assert svg.startswith("<?xml")
    assert "prefers-color-scheme:dark" in svg
    assert ">emafusion<" in svg
    with pytest.raises(StoreError, match="cannot write"):
        plots.save_plot(found, tmp_path / "absent" / "pareto.svg")


def test_free_models_are_drawn_and_reported_too(tmp_path: Path) -> None:
    free = msgspec.structs.replace(TABLE, costs=np.zeros((N, 3)))
    runs = [msgspec.structs.replace(run, costs=np.zeros(N)) for run in RUNS]
    systems = [
        system(name, "single", [msgspec.structs.replace(alone(n), costs=np.zeros(N))])
        for n, name in enumerate(MODELS)
    ]
    made = Benchmark(
        dataset="free",
        table=free,
        systems=(*systems, system("emafusion", "ours", runs)),
        headline=dict(zip(POINTS, runs, strict=False)),
    )
    found = save(made, tmp_path)
    assert found.systems["emafusion"].aiq is None
    assert found.headline["parity"].cost_share is None


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0.001, 0.2))
def test_names_never_overlap_nor_leave_the_frame(wished: list[float], gap: float) -> None:
    places = plots.spread(sorted(wished), gap)
    room = min(gap, 1 / max(len(wished), 1))
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    assert all(b - a >= room - 1e-9 for a, b in pairwise(places))


def test_names_stay_where_there_is_room() -> None:
    assert plots.spread([0.1, 0.5, 0.9], 0.05) == pytest.approx([0.1, 0.5, 0.9])
    assert plots.spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
