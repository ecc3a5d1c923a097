"""Majority vote of the most accurate models: the ensemble that needs no training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from emafusion.evaluate.baselines.plays import Play, figures, measured
from emafusion.evaluate.baselines.singles import accuracies, mean_costs
from emafusion.evaluate.baselines.voting import agreement, seated, vote
from emafusion.evaluate.runs import System

if TYPE_CHECKING:
    from emafusion.evaluate.runs import Table

SOURCE = (
    "plurality of the answers of several models, one each, ties to the best (after Wang et al., "
    "Self-Consistency, ICLR 2023, section 2, with models in the place of samples)"
)
SIZES: Final = (3, 5, 7)


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """One setting for each size; a model without a recorded answer is replaced by the next best."""
    right = accuracies(train, val)
    order = np.lexsort((mean_costs(train, val), -right))
    agreed = {id(table): agreement(table) for table in (val, test)}

    def play(table: Table, size: int) -> Play:
        panel = seated(table, order, size)
        return vote(table, panel, weights=np.ones(len(order)), agree=agreed[id(table)])

    runs = tuple(
        measured(test, play(test, size), knob=f"best {size}", tuned=figures(val, play(val, size)))
        for size in [size for size in SIZES if size <= len(order)] or [len(order)]
    )
    return System(name="majority_vote", role="baseline", runs=runs, source=SOURCE)
