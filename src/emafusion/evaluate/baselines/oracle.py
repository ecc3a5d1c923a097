"""The cheapest model that is right: the bound of all routing, as no system can know it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emafusion.evaluate.baselines.plays import Play, available, figures, measured
from emafusion.evaluate.runs import System

if TYPE_CHECKING:
    from emafusion.evaluate.runs import Table

SOURCE = "cheapest of the highest scores, seen beforehand (RouterBench, Hu et al. 2024, section 4)"


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """The highest score of each query, at the least cost it can be had for."""
    tuned = figures(val, _play(val))
    runs = (measured(test, _play(test), knob="", tuned=tuned),)
    return System(name="oracle", role="bound", runs=runs, source=SOURCE)


def _play(table: Table) -> Play:
    there = available(table)
    scores = np.where(there, table.scores, -np.inf)
    top = scores >= scores.max(axis=1, keepdims=True)
    chosen = np.where(top, table.costs, np.inf).argmin(axis=1)
    return Play(calls=chosen[:, None], chosen=chosen)
