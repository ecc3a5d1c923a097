"""What is known of every cell of a collection, in the journal and in memory.

It knows which cells are open, what was spent and what each ending counts for; it asks nobody.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from emafusion.evaluate.questions import Question
from emafusion.learn.bounds import Bounds
from emafusion.learn.choosing import Known
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
from emafusion.learn.report import Progress, Report, tallies
from emafusion.types import Model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Collection:
    """What is known of every cell, on the disk and in memory.

    ``stopped`` says, by model, why its turn is over; ``spent_up`` tells that a call was not made
    because it could have exceeded the budget.
    """

    def __init__(
        self, journal: Journal, bounds: Bounds, progress: Callable[[Progress], None] | None
    ) -> None:
        rows = list(journal.rows())
        self.journal = journal
        self.bounds = bounds
        self.recorded = Recorded(rows)
        self.failures = _failures(rows)
        self.purse = Purse(bounds.budget_usd, spent=spent_of(rows))
        self.stopped: dict[str, str] = {}
        self.spent_up = False
        self._progress = progress
        self._in_a_row: dict[str, int] = {}
        self._cells: set[Cell] = set()
        self._closed: set[Cell] = set()
        self._marks: dict[Cell, float] = {}
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

    def known(self, questions: Sequence[Question], models: Sequence[Model], most: Array) -> Known:
        """What is recorded of `questions` × `models`; `most` (m,) is what one answer may cost."""
        import numpy as np

        shape = (len(questions), len(models))
        scores, costs = np.full(shape, np.nan), np.full(shape, np.nan)
        closed = np.zeros(shape, dtype=bool)
        for row, question in enumerate(questions):
            for column, model in enumerate(models):
                cells = [(question.id, model.name, s) for s in range(self.bounds.samples)]
                over = model.name in self.stopped
                closed[row, column] = over or all(cell in self._closed for cell in cells)
                if all(cell in self.recorded.replies for cell in cells):
                    scores[row, column] = np.mean([self._mark(cell) for cell in cells])
                    costs[row, column] = sum(self.recorded.replies[c].cost_usd for c in cells)
        return Known(
            scores=scores,
            costs=costs,
            closed=closed,
            left_usd=self.purse.left,
            prior_usd=most * self.bounds.samples,
        )

    def _mark(self, cell: Cell) -> float:
        """The mark of a cell's reply, NaN where none can be given; a grader may run a program."""
        if cell not in self._marks:
            self._marks[cell] = self.recorded.mark(self.recorded.replies[cell])
        return self._marks[cell]

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
            mark = self._marks[row.cell] = await asyncio.to_thread(self.recorded.mark, row)
            score = None if math.isnan(mark) else mark
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
            tallies=tallies(marked),
            repaired=self.journal.repaired,
        )


def _priced(model: Model) -> Priced:
    return Priced(
        model=model.name,
        usd_per_mtok_in=model.usd_per_mtok_in,
        usd_per_mtok_out=model.usd_per_mtok_out,
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


def spent_of(rows: Iterable[Row]) -> float:
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
