"""A fixed order of models, each kept if its draft's confidence reaches its threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from emafusion.evaluate.baselines.plays import Play, available

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]


class Chain(Struct, frozen=True, kw_only=True):
    """An order and its thresholds: the last model's answer is kept whatever its confidence.

    ``order`` holds models' places in the pool; ``thresholds`` one fewer.
    """

    order: tuple[int, ...]
    thresholds: tuple[float, ...]

    def named(self, models: tuple[str, ...]) -> str:
        """Such as ``small≥0.83→large``."""
        steps = [
            f"{models[model]}≥{threshold:.2f}→"
            for model, threshold in zip(self.order, self.thresholds, strict=False)
        ]
        return "".join(steps) + models[self.order[-1]]


def replay(table: Table, chain: Chain, *, confidences: Array, ranking: Array) -> Play:
    """Asks down the chain until a draft is kept.

    A model without a recorded answer is passed over. Where that leaves the end of the chain bare,
    the last draft there is is given; where there is none, the best model by ``ranking`` (m,) that
    has one is asked.
    """
    there = available(table)
    n = len(table.queries)
    chosen = np.full(n, -1)
    waiting = np.ones(n, dtype=bool)
    calls = np.full((n, len(chain.order) + 1), -1)
    for step, (model, threshold) in enumerate(
        zip(chain.order, (*chain.thresholds, -np.inf), strict=True)
    ):
        asked = waiting & there[:, model]
        calls[asked, step] = model
        chosen[asked] = model
        waiting &= ~(asked & (confidences[:, model] >= threshold))
    bare = chosen < 0
    chosen[bare] = np.where(there[bare], ranking, -np.inf).argmax(axis=1)
    calls[bare, -1] = chosen[bare]
    return Play(calls=calls, chosen=chosen, confidences=confidences[np.arange(n), chosen])


def levels(confidences: Array, count: int) -> Array:
    """Thresholds that keep evenly fewer drafts, from all (−∞) to almost none, shape (count,)."""
    inner = np.quantile(confidences, np.linspace(0, 1, count + 1)[1:-1])
    return np.concatenate([[-np.inf], inner])
