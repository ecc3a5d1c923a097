"""The model that is most accurate on the rows one has: the default that routers must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emafusion.evaluate.baselines.plays import figures, measured
from emafusion.evaluate.baselines.singles import accuracies, alone, best
from emafusion.evaluate.runs import System

if TYPE_CHECKING:
    from emafusion.evaluate.runs import Table

SOURCE = "the most accurate model on train and val (LLMRouterBench, 2026, baseline Best Single)"


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """Always the best model of train and val; the knob names it."""
    ranking, model = accuracies(train, val), best(train, val)
    tuned = figures(val, alone(val, model, ranking=ranking))
    play = alone(test, model, ranking=ranking)
    runs = (measured(test, play, knob=test.models[model], tuned=tuned),)
    return System(name="best_single", role="baseline", runs=runs, source=SOURCE)
