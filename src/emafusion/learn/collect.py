"""Records what each model answers to each question, and pays for no answer twice.

It knows the order of the cells (question × model × sample), what may be spent, and what to make of
a model's failures. It does not know how a call is made (the ledger and the providers do), how an
answer is kept (the journal does) or marked (the graders do).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec
from msgspec import Struct

from emafusion.catalog import tokens
from emafusion.errors import (
    AuthenticationError,
    ConfigError,
    DataError,
    EmafusionError,
    ProviderError,
    RateLimitedError,
    RejectedError,
)
from emafusion.evaluate.questions import Question
from emafusion.execute import Ledger, Limits
from emafusion.learn import interchange
from emafusion.learn.interchange import Marked, Recorded
from emafusion.learn.journal import (
    Answered,
    Asked,
    Cell,
    Failed,
    Journal,
    Posed,
    Priced,
    Row,
    Split,
)
from emafusion.learn.purse import Purse
from emafusion.protocols import Provider
from emafusion.types import Draft, Model

UNBILLED = (AuthenticationError, RateLimitedError, RejectedError)
"""Failures that no upstream bills; of any other, the call's highest price counts as spent."""


class Bounds(Struct, frozen=True, kw_only=True):
    """How far a collection may go.

    ``budget_usd`` bounds what the whole folder has cost, earlier runs and calls of unknown ending
    included, in US dollars; ``None`` sets no bound. ``per_model`` calls of one model run at a time,
    of at most ``models_at_once`` models. ``max_failures`` failures in a row end a model's turn.
    ``retry_failed`` asks again what was refused for good.
    """

    budget_usd: float | None = None
    per_model: int = 1
    models_at_once: int = 1
    samples: int = 1
    max_tokens: int = 220
    temperature: float = 0.0
    timeout_s: float = 120.0
    max_failures: int = 5
    retry_failed: bool = False


class Progress(Struct, frozen=True, kw_only=True):
    """One cell that was just closed: `score` where it was answered, `error` where not.

    ``done`` of ``total`` cells are closed, those of earlier runs included.
    """

    done: int
    total: int
    query_id: str
    model: str
    spent_usd: float
    score: float | None = None
    error: str | None = None


class Tally(Struct, frozen=True, kw_only=True):
    """One model's figures over all that is recorded: means per answer, US dollars and seconds."""

    model: str
    answered: int
    accuracy: float
    cost_usd: float
    latency_s: float


class Report(Struct, frozen=True, kw_only=True):
    """What a collection came to.

    ``answered`` of ``total`` cells have an answer; ``asked`` calls were made in this run.
    ``failed`` cells have no answer and are in no table; ``stopped`` says, by model, why its turn
    ended early. ``repaired`` tells that a torn last line of an earlier run was cut off.
    """

    total: int
    answered: int
    asked: int
    spent_usd: float
    failed: tuple[Failed, ...]
    stopped: Mapping[str, str]
    tallies: tuple[Tally, ...]
    repaired: bool


@runtime_checkable
class Preparing(Protocol):
    """A provider that has something to load, which no call's latency should include."""

    async def prepare(self, model: Model) -> None:
        """Make `model` ready to answer."""
        ...


