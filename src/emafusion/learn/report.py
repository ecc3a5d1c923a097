"""What a collection tells: each cell as it closes, and what all of them came to at the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from emafusion.learn.interchange import Marked
from emafusion.learn.journal import Failed


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
    """One model's figures over all that is recorded: means per answer, US dollars and seconds.

    ``accuracy`` is the mean of the marks, ``None`` where no answer has one.
    """

    model: str
    answered: int
    accuracy: float | None
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


def tallies(marked: Sequence[Marked]) -> tuple[Tally, ...]:
    """The figures of each model that has a reply among `marked`."""
    by_model: dict[str, list[Marked]] = {}
    for row in marked:
        by_model.setdefault(row.reply.model, []).append(row)
    return tuple(
        Tally(
            model=name,
            answered=len(rows),
            accuracy=_mean([row.score for row in rows if not math.isnan(row.score)]),
            cost_usd=sum(row.reply.cost_usd for row in rows) / len(rows),
            latency_s=sum(row.reply.latency_s for row in rows) / len(rows),
        )
        for name, rows in by_model.items()
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
