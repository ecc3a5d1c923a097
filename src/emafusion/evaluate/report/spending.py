"""Where an operating point's money went: which models, which calls, which answers were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.evaluate.report.decisions import Decision
from emafusion.evaluate.runs import Table

if TYPE_CHECKING:
    from collections.abc import Iterator


class Spent(Struct, frozen=True, kw_only=True):
    """Calls and mean US dollars, both per query of the benchmark."""

    calls: float = 0.0
    cost_usd: float = 0.0


class Spending(Struct, frozen=True, kw_only=True):
    """One operating point's calls, cut in several ways; each cut adds up to ``total``.

    ``by_model`` and, of each model, what went into answers that were returned (``kept``);
    ``by_role``: a query's ``first`` call and those ``later``; ``by_fate``: ``kept``, ``discarded``.
    """

    total: Spent
    by_model: Mapping[str, Spent]
    kept: Mapping[str, Spent]
    by_role: Mapping[str, Spent]
    by_fate: Mapping[str, Spent]


class _Call(Struct, frozen=True, kw_only=True):
    model: str
    cost_usd: float
    role: str
    fate: str


def spending(decisions: Sequence[Decision], table: Table) -> Spending:
    """What `decisions`, all of one operating point, spent; their calls' costs are `table`'s."""
    calls = list(_calls(decisions, table))
    n = len(decisions)
    kept = [call for call in calls if call.fate == "kept"]
    return Spending(
        total=_sum(calls, n),
        by_model=_cut(calls, "model", n),
        kept=_cut(kept, "model", n),
        by_role={
            name: _sum([c for c in calls if c.role == name], n) for name in ("first", "later")
        },
        by_fate={
            name: _sum([c for c in calls if c.fate == name], n) for name in ("kept", "discarded")
        },
    )


def _calls(decisions: Sequence[Decision], table: Table) -> Iterator[_Call]:
    rows = {name: place for place, name in enumerate(table.queries)}
    columns = {name: place for place, name in enumerate(table.models)}
    for decision in decisions:
        # Of a model asked twice, the last draft is the one that can have been returned.
        backwards = decision.calls[::-1].index(decision.answer_from)
        chosen = len(decision.calls) - 1 - backwards
        for place, model in enumerate(decision.calls):
            yield _Call(
                model=model,
                cost_usd=float(table.costs[rows[decision.query_id], columns[model]]),
                role="first" if place == 0 else "later",
                fate="kept" if place == chosen else "discarded",
            )


def _cut(calls: Sequence[_Call], by: str, n: int) -> dict[str, Spent]:
    names = {getattr(call, by) for call in calls}
    parts = {name: _sum([c for c in calls if getattr(c, by) == name], n) for name in names}
    return dict(sorted(parts.items(), key=lambda part: (-part[1].cost_usd, part[0])))


def _sum(calls: Sequence[_Call], n: int) -> Spent:
    return Spent(calls=len(calls) / n, cost_usd=sum(call.cost_usd for call in calls) / n)
