"""A fixed panel that is always asked in full, and a vote weighted by how often each is right."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np

from emafusion.evaluate.baselines.plays import Play
from emafusion.evaluate.baselines.settings import swept
from emafusion.evaluate.baselines.singles import accuracies, mean_costs
from emafusion.evaluate.baselines.voting import agreement, seated, voices, vote
from emafusion.evaluate.runs import System

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

SOURCE = (
    "weighted vote of a fixed panel (Nitzan & Paroush 1982: log-odds weights; LLM-Blender, Jiang "
    "et al., ACL 2023, section 2, for asking all and fusing), panels of up to 5 chosen on val"
)
LARGEST: Final = 5
POOL: Final = 10


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """The panel that is most accurate on val within each budget."""
    right = accuracies(train, val)
    order = np.lexsort((mean_costs(train, val), -right))
    weights = voices(train, right)
    agreed = {id(table): agreement(table) for table in (val, test)}

    def play(table: Table, panel: tuple[int, ...]) -> Play:
        return vote(table, _seats(table, panel, order), weights=weights, agree=agreed[id(table)])

    # Voters below the first ten only add to the bill, and panels to the search.
    pool = [int(model) for model in order[:POOL]]
    panels = [p for size in range(1, LARGEST + 1) for p in combinations(pool, size)]
    runs = swept(
        val,
        test,
        settings=panels,
        play=play,
        knob=lambda panel: "+".join(test.models[model] for model in panel),
    )
    return System(name="always_fuse", role="baseline", runs=runs, source=SOURCE)


def _seats(table: Table, panel: tuple[int, ...], order: NDArray[np.intp]) -> NDArray[np.int64]:
    """The panel; where members have no recorded answer, the best of the others in their seats."""
    if np.isfinite(table.scores[:, list(panel)]).all():
        return np.array(panel)
    others = [model for model in order.tolist() if model not in panel]
    return seated(table, np.array([*panel, *others]), len(panel))
