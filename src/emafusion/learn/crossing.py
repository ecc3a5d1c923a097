"""Policies that were each fitted without a part of the rows, to be measured on that part.

They stand in for the policy that is fitted on all of them: what is measured so is the way of
fitting (cross-validation). It knows how rows are parted; how a policy is fitted, others know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from emafusion.artefacts import Artefact
from emafusion.evaluate.recorded import Recorded
from emafusion.learn.compare import HeldOut, Kin
from emafusion.learn.fit.policy import FEWEST

PARTS: Final = 5


def stand_ins(
    recorded: Recorded,
    fit: Callable[[Recorded], Artefact],
    *,
    kin: Kin | None = None,
    seed: int = 0,
) -> list[HeldOut]:
    """:data:`PARTS` policies, each with the rows of `recorded` that it was fitted without.

    Only rows with a score count, and a policy is fitted on no others. Equal prompts are in one
    part, and so are the queries of these rows that `kin` gives one name. None where
    the rest of the rows would be too few for a fit.
    """
    recorded = _scored(recorded)
    names = kin(recorded) if kin is not None else {}
    parts = _parts(
        [names.get(q, p) for q, p in zip(recorded.queries, recorded.prompts, strict=True)], seed
    )
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


def _scored(recorded: Recorded) -> Recorded:
    """The rows of which at least one answer has a score."""
    import numpy as np

    return recorded.rows(np.flatnonzero(~np.isnan(recorded.scores).all(axis=1)).tolist())


def _parts(names: Sequence[str], seed: int) -> list[list[int]]:
    """Positions by part, of about equal size; equal names are together.

    They are dealt in an order that `seed` fixes, those of most positions first, each to the part
    that is the smallest by then (Graham, 1969).
    """
    import numpy as np

    members: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        members.setdefault(name, []).append(at)
    groups = list(members.values())
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    parts: list[list[int]] = [[] for _ in range(PARTS)]
    for group in sorted((groups[at] for at in order), key=len, reverse=True):
        min(parts, key=len).extend(group)
    return [sorted(part) for part in parts]
