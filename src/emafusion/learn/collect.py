"""Records what each model answers to each question, and pays for no answer twice.

It knows the order of the cells (question × model × sample) and who takes turns. It does not know
what was answered or spent so far (the collection does), how a model is asked (the asker does), how
an answer is kept (the journal does) or marked (the graders do).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from emafusion import encoders
from emafusion.errors import ConfigError, DataError
from emafusion.evaluate.questions import Question
from emafusion.learn import choosing, interchange
from emafusion.learn.asker import Asker, Preparing
from emafusion.learn.bounds import Bounds
from emafusion.learn.collection import Collection
from emafusion.learn.journal import Journal, Split
from emafusion.learn.report import Progress, Report, Tally
from emafusion.protocols import Provider
from emafusion.types import Model

__all__ = ["Bounds", "Preparing", "Progress", "Report", "Tally", "collect"]


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
        Money and what it buys, concurrency, and the calls' parameters.
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
        collection = Collection(journal, bounds, progress)
        collection.pose(splits, models)
        asker = Asker(collection, providers)
        if bounds.choose == "auto" and bounds.budget_usd is not None:
            await _choosing(asker, models, splits)
        else:
            await _round(asker, models, unique)
        marked = await asyncio.to_thread(interchange.write, folder, collection.recorded)
        return collection.report(marked)


async def _round(asker: Asker, models: Sequence[Model], questions: Sequence[Question]) -> None:
    """Ask all of `models` all of `questions`."""
    turns = asyncio.Semaphore(asker.collection.bounds.models_at_once)
    async with _together() as group:
        for model in models:
            group.create_task(_turn(model, questions, asker=asker, turns=turns))


async def _choosing(
    asker: Asker, models: Sequence[Model], splits: Mapping[str, tuple[Question, Split]]
) -> None:
    """Buy the cells that are worth most, batch by batch, until the money is spent."""
    import numpy as np

    collection = asker.collection
    questions = [question for question, _ in splits.values()]
    most = np.array([max(asker.most(model, one) for one in questions) for model in models])
    ordered = await asyncio.to_thread(
        choosing.order,
        [question.prompt for question in questions],
        [split for _, split in splits.values()],
        encoder=encoders.default(),
    )
    while not collection.spent_up:
        known = await asyncio.to_thread(collection.known, questions, models, most)
        batch = next(choosing.following(known, ordered), None)
        if batch is None:
            return
        chosen = [models[place] for place in batch.models]
        await _round(asker, chosen, [questions[place] for place in batch.questions])


async def _turn(
    model: Model, questions: Sequence[Question], *, asker: Asker, turns: asyncio.Semaphore
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


async def _work(model: Model, left: Iterator[tuple[Question, int]], asker: Asker) -> None:
    for question, sample in left:
        if model.name in asker.collection.stopped:
            return
        await asker.ask(model, question, sample)


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
    if bounds.per_minute is not None and bounds.per_minute < 1:
        raise ConfigError(f"per_minute must be at least 1, not {bounds.per_minute!r}")


def _check_graders(questions: Iterable[Question]) -> None:
    """Find out that a question cannot be marked before its answers are paid for."""
    for question in questions:
        try:
            question.grade("?")
        except DataError as error:
            raise DataError(f"question {question.id!r}: {error}") from error


@asynccontextmanager
async def _together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises what went wrong first, not a group of one."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
