"""Judges and planner fitted together, and the same applied to other queries.

Knows in which order heads, council and look-ahead are fitted, and how to leave one of them out
for an ablation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from emafusion.judge import surface
from emafusion.judge.council import Council
from emafusion.judge.heads import Heads
from emafusion.judge.ranker import Ranker
from emafusion.learn import label
from emafusion.learn.fit import answering, lattice, logistic, ranking
from emafusion.learn.fit.answering import States
from emafusion.learn.fit.evidence import Evidence
from emafusion.learn.fit.lattice import Rules

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Without(Struct, frozen=True, kw_only=True):
    """What an ablation leaves out.

    ``surfaces`` names surface columns that no head may read; ``reading`` leaves every head out;
    ``agreement`` hides who agrees with whom; ``fusion`` returns the draft of the dearest model
    asked, whatever the others say; ``depth`` bounds the models asked.
    """

    surfaces: tuple[str, ...] = ()
    reading: bool = False
    agreement: bool = False
    fusion: bool = False
    depth: int | None = None


NOTHING = Without()
MOST_OPEN = 4
"""Models asked at most where most of the fitted queries are open-ended: nothing will agree."""


class Decided(Struct, frozen=True, kw_only=True):
    """The fitted judges and rule, with the held-out states and decisions of the fitted rows."""

    without: Without
    heads: Mapping[str, Array]
    ranker: Ranker | None
    members: tuple[int, ...]
    council: Council
    rules: Rules
    evidence: Evidence
    states: States


class Applied(Struct, frozen=True, kw_only=True):
    """What fitted judges and rule make of other rows."""

    members: tuple[int, ...]
    evidence: Evidence
    states: States
    rules: Rules


def fit(evidence: Evidence, without: Without = NOTHING) -> Decided:
    """Fit heads, council and look-ahead on the usable rows of `evidence`.

    The others still teach the heads.
    """
    evidence = _less(evidence, without)
    steady = steadied(evidence)
    heads, trust = answering.fit_heads(steady)
    if without.reading:
        trust = evidence.priors
    fitted, expected = ranking.fit(evidence) if not without.reading else ranking.nothing(evidence)
    evidence = heard(evidence, fitted)
    members = answering.choose_members(evidence, ranked(trust, expected, evidence.open_ended))
    full = evidence.usable
    whole = evidence.rows(full)
    taught = replace(whole, scores=steady.scores[full])
    council, states = answering.fit_council(taught, trust[full], members, expected=expected[full])
    states = states if not without.fusion else answering.dearest(states, whole, members)
    depth = without.depth or deepest(whole)
    rules = lattice.fit(taught, states, members, depth=depth)
    return Decided(
        without=without,
        heads=heads,
        ranker=fitted,
        members=tuple(members),
        council=council,
        rules=rules,
        evidence=whole,
        states=states,
    )


def apply(decided: Decided, evidence: Evidence) -> Applied:
    """The fitted judges and rule on other queries, every model of which has answered."""
    evidence = _less(evidence, decided.without)
    heads = Heads(evidence.pool, **decided.heads)
    trust = evidence.priors if decided.without.reading else answering.read_heads(heads, evidence)
    expected = ranking.read(decided.ranker, evidence)
    evidence = heard(evidence, decided.ranker)
    states = answering.read_council(
        decided.council, evidence, trust=trust, members=decided.members, expected=expected
    )
    if decided.without.fusion:
        states = answering.dearest(states, evidence, decided.members)
    lookahead = decided.rules.lookahead
    rules = lattice.decide(
        lookahead, evidence, states, members=decided.members, depth=decided.without.depth
    )
    return Applied(members=decided.members, evidence=evidence, states=states, rules=rules)


def deepest(evidence: Evidence) -> int | None:
    """How many drafts a plan has at most, where most queries are open-ended; else no bound."""
    return MOST_OPEN if evidence.open_ended.mean() > 0.5 else None


def steadied(evidence: Evidence) -> Evidence:
    """`evidence` with scores that depend less on luck (:func:`label.steadied`)."""
    hunches = evidence.surfaces[:, :, surface.NAMES.index(surface.HUNCHES[0])]
    scores = label.steadied(evidence.answers, evidence.scores, hunches=hunches)
    return replace(evidence, scores=scores)


def heard(evidence: Evidence, ranker: Ranker | None) -> Evidence:
    """`evidence`, of which a ranker that judges alone hears no answers."""
    import numpy as np

    if ranker is None or not ranker.alone:
        return evidence
    return replace(evidence, answers=np.full_like(evidence.answers, -1))


def ranked(trust: Array, expected: Array, open_ended: NDArray[np.bool_]) -> Array:
    """`trust`, with what a ranker expects in its place for open-ended queries."""
    import numpy as np

    known = open_ended[:, None] & ~np.isnan(expected)
    return np.where(known, logistic.log_odds(np.nan_to_num(expected, nan=0.5)), trust)


def _less(evidence: Evidence, without: Without) -> Evidence:
    """`evidence` with what is to be left out made to say nothing."""
    import numpy as np

    surfaces, answers = evidence.surfaces, evidence.answers
    if without.surfaces:
        surfaces = surfaces.copy()
        surfaces[:, :, _places(without.surfaces)] = 0.0
    if without.agreement:
        alone = np.broadcast_to(np.arange(answers.shape[1]), answers.shape)
        answers = np.where(answers >= 0, alone, answers)
    return replace(evidence, surfaces=surfaces, answers=answers)


def _places(names: Sequence[str]) -> list[int]:
    return [surface.NAMES.index(name) for name in names]
