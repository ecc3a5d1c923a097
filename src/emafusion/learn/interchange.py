"""A journal of answers, marked and written as the interchange folder of recorded outcomes.

It knows the folder's files and columns, and which grader reads which kind of answer. It does not
know how the answers were had. Marks are given here, not when the answer came: a corrected grader
or reference then corrects the marks of answers that are already paid for.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from emafusion.answers.extraction import canonical
from emafusion.answers.kinds import Kind
from emafusion.errors import DataError, MissingExtraError
from emafusion.evaluate import files
from emafusion.evaluate.questions import Question
from emafusion.learn.journal import FILE, Answered, Cell, Journal, Posed, Priced, Row, Split

if TYPE_CHECKING:
    import pyarrow as pa

VAL_SHARE: Final = 5
"""One question in this many, of those not held out, serves to tune."""

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "number": "number",
        "choice": "choice",
        "exact": "text",
        "json": "json",
        "date": "date",
        "literal": "literal",
        "code": "code",
    }
)
"""The kind of answer that each type of grader reads; the others read the whole reply."""


class Marked(Struct, frozen=True, kw_only=True):
    """A reply and its mark in [0, 1]; NaN where only judges can tell."""

    reply: Answered
    score: float


class Recorded:
    """What a journal amounts to: its questions, its models' prices, and one reply per cell."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.questions: dict[str, Question] = {}
        self.splits: dict[str, Split] = {}
        self.prices: dict[str, Priced] = {}
        self.replies: dict[Cell, Answered] = {}
        for row in rows:
            if isinstance(row, Posed):
                self.questions[row.query_id] = Question.from_json(bytes(row.question).decode())
                self.splits[row.query_id] = row.split
            elif isinstance(row, Priced):
                self.prices[row.model] = row
            elif isinstance(row, Answered):
                self.replies.setdefault(row.cell, row)

    def marked(self) -> list[Marked]:
        """Every reply with its mark, in the questions' and then the models' order."""
        places = {name: place for place, name in enumerate(self.questions)}
        models = {name: place for place, name in enumerate(self.prices)}
        ordered = sorted(
            self.replies.values(),
            key=lambda row: (places[row.query_id], models[row.model], row.sample),
        )
        return [Marked(reply=row, score=self.mark(row)) for row in ordered]

    def mark(self, reply: Answered) -> float:
        """The mark of `reply`, NaN where only judges can tell; white space alone earns none."""
        return self.questions[reply.query_id].grade(reply.text) if reply.text.strip() else 0.0


SAFE = "the answers are safe in the journal, free some space and run this again"


def split_of(question: Question) -> Split:
    """A split for a question that was given none: held-out wordings test, the hash decides."""
    if question.held_out:
        return "test"
    return "val" if int(question.id, 16) % VAL_SHARE == 0 else "train"


