"""Recorded decisions as a folder of outcomes: what was asked and answered becomes what is learnt.

Knows what of a decision teaches: drafts of whole prompts, their costs, and what those who asked
said of the answers, as far as their word counts. It does not know how a fit reads it. Labels of its
own it gives none: drafts that nobody scored stay unscored, and consensus may label them.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from msgspec import Struct

from emafusion.evaluate import files
from emafusion.learn.online import Ballot, Ballots
from emafusion.types import Feedback, Labels, Model, Outcome, Step

if TYPE_CHECKING:
    import pyarrow as pa

PAGE: Final = 500
FIRST_PAGE: Final = 8
HEAVY_PAGE: Final = 4_000_000
"""Characters beyond which the next page of decisions has fewer, and a group of rows ends."""
DAY_S: Final = 86_400.0
LIGHTEST: Final = 0.1
"""Opinions that weigh less together score nothing: a caller's first 22 on a model each day do."""
SHARES: Final = (("train", 0.7), ("val", 0.85), ("test", 1.0))
"""Where each split ends, on prompts' hashes: a prompt asked again stays in its split."""
Span: TypeAlias = tuple[float, float]
"""From when on and until when, seconds since 1970."""
ReadAll: TypeAlias = Callable[[Sequence[str]], Sequence[Labels]]
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


class Answer(Struct, frozen=True, kw_only=True):
    """What an opinion of a decision is held against: whose it is, and what was answered by whom."""

    query: str
    text: str  # its digest
    model: str
    caller: str
    expected: float


class _Table(Struct, frozen=True, kw_only=True):
    """What decisions teach: prompts and their tasks, each model's last draft, and the answers."""

    prompts: dict[str, tuple[str, str]]
    drafts: dict[tuple[str, str], Step]
    answers: dict[str, Answer]
    passed_over: int

    def scores(self, opinions: Mapping[tuple[str, str], float]) -> list[float | None]:
        """Of each draft, what was said of its very text."""
        return [
            opinions.get((query, _digest(step.text))) for (query, _), step in self.drafts.items()
        ]


async def export(
    diary: Diary,
    folder: Path,
    models: Sequence[Model],
    *,
    stale: Mapping[str, Sequence[Span]] | None = None,
    classifier: ReadAll | None = None,
) -> Exported:
    """Write the decisions of `diary` to `folder` in the interchange format (DESIGN §5).

    Equal prompts are one query; of a model's drafts of it the last one counts, with the mean of
    all opinions on that very text. Opinions are weighed as :class:`Ballots` does while serving:
    those of who asked, a caller's next ones ever less, afresh each day. Where they weigh less than
    :data:`LIGHTEST` together the draft stays unscored. `models` give the prices. What a model of
    `stale` answered in one of these spans of time (seconds since 1970) is left out: it was not what
    it is now. `classifier` reads the prompts whose labels nobody needed: their model was named.

    Raises
    ------
    StoreError
        The record cannot be read, or a table not be written.
    MissingExtraError
        pyarrow is not installed.
    """
    table = await _read(diary, stale or {})
    scores = table.scores(await opinions(diary, table.answers))
    if classifier is not None:
        _label(table.prompts, classifier)
    _write(folder, table, scores=scores, models=models)
    return Exported(
        prompts=len(table.prompts),
        drafts=len(table.drafts),
        scored=sum(score is not None for score in scores),
        passed_over=table.passed_over,
    )


async def _read(diary: Diary, stale: Mapping[str, Sequence[Span]]) -> _Table:
    """What teaches of all decisions; of the rest nothing is kept, for records are long."""
    prompts: dict[str, tuple[str, str]] = {}
    drafts: dict[tuple[str, str], Step] = {}
    answers: dict[str, Answer] = {}
    passed_over = 0
    async for outcome in decisions(diary):
        if not teaches(outcome):
            passed_over += 1
            continue
        query = _digest(outcome.prompt)
        answers[outcome.decision_id] = answered(outcome)
        for step in outcome.steps:
            if _tells(step) and not within(outcome.created, stale.get(step.model, ())):
                known = prompts.get(query, ("", ""))[1]
                prompts[query] = (outcome.prompt, _task(outcome.labels) or known)
                drafts[query, step.model] = step
    return _Table(prompts=prompts, drafts=drafts, answers=answers, passed_over=passed_over)


def _task(labels: Labels) -> str:
    """What is asked for; empty where no text was read, for the model was named."""
    return labels.top("task") if "task" in labels.axes else ""


def _label(prompts: dict[str, tuple[str, str]], classifier: ReadAll) -> None:
    """Give the prompts a task that have none."""
    bare = [(query, prompt) for query, (prompt, task) in prompts.items() if not task]
    for start in range(0, len(bare), PAGE):
        page = bare[start : start + PAGE]
        told = classifier([prompt for _, prompt in page])
        for (query, prompt), labels in zip(page, told, strict=True):
            prompts[query] = (prompt, _task(labels))


def within(at: float, spans: Sequence[Span]) -> bool:
    """Whether this time lies in one of `spans`."""
    return any(first <= at < last for first, last in spans)


def answered(outcome: Outcome) -> Answer:
    """What opinions of this decision are about."""
    return Answer(
        query=_digest(outcome.prompt),
        text=_digest(outcome.text),
        model=outcome.model,
        caller=outcome.caller,
        expected=outcome.confidence,
    )


def teaches(outcome: Outcome) -> bool:
    """Whether `outcome` is one answer to a whole prompt, with its text."""
    return bool(outcome.prompt) and outcome.error is None and not outcome.parts


