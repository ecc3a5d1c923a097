"""Recorded decisions as a folder of outcomes: what was asked and answered becomes what is learnt.

Knows what of a decision teaches: drafts of whole prompts, their costs, and what callers said of
the answers. It does not know how a fit reads it. Labels of its own it gives none: drafts that
nobody scored stay unscored, and consensus may label them.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from emafusion.evaluate import files
from emafusion.types import Feedback, Model, Outcome, Step

if TYPE_CHECKING:
    import pyarrow as pa

PAGE: Final = 500
SHARES: Final = (("train", 0.7), ("val", 0.85), ("test", 1.0))
"""Where each split ends, on prompts' hashes: a prompt asked again stays in its split."""
REMEDY: Final = "free some space and run this again; the record itself is untouched"


class Diary(Protocol):
    """Where decisions and feedback are read from, in the order they came."""

    async def recorded(self, after: int = 0, limit: int = PAGE) -> Sequence[tuple[int, Outcome]]:
        """Decisions, numbered; only those after the number `after`."""
        ...

    async def noted(self, after: int = 0, limit: int = PAGE) -> Sequence[tuple[int, Feedback]]:
        """Feedback, numbered; only what came after the number `after`."""
        ...


class Exported(Struct, frozen=True, kw_only=True):
    """How much was written: prompts, drafts, drafts that callers scored, and decisions passed over.

    Passed over are decisions that failed, that kept no content, and composite prompts.
    """

    prompts: int
    drafts: int
    scored: int
    passed_over: int


class _Row(Struct, kw_only=True):
    """One model's draft of one prompt."""

    prompt: str
    task: str
    step: Step
    scores: list[float]


async def export(diary: Diary, folder: Path, models: Sequence[Model]) -> Exported:
    """Write the decisions of `diary` to `folder` in the interchange format (DESIGN §5).

    Equal prompts are one query; of a model's drafts of it the last one counts, with the mean of
    all opinions on that very text. `models` give the prices.

    Raises
    ------
    StoreError
        The record cannot be read, or a table not be written.
    MissingExtraError
        pyarrow is not installed.
    """
    opinions = await _opinions(diary)
    rows: dict[tuple[str, str], _Row] = {}
    passed_over = 0
    async for outcome in _decisions(diary):
        if not _teaches(outcome):
            passed_over += 1
            continue
        for step in outcome.steps:
            if step.purpose == "draft" and step.error is None and step.part is None:
                _keep(rows, outcome, step, said=opinions.get(outcome.decision_id, ()))
    _write(folder, rows, models)
    return Exported(
        prompts=len({query for query, _ in rows}),
        drafts=len(rows),
        scored=sum(bool(row.scores) for row in rows.values()),
        passed_over=passed_over,
    )


def _keep(
    rows: dict[tuple[str, str], _Row], outcome: Outcome, step: Step, *, said: Sequence[float]
) -> None:
    """Put a draft in its place; opinions are of the answer, and of drafts with its very text."""
    key = (_query(outcome.prompt), step.model)
    given = list(said) if step.text == outcome.text else []
    known = rows.get(key)
    if known is not None and known.step.text == step.text:
        given = [*known.scores, *given]
    task = outcome.labels.top("task") if "task" in outcome.labels.axes else ""
    rows[key] = _Row(prompt=outcome.prompt, task=task, step=step, scores=given)


def _teaches(outcome: Outcome) -> bool:
    return bool(outcome.prompt) and outcome.error is None and not outcome.parts


def _query(prompt: str) -> str:
    return hashlib.sha256(prompt.encode("utf-8", "replace")).hexdigest()[:24]


def _split(query: str) -> str:
    share = int(query[:8], 16) / 2.0**32
    return next(name for name, end in SHARES if share < end)


async def _decisions(diary: Diary) -> AsyncIterator[Outcome]:
    last = 0
    while page := await diary.recorded(last, PAGE):
        for _, outcome in page:
            yield outcome
        last = page[-1][0]


async def _opinions(diary: Diary) -> Mapping[str, Sequence[float]]:
    """What callers said, by decision."""
    found: dict[str, list[float]] = {}
    last = 0
    while page := await diary.noted(last, PAGE):
        for _, one in page:
            found.setdefault(one.decision_id, []).append(one.score)
        last = page[-1][0]
    return found


def _write(folder: Path, rows: Mapping[tuple[str, str], _Row], models: Sequence[Model]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    prompts = {query: row for (query, _), row in rows.items()}
    files.write(folder / "queries.parquet", files.parquet(_queries(prompts)), remedy=REMEDY)
    files.write(folder / "outcomes.parquet", files.parquet(_outcomes(rows)), remedy=REMEDY)
    files.write(folder / "responses.parquet", files.parquet(_responses(rows)), remedy=REMEDY)
    files.write(folder / "models.csv", _prices(models), remedy=REMEDY)


def _queries(prompts: Mapping[str, _Row]) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "query_id": pa.array(list(prompts), pa.string()),
            "task": pa.array([row.task for row in prompts.values()], pa.string()),
            "subtask": pa.array(["traffic"] * len(prompts), pa.string()),
            "prompt": pa.array([row.prompt for row in prompts.values()], pa.string()),
            "reference": pa.array([None] * len(prompts), pa.string()),
            "split": pa.array([_split(query) for query in prompts], pa.string()),
        }
    )


def _outcomes(rows: Mapping[tuple[str, str], _Row]) -> pa.Table:
    import pyarrow as pa

    found = list(rows.values())
    scores = [sum(row.scores) / len(row.scores) if row.scores else None for row in found]
    return pa.table(
        {
            "query_id": pa.array([query for query, _ in rows], pa.string()),
            "model": pa.array([model for _, model in rows], pa.string()),
            "score": pa.array(scores, pa.float64()),
            "cost_usd": pa.array([row.step.cost_usd for row in found], pa.float64()),
            "prompt_tokens": pa.array([row.step.usage.prompt_tokens for row in found], pa.int64()),
            "completion_tokens": pa.array(
                [row.step.usage.completion_tokens for row in found], pa.int64()
            ),
            "latency_s": pa.array([row.step.latency_s for row in found], pa.float64()),
            "finish_reason": pa.array([row.step.finish_reason for row in found], pa.string()),
        }
    )


def _responses(rows: Mapping[tuple[str, str], _Row]) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "query_id": pa.array([query for query, _ in rows], pa.string()),
            "model": pa.array([model for _, model in rows], pa.string()),
            "response": pa.array([row.step.text for row in rows.values()], pa.string()),
        }
    )


def _prices(models: Iterable[Model]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("model", "usd_per_mtok_in", "usd_per_mtok_out"))
    writer.writerows((one.name, one.usd_per_mtok_in, one.usd_per_mtok_out) for one in models)
    return text.getvalue().encode()
