"""What a model charges per token, read back from what its replies cost.

Knows tokens and dollars; it has no list of prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from emafusion.evaluate.datasets.tables import Reply, Tables

PER = 1e6


class Price(Struct, frozen=True, kw_only=True):
    """US dollars per million prompt (``inward``) and completion (``outward``) tokens."""

    inward: float
    outward: float


def fitted(tables: Tables) -> dict[str, Price | None]:
    """Per model, the prices of at least 0 that explain its costs with the least squared error.

    ``None`` for a model none of whose replies has both token counts.
    """
    by_model: dict[str, list[Reply]] = {}
    for reply in tables.replies:
        by_model.setdefault(reply.model, []).append(reply)
    return {model: _price(replies) for model, replies in by_model.items()}


def _price(replies: Sequence[Reply]) -> Price | None:
    import numpy as np

    rows = [
        (reply.prompt_tokens, reply.completion_tokens, reply.cost_usd)
        for reply in replies
        if reply.prompt_tokens is not None and reply.completion_tokens is not None
    ]
    if not rows:
        return None
    table = np.array(rows, dtype=float)
    tokens, costs = table[:, :2] / PER, table[:, 2]
    both, *_ = np.linalg.lstsq(tokens, costs, rcond=None)
    if (both >= 0).all():
        return Price(inward=float(both[0]), outward=float(both[1]))
    # With two unknowns the constrained optimum lies on an edge: one price is 0.
    squares = (tokens**2).sum(axis=0)
    alone = np.divide(tokens.T @ costs, squares, out=np.zeros(2), where=squares > 0)
    edges = [np.array([alone[0], 0.0]), np.array([0.0, alone[1]])]
    best = min(edges, key=lambda edge: float(((tokens @ edge - costs) ** 2).sum()))
    return Price(inward=float(best[0]), outward=float(best[1]))