def _tells(step: Step) -> bool:
    """Whether `step` is an answer to the whole prompt; one asked for a check is as good as any."""
    return step.purpose in ("draft", "check") and step.error is None and step.part is None


def identifier(prompt: str) -> str:
    """What a caller's `prompt` is called among the queries of a fit."""
    return _digest(prompt)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


def split_of(query: str) -> str:
    """The split of an identified prompt."""
    share = int(query[:8], 16) / 2.0**32
    return next(name for name, end in SHARES if share < end)


async def decisions(diary: Diary) -> AsyncIterator[Outcome]:
    """All decisions, in pages that are the shorter the longer their texts are."""
    last, limit = 0, FIRST_PAGE
    while page := await diary.recorded(last, limit):
        for _, outcome in page:
            yield outcome
        last = page[-1][0]
        heavy = sum(_characters(outcome) for _, outcome in page) > HEAVY_PAGE
        limit = max(limit // 2, 1) if heavy else min(limit * 2, PAGE)


def _characters(outcome: Outcome) -> int:
    return len(outcome.prompt) + len(outcome.text) + sum(len(step.text) for step in outcome.steps)


async def opinions(diary: Diary, answers: Mapping[str, Answer]) -> Mapping[tuple[str, str], float]:
    """The weighted mean of what was said of each answer, by query and text, where it counts."""
    ballots, day = Ballots(), 0
    sums: dict[tuple[str, str], tuple[float, float]] = {}
    last = 0
    while page := await diary.noted(last, PAGE):
        for _, said in page:
            if said.created // DAY_S > day:
                day = int(said.created // DAY_S)
                ballots.renew()
            answer = answers.get(said.decision_id)
            if answer is None:
                continue
            weight = ballots.weigh(_ballot(said, answer))
            total, weights = sums.get((answer.query, answer.text), (0.0, 0.0))
            sums[answer.query, answer.text] = (total + weight * said.score, weights + weight)
        last = page[-1][0]
    return {
        place: total / weights for place, (total, weights) in sums.items() if weights >= LIGHTEST
    }


def _ballot(said: Feedback, answer: Answer) -> Ballot:
    return Ballot(
        caller=said.caller,
        asker=answer.caller,
        decision=said.decision_id,
        model=answer.model,
        reward=said.score,
        expected=answer.expected,
    )


def _write(
    folder: Path, table: _Table, *, scores: Sequence[float | None], models: Sequence[Model]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    drafts = table.drafts
    files.write(folder / "queries.parquet", _queries(table.prompts), remedy=REMEDY)
    files.write(
        folder / "outcomes.parquet", files.parquet(_outcomes(drafts, scores)), remedy=REMEDY
    )
    files.write(folder / "responses.parquet", _responses(drafts), remedy=REMEDY)
    files.write(folder / "models.csv", _prices(models), remedy=REMEDY)


def _queries(prompts: Mapping[str, tuple[str, str]]) -> bytes:
    names = ("query_id", "task", "subtask", "prompt", "reference", "split")
    rows = (
        (query, task, "traffic", prompt, None, split_of(query))
        for query, (prompt, task) in prompts.items()
    )
    return _texts(names, rows)


def _outcomes(drafts: Mapping[tuple[str, str], Step], scores: Sequence[float | None]) -> pa.Table:
    import pyarrow as pa

    steps = list(drafts.values())
    return pa.table(
        {
            "query_id": pa.array([query for query, _ in drafts], pa.string()),
            "model": pa.array([model for _, model in drafts], pa.string()),
            "score": pa.array(scores, pa.float64()),
            "cost_usd": pa.array([step.cost_usd for step in steps], pa.float64()),
            "prompt_tokens": pa.array([step.usage.prompt_tokens for step in steps], pa.int64()),
            "completion_tokens": pa.array(
                [step.usage.completion_tokens for step in steps], pa.int64()
            ),
            "latency_s": pa.array([step.latency_s for step in steps], pa.float64()),
            "finish_reason": pa.array([step.finish_reason for step in steps], pa.string()),
        }
    )


def _responses(drafts: Mapping[tuple[str, str], Step]) -> bytes:
    rows = ((query, model, step.text) for (query, model), step in drafts.items())
    return _texts(("query_id", "model", "response"), rows)


def _texts(names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> bytes:
    """A parquet file of texts, written in groups of rows: no second copy of all is made."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(name, pa.string()) for name in names])
    sink = pa.BufferOutputStream()
    with parquet.ParquetWriter(sink, schema) as writer:
        for group in _groups(rows):
            columns = [list(column) for column in zip(*group, strict=True)]
            writer.write_table(pa.table(columns, schema=schema))
    return bytes(sink.getvalue())


def _groups(
    rows: Iterable[Sequence[str | None]],
) -> Iterator[list[Sequence[str | None]]]:
    """`rows` in groups that end once they have :data:`HEAVY_PAGE` characters."""
    group: list[Sequence[str | None]] = []
    length = 0
    for row in rows:
        group.append(row)
        length += sum(len(text or "") for text in row)
        if length >= HEAVY_PAGE:
            yield group
            group, length = [], 0
    if group:
        yield group


def _prices(models: Iterable[Model]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("model", "usd_per_mtok_in", "usd_per_mtok_out"))
    writer.writerows((one.name, one.usd_per_mtok_in, one.usd_per_mtok_out) for one in models)
    return text.getvalue().encode()