async def collect(
    questions: Sequence[Question] | Mapping[Split, Sequence[Question]],
    models: Sequence[Model],
    *,
    providers: Mapping[str, Provider],
    folder: Path,
    bounds: Bounds | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Ask every model every question that it has not answered yet; write the outcomes' tables.

    Parameters
    ----------
    questions : sequence of Question, or mapping of split to such
        What is asked, in this order. Without splits, held-out wordings are ``test`` and one in
        five of the others, chosen by the prompt's hash, is ``val``.
    models : sequence of Model
        Who is asked: one model after another unless ``bounds.models_at_once`` says otherwise.
    providers : mapping of str to Provider
        By the name that models use. They repeat a call that failed for a moment.
    folder : Path
        Keeps the journal and gets the tables (the interchange format). A run that was killed goes
        on where it stopped; further questions or models join what is there.
    bounds : Bounds, optional
        Money, concurrency and the calls' parameters.
    progress : callable, optional
        Told each cell as it is closed.

    Raises
    ------
    ConfigError
        A model's provider is missing, a bound makes no sense, or pyarrow is not installed.
    StoreError
        The journal or a table cannot be written; what was written before is kept.
    DataError
        The journal is damaged, or a question's reference does not suit its grader.
    """
    bounds = bounds or Bounds()
    splits = _splits(questions)
    unique = [question for question, _ in splits.values()]
    _check(models, providers, bounds)
    interchange.require_pyarrow()
    await asyncio.to_thread(_check_graders, unique)
    with Journal(folder) as journal:
        collection = _Collection(journal, bounds, progress)
        collection.pose(splits, models)
        asker = _Asker(collection, providers)
        turns = asyncio.Semaphore(bounds.models_at_once)
        async with _together() as group:
            for model in models:
                group.create_task(_turn(model, unique, asker=asker, turns=turns))
        marked = await asyncio.to_thread(interchange.write, folder, collection.recorded)
        return collection.report(marked)


async def _turn(
    model: Model, questions: Sequence[Question], *, asker: _Asker, turns: asyncio.Semaphore
) -> None:
    """One model's turn: its open cells in order, a bounded number of them at a time."""
    async with turns:
        cells = asker.collection.open_cells(model, questions)
        if not cells:
            return
        await asker.prepare(model)
        left = iter(cells)
        async with _together() as group:
            for _ in range(min(asker.collection.bounds.per_model, len(cells))):
                group.create_task(_work(model, left, asker))


async def _work(model: Model, left: Iterator[tuple[Question, int]], asker: _Asker) -> None:
    for question, sample in left:
        if model.name in asker.collection.stopped:
            return
        await asker.ask(model, question, sample)


class _Asker:
    """Makes calls, and has the collection write down how each ended."""

    def __init__(self, collection: _Collection, providers: Mapping[str, Provider]) -> None:
        self.collection = collection
        self._providers = providers
        self._clock = _Clock()

    async def prepare(self, model: Model) -> None:
        """Have the provider load `model`; where it cannot, the model's turn is over."""
        provider = self._providers[model.provider]
        if not isinstance(provider, Preparing):
            return
        try:
            await provider.prepare(model)
        except EmafusionError as failure:
            self.collection.stopped[model.name] = str(failure)

    async def ask(self, model: Model, question: Question, sample: int) -> None:
        """Close one cell, if there is money for it."""
        collection = self.collection
        cell = (question.id, model.name, sample)
        most = self._most(model, question)
        ticket = await collection.purse.reserve(most)
        if ticket is None:
            reason = f"its next call could exceed the budget of ${collection.purse.limit:g}"
            collection.stopped.setdefault(model.name, reason)
            return
        # A call that is cancelled under way may have been billed.
        spent = most
        try:
            collection.journal.append(_asked(cell, most), durable=False)
            row = await self._row(model, question, cell=cell, most=most)
            spent = row.cost_usd
        finally:
            await collection.purse.settle(ticket, spent)
        await collection.close(row)

    async def _row(
        self, model: Model, question: Question, *, cell: Cell, most: float
    ) -> Answered | Failed:
        bounds = self.collection.bounds
        ledger = Ledger(
            {model.name: model},
            self._providers,
            clock=self._clock,
            limits=Limits(call_timeout_s=bounds.timeout_s),
        )
        params = {"temperature": bounds.temperature, "max_tokens": bounds.max_tokens}
        messages = ({"role": "user", "content": question.prompt},)
        try:
            draft = await ledger.complete(model.name, messages, params=params)
        except ProviderError as failure:
            if isinstance(failure, AuthenticationError):
                # No other question will fare better with this key.
                self.collection.stopped[model.name] = str(failure)
            return _failed(failure, cell, most)
        return _answered(draft, cell)

    def _most(self, model: Model, question: Question) -> float:
        """The most that one call can cost, US dollars."""
        prompt = tokens.count(question.prompt) + tokens.count(model.system or "")
        prompt += 2 * tokens.PER_MESSAGE
        completion = self.collection.bounds.max_tokens
        return (prompt * model.usd_per_mtok_in + completion * model.usd_per_mtok_out) / 1e6


class _Collection:
    """What is known of every cell, on the disk and in memory."""

    def __init__(
        self, journal: Journal, bounds: Bounds, progress: Callable[[Progress], None] | None
    ) -> None:
        rows = list(journal.rows())
        self.journal = journal
        self.bounds = bounds
        self.recorded = Recorded(rows)
        self.failures = _failures(rows)
        self.purse = Purse(bounds.budget_usd, spent=_spent(rows))
        self.stopped: dict[str, str] = {}
        self._progress = progress
        self._in_a_row: dict[str, int] = {}
        self._cells: set[Cell] = set()
        self._closed: set[Cell] = set()
        self._asked = 0

    def pose(
        self, questions: Mapping[str, tuple[Question, Split]], models: Sequence[Model]
    ) -> None:
        """Write down the questions and prices that the journal does not have yet."""
        new: list[Posed | Priced] = []
        known, splits = self.recorded.questions, self.recorded.splits
        for name, (question, split) in questions.items():
            if known.get(name) != question or splits[name] != split:
                raw = msgspec.Raw(question.to_json().encode())
                new.append(Posed(query_id=name, split=split, question=raw))
                known[name], splits[name] = question, split
        for model in models:
            priced = _priced(model)
            if self.recorded.prices.get(model.name) != priced:
                new.append(priced)
                self.recorded.prices[model.name] = priced
        if new:
            self.journal.append(*new)
        samples = range(self.bounds.samples)
        self._cells = {(q, m.name, s) for q in questions for m in models for s in samples}
        self._closed = {cell for cell in self._cells if not self._is_open(cell)}

    def open_cells(self, model: Model, questions: Sequence[Question]) -> list[tuple[Question, int]]:
        """The cells of `model` to ask now; the samples of one question follow each other."""
        return [
            (question, sample)
            for question in questions
            for sample in range(self.bounds.samples)
            if (question.id, model.name, sample) not in self._closed
        ]

    def _is_open(self, cell: Cell) -> bool:
        if cell in self.recorded.replies:
            return False
        failure = self.failures.get(cell)
        return failure is None or not failure.permanent or self.bounds.retry_failed

    async def close(self, row: Answered | Failed) -> None:
        """Make `row` durable, then mark it and tell of it."""
        self.journal.append(row)
        self._asked += 1
        self._closed.add(row.cell)
        score = None
        if isinstance(row, Answered):
            self.recorded.replies[row.cell] = row
            self.failures.pop(row.cell, None)
            self._in_a_row[row.model] = 0
            # A grader may run a program for seconds.
            score = await asyncio.to_thread(self.recorded.mark, row)
        else:
            self.failures[row.cell] = row
            self._count_failure(row)
        self._tell(row, score)

    def _count_failure(self, row: Failed) -> None:
        if row.permanent:
            return
        self._in_a_row[row.model] = self._in_a_row.get(row.model, 0) + 1
        if self._in_a_row[row.model] >= self.bounds.max_failures:
            reason = f"{self.bounds.max_failures} calls in a row failed, the last with {row.error}"
            self.stopped.setdefault(row.model, reason)

    def _tell(self, row: Answered | Failed, score: float | None) -> None:
        if self._progress is None:
            return
        self._progress(
            Progress(
                done=len(self._closed),
                total=len(self._cells),
                query_id=row.query_id,
                model=row.model,
                spent_usd=self.purse.spent,
                score=score,
                error=row.error if isinstance(row, Failed) else None,
            )
        )

    def report(self, marked: Sequence[Marked]) -> Report:
        """The run's report; `marked` are the replies of the whole folder."""
        return Report(
            total=len(self._cells),
            answered=len(self._cells & self.recorded.replies.keys()),
            asked=self._asked,
            spent_usd=self.purse.spent,
            failed=tuple(row for cell, row in self.failures.items() if cell in self._cells),
            stopped=dict(self.stopped),
            tallies=_tallies(marked),
            repaired=self.journal.repaired,
        )


class _Clock:
    """The system's time."""

    def now(self) -> float:
        return time.time()

    def tick(self) -> float:
        return time.perf_counter()


def _splits(
    questions: Sequence[Question] | Mapping[Split, Sequence[Question]],
) -> dict[str, tuple[Question, Split]]:
    """Each question once, by id, with its split."""
    if isinstance(questions, Mapping):
        return {q.id: (q, split) for split, those in questions.items() for q in those}
    return {q.id: (q, interchange.split_of(q)) for q in questions}


def _check(models: Sequence[Model], providers: Mapping[str, Provider], bounds: Bounds) -> None:
    for model in models:
        if model.provider not in providers:
            raise ConfigError(
                f"model {model.name!r} needs the provider {model.provider!r}; "
                f"there are {', '.join(sorted(providers)) or 'none'}"
            )
    for name in ("per_model", "models_at_once", "samples", "max_tokens", "max_failures"):
        if getattr(bounds, name) < 1:
            raise ConfigError(f"{name} must be at least 1, not {getattr(bounds, name)!r}")


def _check_graders(questions: Iterable[Question]) -> None:
    """Find out that a question cannot be marked before its answers are paid for."""
    for question in questions:
        try:
            question.grade("?")
        except DataError as error:
            raise DataError(f"question {question.id!r}: {error}") from error


def _priced(model: Model) -> Priced:
    return Priced(
        model=model.name,
        usd_per_mtok_in=model.usd_per_mtok_in,
        usd_per_mtok_out=model.usd_per_mtok_out,
    )


def _asked(cell: Cell, most: float) -> Asked:
    return Asked(query_id=cell[0], model=cell[1], sample=cell[2], reserved_usd=most)


def _answered(draft: Draft, cell: Cell) -> Answered:
    completion = draft.completion
    logprobs = completion.logprobs or ()
    return Answered(
        query_id=cell[0],
        model=cell[1],
        sample=cell[2],
        text=completion.text,
        finish_reason=completion.finish_reason,
        prompt_tokens=completion.usage.prompt_tokens,
        completion_tokens=completion.usage.completion_tokens,
        cost_usd=draft.cost_usd,
        latency_s=draft.latency_s,
        mean_logprob=sum(logprobs) / len(logprobs) if logprobs else None,
        min_logprob=min(logprobs) if logprobs else None,
    )


def _failed(failure: ProviderError, cell: Cell, most: float) -> Failed:
    return Failed(
        query_id=cell[0],
        model=cell[1],
        sample=cell[2],
        error=f"{type(failure).__name__}: {failure}",
        permanent=isinstance(failure, RejectedError),
        cost_usd=0.0 if isinstance(failure, UNBILLED) else most,
    )


def _failures(rows: Iterable[Row]) -> dict[Cell, Failed]:
    """The last failure of each cell that no answer followed."""
    found: dict[Cell, Failed] = {}
    for row in rows:
        if isinstance(row, Failed):
            found[row.cell] = row
        elif isinstance(row, Answered):
            found.pop(row.cell, None)
    return found


def _spent(rows: Iterable[Row]) -> float:
    """US dollars: what calls cost, and the highest price of those whose ending is not known."""
    spent = 0.0
    under_way: dict[Cell, float] = {}
    for row in rows:
        if isinstance(row, Asked):
            spent += under_way.get(row.cell, 0.0)
            under_way[row.cell] = row.reserved_usd
        elif isinstance(row, (Answered, Failed)):
            under_way.pop(row.cell, None)
            spent += row.cost_usd
    return spent + sum(under_way.values())


def _tallies(marked: Sequence[Marked]) -> tuple[Tally, ...]:
    by_model: dict[str, list[Marked]] = {}
    for row in marked:
        by_model.setdefault(row.reply.model, []).append(row)
    return tuple(
        Tally(
            model=name,
            answered=len(rows),
            accuracy=sum(row.score for row in rows) / len(rows),
            cost_usd=sum(row.reply.cost_usd for row in rows) / len(rows),
            latency_s=sum(row.reply.latency_s for row in rows) / len(rows),
        )
        for name, rows in by_model.items()
    )


@asynccontextmanager
async def _together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises what went wrong first, not a group of one."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
