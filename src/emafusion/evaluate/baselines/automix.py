"""AutoMix with a threshold: the small model answers, and a verifier decides who pays for more."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Final

import numpy as np

from emafusion.evaluate.baselines.cascades import Chain, levels, replay
from emafusion.evaluate.baselines.drafts import Scorer
from emafusion.evaluate.baselines.plays import Play, figures
from emafusion.evaluate.baselines.settings import swept, val_aiq
from emafusion.evaluate.baselines.singles import accuracies, mean_costs
from emafusion.evaluate.runs import System

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]

SOURCE = (
    "AutoMix, Aggarwal, Madaan et al., NeurIPS 2024, arXiv:2310.12963, section 3 (thresholding "
    "router over a small and a large model). Recorded outcomes hold no samples of "
    "self-verification: a scorer learnt on query and draft verifies instead, free of charge"
)
THRESHOLDS: Final = 40


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """The pair with the best AIQ on val; the dial is the threshold on the verifier's confidence."""
    scorer = Scorer(train, val, seed=seed)
    confidences = {id(val): scorer.confidences(val), id(test): scorer.confidences(test)}
    ranking, costs = accuracies(train, val), mean_costs(train, val)

    def play(table: Table, chain: Chain) -> Play:
        return replay(table, chain, confidences=confidences[id(table)], ranking=ranking)

    def settings(pair: tuple[int, int]) -> list[Chain]:
        found = levels(confidences[id(val)][:, pair[0]], THRESHOLDS).tolist()
        return [Chain(order=pair, thresholds=(t,)) for t in [*found, np.inf]]

    pairs = [
        (small, large)
        for small, large in permutations(range(len(ranking)), 2)
        if costs[small] < costs[large] < np.inf
    ] or [(int(ranking.argmax()),) * 2]
    best = max(
        pairs,
        key=lambda pair: val_aiq(val, [figures(val, play(val, each)) for each in settings(pair)]),
    )
    runs = swept(val, test, settings=settings(best), play=play, knob=lambda c: c.named(test.models))
    return System(name="automix", role="baseline", runs=runs, source=SOURCE)