def require_pyarrow() -> None:
    """Raise :class:`MissingExtraError` now rather than after the money is spent."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("pyarrow", "learn") from error


def write(folder: Path, recorded: Recorded) -> Sequence[Marked]:
    """Write `recorded` to `folder` in the interchange format; returns the marked replies.

    Each file is replaced at once or not at all, and queries go first, so a reader never meets an
    outcome without its query. Costs are US dollars, latencies seconds.

    Raises
    ------
    StoreError
        A file could not be written.
    """
    marked = recorded.marked()
    asked = {row.reply.query_id for row in marked}
    questions = [question for name, question in recorded.questions.items() if name in asked]
    files.write(
        folder / "queries.parquet", files.parquet(_queries(questions, recorded.splits)), remedy=SAFE
    )
    files.write(
        folder / "outcomes.parquet",
        files.parquet(_outcomes(marked, recorded.questions)),
        remedy=SAFE,
    )
    files.write(folder / "responses.parquet", files.parquet(_responses(marked)), remedy=SAFE)
    files.write(folder / "models.csv", _models(recorded.prices.values()), remedy=SAFE)
    return marked


def read_questions(folder: Path) -> dict[Split, list[Question]]:
    """The questions in `folder`'s ``queries.parquet``, by split, those its journal has included.

    Raises
    ------
    DataError
        There are none, or one is malformed or has no grader; the message names it.
    MissingExtraError
        pyarrow is not installed.
    """
    require_pyarrow()
    path = folder / "queries.parquet"
    found: dict[str, tuple[Question, Split]] = {}
    for row in _rows(path) if path.exists() else ():
        question, split = _question(row, path)
        found[question.id] = (question, split)
    if (folder / FILE).exists():
        with Journal(folder) as journal:
            posed = Recorded(journal.rows())
        for name, question in posed.questions.items():
            found.setdefault(name, (question, posed.splits[name]))
    if not found:
        raise DataError(f"{str(folder)!r} has no questions; `emafusion synthesise` writes some")
    by_split: dict[Split, list[Question]] = {}
    for question, split in found.values():
        by_split.setdefault(split, []).append(question)
    return by_split


def _rows(path: Path) -> list[dict[str, object]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        rows: list[dict[str, object]] = parquet.read_table(path).to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"cannot read {str(path)!r}: {error}") from error
    return rows


def _question(row: Mapping[str, object], path: Path) -> tuple[Question, Split]:
    split = row.get("split")
    where = f"{str(path)!r}, query {row.get('query_id')!r}"
    if split not in ("train", "val", "test"):
        raise DataError(f"{where}: its split is {split!r}; it must be train, val or test")
    fields = {
        "prompt": row.get("prompt"),
        "reference": row.get("reference"),
        "grader": _json(row.get("grader"), f"{where}: its grader"),
        "labels": _json(row.get("labels"), f"{where}: its labels"),
        "family": row.get("subtask") or "",
        "phrasing": row.get("phrasing") or 0,
        "held_out": split == "test",
        "difficulty": row.get("difficulty") or 2,
        "provenance": _json(row.get("provenance") or "{}", f"{where}: its provenance"),
    }
    try:
        return Question.from_json(json.dumps(fields)), split
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _json(text: object, what: str) -> object:
    try:
        return json.loads(str(text))
    except ValueError as error:
        raise DataError(f"{what} is {text!r}, which is not JSON") from error


def _queries(questions: Sequence[Question], splits: Mapping[str, Split]) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "query_id": pa.array([q.id for q in questions], pa.string()),
            "task": pa.array([q.labels["task"] for q in questions], pa.string()),
            "subtask": pa.array([q.family for q in questions], pa.string()),
            "prompt": pa.array([q.prompt for q in questions], pa.string()),
            "reference": pa.array([q.reference for q in questions], pa.string()),
            "split": pa.array([splits[q.id] for q in questions], pa.string()),
            "grader": pa.array([q.grader.to_json() for q in questions], pa.string()),
            "labels": pa.array([json.dumps(dict(q.labels)) for q in questions], pa.string()),
            "phrasing": pa.array([q.phrasing for q in questions], pa.int64()),
            "difficulty": pa.array([q.difficulty for q in questions], pa.int64()),
            "provenance": pa.array([provenance(q) for q in questions], pa.string()),
        }
    )


def provenance(question: Question) -> str | None:
    """Where `question` comes from, as one line of JSON; ``None`` where nothing is known of it."""
    if not question.provenance:
        return None
    return json.dumps(dict(question.provenance), sort_keys=True, ensure_ascii=False)


def _outcomes(marked: Sequence[Marked], questions: Mapping[str, Question]) -> pa.Table:
    import pyarrow as pa

    replies = [row.reply for row in marked]
    answers = [_answer(reply.text, questions[reply.query_id]) for reply in replies]
    return pa.table(
        {
            "query_id": pa.array([r.query_id for r in replies], pa.string()),
            "model": pa.array([r.model for r in replies], pa.string()),
            "sample": pa.array([r.sample for r in replies], pa.int64()),
            "score": pa.array(
                [None if math.isnan(row.score) else row.score for row in marked], pa.float64()
            ),
            "answer": pa.array(answers, pa.string()),
            "cost_usd": pa.array([r.cost_usd for r in replies], pa.float64()),
            "prompt_tokens": pa.array([r.prompt_tokens for r in replies], pa.int64()),
            "completion_tokens": pa.array([r.completion_tokens for r in replies], pa.int64()),
            "latency_s": pa.array([r.latency_s for r in replies], pa.float64()),
            "mean_logprob": pa.array([r.mean_logprob for r in replies], pa.float64()),
            "min_logprob": pa.array([r.min_logprob for r in replies], pa.float64()),
            "finish_reason": pa.array([r.finish_reason for r in replies], pa.string()),
        }
    )


def _responses(marked: Sequence[Marked]) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "query_id": pa.array([row.reply.query_id for row in marked], pa.string()),
            "model": pa.array([row.reply.model for row in marked], pa.string()),
            "sample": pa.array([row.reply.sample for row in marked], pa.int64()),
            "response": pa.array([row.reply.text for row in marked], pa.string()),
        }
    )


def _models(prices: Iterable[Priced]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("model", "usd_per_mtok_in", "usd_per_mtok_out"))
    writer.writerows((row.model, row.usd_per_mtok_in, row.usd_per_mtok_out) for row in prices)
    return text.getvalue().encode()


def _answer(text: str, question: Question) -> str | None:
    """The answer in `text` in its canonical form, where the grader reads a kind of answer."""
    kind = KINDS.get(question.grader.type)
    return None if kind is None else canonical(text, kind)
