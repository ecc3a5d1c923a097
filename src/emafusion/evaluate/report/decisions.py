"""The headline points query by query, so that anyone can recompute them from the outcomes.

Knows which calls were made and which draft was returned; the outcome table knows what they cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from emafusion.errors import DataError, MissingExtraError
from emafusion.evaluate.runs import Run, Table

if TYPE_CHECKING:
    import pyarrow as pa

TOLERANCE = 1e-9


class Decision(Struct, frozen=True, kw_only=True):
    """One query at one operating point.

    ``calls`` are the models asked, in order; ``answer_from`` the one whose draft was returned;
    ``cost_usd`` what all calls cost together; ``confidence`` P(right), where the system gave it.
    """

    point: str
    query_id: str
    calls: tuple[str, ...]
    answer_from: str
    score: float
    cost_usd: float
    confidence: float | None = None


class Figures(Struct, frozen=True, kw_only=True):
    """What the decisions at one operating point amount to; US dollars a query."""

    n: int
    accuracy: float
    cost_usd: float


def decide(headline: Mapping[str, Run], table: Table) -> tuple[Decision, ...]:
    """The decisions of `headline`'s runs over `table`'s queries.

    Raises
    ------
    DataError
        A run does not tell its calls or the models it answered from.
    """
    return tuple(each for point, run in headline.items() for each in _decided(point, run, table))


def recompute(decisions: Sequence[Decision], table: Table) -> dict[str, Figures]:
    """The figures of each point, worked out from the outcomes in `table` alone.

    Raises
    ------
    DataError
        Names the first decision that does not add up: an unknown query or model, an answer of a
        model that was not asked or has no recorded outcome, a score that is not that answer's, a
        cost that is not the sum of the calls', or a query that a point has twice or lacks.
    """
    rows = {name: place for place, name in enumerate(table.queries)}
    columns = {name: place for place, name in enumerate(table.models)}
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for decision in decisions:
        seen = found.setdefault(decision.point, {})
        where = f"decision at {decision.point!r} on query {decision.query_id!r}"
        if decision.query_id in seen:
            raise DataError(f"{where} is there twice")
        if decision.query_id not in rows:
            raise DataError(f"{where}: the outcomes have no such query")
        unknown = [name for name in decision.calls if name not in columns]
        if unknown:
            raise DataError(f"{where} calls {unknown[0]!r}, which is not in the pool")
        if decision.answer_from not in decision.calls:
            raise DataError(f"{where} answers from {decision.answer_from!r}, which it never called")
        row = rows[decision.query_id]
        score = float(table.scores[row, columns[decision.answer_from]])
        cost = math.fsum(float(table.costs[row, columns[name]]) for name in decision.calls)
        _agree("score", decision.score, score, where=where)
        _agree("cost_usd", decision.cost_usd, cost, where=where)
        seen[decision.query_id] = score, cost
    return {point: _figures(point, seen, rows) for point, seen in found.items()}


def to_table(decisions: Sequence[Decision]) -> pa.Table:
    """The `decisions` as a table with the columns of ``decisions.parquet``."""
    try:
        import pyarrow as pa
    except ImportError as missing:
        raise MissingExtraError("pyarrow", "evaluate") from missing
    kinds = {"calls": pa.list_(pa.string()), "score": pa.float64(), "cost_usd": pa.float64()}
    kinds["confidence"] = pa.float64()
    return pa.table(
        {
            name: pa.array(
                [getattr(each, name) for each in decisions], kinds.get(name, pa.string())
            )
            for name in Decision.__struct_fields__
        }
    )


def read(path: Path) -> tuple[Decision, ...]:
    """The decisions in the file `path`; raises :class:`DataError` where it is malformed."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as missing:
        raise MissingExtraError("pyarrow", "evaluate") from missing
    try:
        rows = parquet.read_table(path).to_pylist()
        return msgspec.convert(rows, tuple[Decision, ...])
    except (OSError, pa.ArrowInvalid, msgspec.ValidationError) as wrong:
        raise DataError(f"cannot read the decisions in {str(path)!r}: {wrong}") from wrong


def _decided(point: str, run: Run, table: Table) -> list[Decision]:
    if run.calls is None or run.sources is None:
        raise DataError(f"the run of {point!r} does not tell its calls and sources")
    confidences = run.confidences
    return [
        Decision(
            point=point,
            query_id=query,
            calls=tuple(run.calls[row]),
            answer_from=run.sources[row],
            score=float(run.scores[row]),
            cost_usd=float(run.costs[row]),
            confidence=None if confidences is None else float(confidences[row]),
        )
        for row, query in enumerate(table.queries)
    ]


def _agree(what: str, stated: float, worked_out: float, *, where: str) -> None:
    # Written so that NaN, an outcome that was never recorded, agrees with nothing.
    if not abs(stated - worked_out) <= TOLERANCE * max(1.0, abs(worked_out)):
        raise DataError(f"{where} states {what} {stated!r}; the outcomes give {worked_out!r}")


def _figures(
    point: str, seen: Mapping[str, tuple[float, float]], rows: Mapping[str, int]
) -> Figures:
    lacking = next((name for name in rows if name not in seen), None)
    if lacking is not None:
        raise DataError(f"the decisions at {point!r} lack query {lacking!r}")
    return Figures(
        n=len(seen),
        accuracy=math.fsum(score for score, _ in seen.values()) / len(seen),
        cost_usd=math.fsum(cost for _, cost in seen.values()) / len(seen),
    )
