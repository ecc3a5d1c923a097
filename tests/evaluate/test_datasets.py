"""Foreign benchmarks' files, generated here in their published shape, read as our tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from emafusion.errors import DataError, StoreError
from emafusion.evaluate import recorded
from emafusion.evaluate.datasets import llmrouterbench, routerbench, tables
from emafusion.evaluate.datasets.detect import detect, interchange
from emafusion.evaluate.datasets.prices import fitted

MODELS = ("org/small-7b", "large-1106")


def wide_row(
    sample: str, prompt: str, *, task: str = "mmlu-law", score: float = 1.0
) -> dict[str, object]:
    row: dict[str, object] = {"sample_id": sample, "prompt": repr([prompt]), "eval_name": task}
    for place, model in enumerate(MODELS):
        row[model] = score if place else 0.0
        row[f"{model}|model_response"] = repr([f"It is\n{place}, surely."])
        row[f"{model}|total_cost"] = 0.0001 * (1 + 9 * place)
    row["oracle_model_to_route_to"] = MODELS[1]
    return row


ROWS = [
    wide_row("mmlu-law.val.1", "Is a contract,\nsigned in jest, binding?"),
    wide_row("mmlu-physics.val.1", "What falls faster?", task="mmlu-physics", score=0.25),
    wide_row("grade-school-math.val.7", "2 + 2 = ?", task="grade-school-math"),
]


def write_csv(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path: Path, rows: list[dict[str, object]]) -> Path:
    parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture(params=["csv", "parquet"])
def wide(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write = write_csv if request.param == "csv" else write_parquet
    return write(tmp_path / f"routerbench_0shot.{request.param}", ROWS)


def test_routerbench_becomes_queries_and_replies(wide: Path) -> None:
    found = routerbench.read(wide)
    assert [q.prompt for q in found.queries] == [
        "Is a contract,\nsigned in jest, binding?",
        "What falls faster?",
        "2 + 2 = ?",
    ]
    assert found.models == tuple(sorted(MODELS))
    assert len(found.replies) == 6
    physics = next(r for r in found.replies if "physics" in r.query_id and r.model == MODELS[1])
    assert (physics.score, physics.cost_usd) == (0.25, 0.001)
    assert physics.response == "It is\n1, surely."
    assert physics.answer is None


def test_routerbench_names_a_task_by_what_its_evaluations_share(wide: Path) -> None:
    tasks = {q.subtask: q.task for q in routerbench.read(wide).queries}
    assert tasks == {
        "mmlu-law": "mmlu",
        "mmlu-physics": "mmlu",
        "grade-school-math": "grade-school-math",
    }


def test_what_is_written_is_what_the_benchmark_reads(wide: Path, tmp_path: Path) -> None:
    folder = interchange(wide, tmp_path / "out")
    read = recorded.read(folder)
    assert read.models == tuple(sorted(MODELS))
    assert read.scores.tolist() == [[1.0, 0.0], [0.25, 0.0], [1.0, 0.0]]
    assert read.costs.tolist() == [[0.001, 0.0001]] * 3
    assert interchange(folder, tmp_path / "not made") == folder
    assert not (tmp_path / "not made").exists()


def test_a_model_without_a_score_did_not_reply(tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    rows[0][MODELS[0]] = None
    rows[1][f"{MODELS[1]}|total_cost"] = float("nan")
    for path in (write_csv(tmp_path / "a.csv", rows), write_parquet(tmp_path / "a.parquet", rows)):
        asked = {(r.query_id, r.model) for r in routerbench.read(path).replies}
        assert ("mmlu-law.val.1", MODELS[0]) not in asked
        assert ("mmlu-physics.val.1", MODELS[1]) not in asked
        assert len(asked) == 4


def test_equal_ids_of_different_prompts_stay_apart(tmp_path: Path) -> None:
    again = [wide_row("one", "first"), wide_row("one", "second"), wide_row("one", "first")]
    found = routerbench.read(write_csv(tmp_path / "a.csv", again))
    names = [q.query_id for q in found.queries]
    assert names[0] == "one"
    assert names[1].startswith("one~")
    assert len(names) == 2


@pytest.mark.parametrize(
    ("cell", "value", "said"),
    [
        (MODELS[1], 7.0, "between 0 and 1"),
        (MODELS[1], "good", "not a number"),
        (f"{MODELS[0]}|total_cost", -1.0, "amount of 0 or more"),
        ("prompt", "", "no prompt"),
    ],
)
def test_a_bad_cell_is_named(tmp_path: Path, cell: str, value: object, said: str) -> None:
    rows = [ROWS[0], {**ROWS[1], cell: value}]
    with pytest.raises(DataError, match=said) as caught:
        routerbench.read(write_csv(tmp_path / "a.csv", rows))
    assert "row 2" in str(caught.value)
    assert "mmlu-physics.val.1" in str(caught.value)


def test_a_pickle_is_refused_unopened_with_the_way_out(tmp_path: Path) -> None:
    trap = tmp_path / "routerbench_0shot.pkl"
    trap.write_bytes(b"cos\nsystem\n(S'touch opened'\ntR.")
    assert detect(trap) == "routerbench"
    with pytest.raises(DataError, match="to open a pickle is to run it") as caught:
        routerbench.read(trap)
    assert "read_pickle" in str(caught.value)
    assert "routerbench_0shot.csv" in str(caught.value)
    assert not (tmp_path / "opened").exists()


def test_a_printed_list_is_unwrapped_and_anything_else_left() -> None:
    assert routerbench.text("['a', 'b']") == "a\n\nb"
    assert routerbench.text("[1, 2]") == "[1, 2]"
    assert routerbench.text("[sic] plain]") == "[sic] plain]"
    assert routerbench.text(None) == ""


# LLMRouterBench


def record(index: int, **fields: object) -> dict[str, object]:
    return {
        "index": index,
        "origin_query": f"What is {index} + {index}?",
        "prompt": f"Question: What is {index} + {index}?\nAnswer:",
        "prompt_tokens": 20 + index,
        "completion_tokens": 5 * index,
        "cost": ((20 + index) * 3 + 5 * index * 15) / 1e6,
        "score": 1.0,
        "prediction": str(2 * index),
        "ground_truth": str(2 * index),
        "raw_output": f"It is {2 * index}.",
        "extra_fields": {"ignored": [1]},
        **fields,
    }


def results(
    root: Path,
    model: str,
    records: list[dict[str, object]],
    *,
    stamp: str = "20251001_120000",
    **fields: object,
) -> Path:
    folder = root / "bench" / "sums" / "test" / model
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"sums-test-{model}-{stamp}.json"
    head = {"performance": 1.0, "counts": len(records), "dataset_name": "sums", "split": "test"}
    told = {**head, "model_name": model, "demo": False, **fields, "records": records}
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def test_llmrouterbench_becomes_queries_and_replies(tmp_path: Path) -> None:
    results(tmp_path, "alpha", [record(1), record(2)])
    results(tmp_path, "beta", [record(1, score=0, prediction=["x"]), record(2, score=None)])
    found = llmrouterbench.read(tmp_path)
    assert [q.query_id for q in found.queries] == ["sums/test/1", "sums/test/2"]
    assert found.queries[0].reference == "2"
    assert found.queries[0].prompt.startswith("Question:")
    by = {(r.query_id, r.model): r for r in found.replies}
    assert by["sums/test/1", "beta"].answer == '["x"]'
    assert by["sums/test/2", "beta"].score == 0.0
    assert by["sums/test/2", "alpha"].response == "It is 4."
    assert detect(tmp_path) == "llmrouterbench"
    read = recorded.read(interchange(tmp_path, tmp_path / "out"))
    assert read.scores.tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_the_newest_run_counts_and_demo_runs_do_not(tmp_path: Path) -> None:
    results(tmp_path, "alpha", [record(1, score=0.0)], stamp="20250101_000000")
    results(tmp_path, "alpha", [record(1, score=0.5)], stamp="20250301_000000")
    results(tmp_path, "alpha", [record(1, score=1.0)], stamp="20250901_000000", demo=True)
    assert [reply.score for reply in llmrouterbench.read(tmp_path).replies] == [0.5]


def test_a_failed_call_says_nothing(tmp_path: Path) -> None:
    failed = {"score": None, "completion_tokens": 0, "prompt_tokens": 0, "cost": 0.0}
    told = record(1, **failed, prediction="", raw_output="Processing failed: quota")
    results(tmp_path, "alpha", [told])
    results(tmp_path, "beta", [record(1)])
    alpha = next(r for r in llmrouterbench.read(tmp_path).replies if r.model == "alpha")
    assert (alpha.score, alpha.answer, alpha.response) == (0.0, None, "")


def test_what_nobody_scored_is_left_out(tmp_path: Path) -> None:
    results(tmp_path, "alpha", [record(1, score=None), record(2)])
    assert [q.query_id for q in llmrouterbench.read(tmp_path).queries] == ["sums/test/2"]


def test_one_number_for_two_questions_keeps_their_scores_apart(tmp_path: Path) -> None:
    results(tmp_path, "alpha", [record(1)])
    results(tmp_path, "beta", [record(1, origin_query="Another?", prompt="Another?")])
    found = llmrouterbench.read(tmp_path)
    assert len(found.queries) == 2
    assert len({reply.query_id for reply in found.replies}) == 2


def test_bad_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no scored results"):
        llmrouterbench.read(tmp_path)
    path = results(tmp_path, "alpha", [record(3, score=3.0)])
    with pytest.raises(DataError, match=r"record 3: the score is 3\.0"):
        llmrouterbench.read(tmp_path)
    path.write_text("{}")
    with pytest.raises(DataError, match="is not a results file"):
        llmrouterbench.read(tmp_path)


def test_prices_are_read_back_from_the_costs(tmp_path: Path) -> None:
    results(tmp_path, "alpha", [record(1), record(2), record(5)])
    price = fitted(llmrouterbench.read(tmp_path))["alpha"]
    assert price is not None
    assert price.inward == pytest.approx(3.0)
    assert price.outward == pytest.approx(15.0)


def test_a_price_is_never_negative() -> None:
    replies = tuple(
        tables.Reply(
            query_id=str(n),
            model="m",
            score=1.0,
            cost_usd=(2 * n - 5) * 1e-6,
            prompt_tokens=10 - n,
            completion_tokens=n,
        )
        for n in range(3, 10)
    )
    price = fitted(tables.Tables(queries=(), replies=replies))["m"]
    assert price is not None
    assert price.inward == 0.0
    squares = sum(n * n for n in range(3, 10))
    assert price.outward == pytest.approx(sum(n * (2 * n - 5) for n in range(3, 10)) / squares)


# What is common to both


def test_detect_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for name in ("notes.txt", "other.csv", ""):
        with pytest.raises(DataError, match="is not an interchange folder"):
            detect(tmp_path / name)
    with pytest.raises(DataError, match="nothing at"):
        detect(tmp_path / "absent")


@given(st.text(), st.sampled_from(["upper", "spaces", "same"]))
def test_equal_prompts_never_straddle_splits(prompt: str, how: str) -> None:
    other = {"upper": prompt.casefold(), "spaces": f"  {prompt}\n\t", "same": prompt}[how]
    assert tables.split_of(prompt) == tables.split_of(other)


def test_splits_have_their_shares() -> None:
    splits = [tables.split_of(f"question {n}") for n in range(4000)]
    assert splits.count("train") / 4000 == pytest.approx(0.6, abs=0.03)
    assert splits.count("val") / 4000 == pytest.approx(0.1, abs=0.02)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    results(tmp_path, "alpha", [record(1)])
    with pytest.raises(StoreError, match="cannot write"):
        tables.write(tmp_path / "file", llmrouterbench.read(tmp_path))
