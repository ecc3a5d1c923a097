from __future__ import annotations

import json
from pathlib import Path

import pytest

from emafusion.errors import DataError, StoreError
from emafusion.evaluate import Grader
from emafusion.learn.synthesise import synthesise

parquet = pytest.importorskip("pyarrow.parquet")


def test_the_table_has_the_interchange_columns_and_marks_replies(tmp_path: Path) -> None:
    synthesis = synthesise(120, seed=2)
    path = synthesis.write(tmp_path / "made")
    table = parquet.read_table(path)
    assert set(table.column_names) == {
        "query_id", "task", "subtask", "prompt", "reference", "split", "grader", "labels",
        "phrasing", "difficulty", "provenance",
    }  # fmt: skip
    rows = table.to_pylist()
    assert len({row["query_id"] for row in rows}) == len(rows) == 120
    splits = [row["split"] for row in rows]
    assert [splits.count(split) for split in ("train", "val", "test")] == [78, 18, 24]
    for row in rows[:40]:
        assert json.loads(row["labels"])["task"] == row["task"]
        if row["subtask"] != "code_writing":
            assert Grader.from_json(row["grader"]).grade(row["reference"], row["reference"]) == 1.0


def test_coverage_counts_every_question_on_every_axis() -> None:
    synthesis = synthesise(200, seed=1)
    coverage = synthesis.coverage()
    assert set(coverage) == {"task", "complexity", "domain", "format"}
    assert all(sum(counts.values()) == 200 for counts in coverage.values())
    assert synthesis.missing({"format": ["number", "long_context"]}) == {"format": ["long_context"]}


def test_an_older_table_survives_a_failed_write(tmp_path: Path) -> None:
    (tmp_path / "queries.parquet").mkdir()
    with pytest.raises(StoreError, match=r"queries\.parquet"):
        synthesise(60, seed=1).write(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_shares_must_add_up() -> None:
    with pytest.raises(DataError, match="shares"):
        synthesise(10, seed=1, shares={"train": 0.5, "test": 0.4})
    with pytest.raises(DataError):
        synthesise(2, seed=1)
    only = synthesise(10, seed=1, shares={"test": 1.0})
    assert [len(part) for part in only.questions.values()] == [10]
    assert all(question.held_out for question in only.questions["test"])
