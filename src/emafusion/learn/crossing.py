"""Policies that were each fitted without a part of the rows, to be measured on that part.

They stand in for the policy that is fitted on all of them: what is measured so is the way of
fitting (cross-validation). It knows how rows are parted; how a policy is fitted, others know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from emafusion.artefacts import Artefact
from emafusion.evaluate.recorded import Recorded
from emafusion.learn.compare import HeldOut
from emafusion.learn.fit.policy import FEWEST

PARTS: Final = 5


def stand_ins(
    recorded: Recorded, fit: Callable[[Recorded], Artefact], *, seed: int = 0
) -> list[HeldOut]:
    """:data:`PARTS` policies, each with the rows of `recorded` that it was fitted without.

    Equal prompts are in one part. None where the rest of the rows would be too few for a fit.
    """
    parts = _parts(recorded.prompts, seed)
    if len(recorded.prompts) - max(map(len, parts), default=0) < FEWEST:
        return []
    everything = set(range(len(recorded.prompts)))
    return [
        HeldOut(
            policy=fit(recorded.rows(sorted(everything - set(part)))),
            recorded=recorded.rows(part),
        )
        for part in parts
    ]


def _parts(prompts: tuple[str, ...], seed: int) -> list[list[int]]:
    """Positions by part, of about equal size."""
    import numpy as np

    different = list(dict.fromkeys(prompts))
    order = np.random.default_rng(seed).permutation(len(different)).tolist()
    number = {different[at]: place % PARTS for place, at in enumerate(order)}
    return [[at for at, prompt in enumerate(prompts) if number[prompt] == n] for n in range(PARTS)]
