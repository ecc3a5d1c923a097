"""Fits what reads drafts: each model's head, and the council that weighs drafts together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from emafusion.judge import council, heads
from emafusion.judge.council import Council, Heard
from emafusion.judge.heads import Heads
from emafusion.learn.fit import logistic
from emafusion.learn.fit.evidence import NOBODY, Evidence, best_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

COMMON_PENALTY = 100.0
"""On what all models' drafts have in common."""
OWN_PENALTY = 50.0
"""On how a model's head differs from that."""
MOST_COMMON = 1000
"""Queries whose drafts tell what is common to all: more would tell little more."""
SET_PENALTY = 10.0
MOST_MEMBERS = 7
"""Sets grow as 2^members; more than seven members brought nothing on recorded outcomes."""
LEAST_GAIN = 0.001
"""Quality, over the range of prices, that a place on the council must be worth."""
FAR = 6.0


class States(Struct, frozen=True, kw_only=True):
    """What n queries look like once the members of each set have spoken.

    Each mapping goes from set number to an array (n,): P(right) of the best answer and of its
    best rival; ``tops`` (n, k) says which members gave the best answer, and ``each`` (n, k)
    P(right) of every member's own.
    """

    best: dict[int, Array] = field(default_factory=dict)
    second: dict[int, Array] = field(default_factory=dict)
    tops: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    each: dict[int, Array] = field(default_factory=dict)


def fit_heads(evidence: Evidence) -> tuple[dict[str, Array], Array]:
    """The arrays of :class:`Heads`, and every draft's log-odds by a head that left it out.

    Each model's weights are shrunk towards those that fit all models' drafts at once, so that few
    rows give heads that are alike, and many give each model its own.
    """
    import numpy as np

    count, models = evidence.scores.shape
    trust = np.zeros((count, models))
    columns = evidence.surfaces.shape[2]
    mean, scale = np.zeros((models, columns)), np.ones((models, columns))
    weights = np.zeros((models, heads.WIDTH + 1))
    context = pool_context(evidence.priors)
    tables = []
    for model in range(models):
        seen = ~np.isnan(evidence.scores[:, model]) & (evidence.fold != NOBODY)
        shown = evidence.surfaces[seen, model]
        if len(shown):
            mean[model], spread = shown.mean(axis=0), shown.std(axis=0)
            scale[model] = np.where(spread > 1e-6, spread, 1.0)
        tables.append(
            heads.columns(
                (evidence.surfaces[:, model] - mean[model]) / scale[model],
                evidence.priors[:, model],
                pool=context,
                off_length=evidence.surplus[:, model],
            )
        )
    common = _common(tables, evidence)
    for model, table in enumerate(tables):
        weights[model], trust[:, model] = held_out(
            table,
            evidence.scores[:, model],
            evidence.fold,
            penalty=OWN_PENALTY,
            towards=common,
        )
    return {"mean": mean, "scale": scale, "weights": weights}, np.clip(trust, -FAR, FAR)


def read_heads(fitted: Heads, evidence: Evidence) -> Array:
    """Every draft's log-odds, read alone, by fitted heads; shape (n, m)."""
    import numpy as np

    context = pool_context(evidence.priors)
    columns = [
        fitted.log_odds(
            model,
            evidence.surfaces[:, model],
            evidence.priors[:, model],
            pool=context,
            off_length=evidence.surplus[:, model],
        )
        for model in range(len(fitted.pool))
    ]
    return np.stack(columns, axis=1)


def choose_members(evidence: Evidence, trust: Array) -> list[int]:
    """The models worth a place on the council: at most seven, cheapest first.

    Greedily, the model that most raises what a perfect chooser among drafts would reach at a
    range of prices, each draft counting by its held-out trust and not by its luck.
    """
    models = evidence.covered.tolist()
    full = evidence.usable
    rates = logistic.sigmoid(trust[full])
    costs = evidence.costs[full]
    unit = float(costs.mean(axis=0)[best_of(evidence.scores[full])]) or 1.0
    chosen = grown([], models, worths=worths(rates, costs / unit))
    return sorted(chosen, key=lambda model: float(costs[:, model].mean()))


def worths(rates: Array, costs: Array) -> list[Array]:
    """What each answer (n, m) is worth beside its cost, at a range of prices.

    An answer worth less than its price is worth nothing: nobody is chosen for being cheap alone.
    """
    import numpy as np

    return [np.maximum(rates - price * costs, 0.0) for price in np.geomspace(0.005, 1.0, 8)]


def grown(start: Sequence[int], models: Sequence[int], *, worths: Sequence[Array]) -> list[int]:
    """`start` and, greedily, whoever of `models` most raises the worth of each row's best answer.

    At most :data:`MOST_MEMBERS`; of equals the one that comes first in `models`.
    """
    chosen = list(start)
    reached = sum(float(worth[:, chosen].max(axis=1).mean()) for worth in worths) if chosen else 0.0
    while len(chosen) < min(MOST_MEMBERS, len(models)):
        rest = [model for model in models if model not in chosen]
        value = {
            model: sum(float(worth[:, [*chosen, model]].max(axis=1).mean()) for worth in worths)
            for model in rest
        }
        best = max(rest, key=value.__getitem__)
        if chosen and value[best] - reached < LEAST_GAIN * len(worths):
            break
        chosen.append(best)
        reached = value[best]
    return chosen


def fit_council(
    evidence: Evidence, trust: Array, members: Sequence[int], *, expected: Array
) -> tuple[Council, States]:
    """The council of `members`, and every state by weights that left the query out.

    `expected` (n, m) are the scores that a ranker expects, NaN where there is none.
    """
    import numpy as np

    weights: dict[int, Array] = {}
    states = States()
    _start(states, len(evidence.scores), len(members))
    for places in sets(len(members)):
        number = set_number(places)
        heard_of = [members[place] for place in places]
        heard, right = hear(evidence, trust, heard_of), evidence.scores[:, heard_of]
        fresh = council.first(heard.answers)
        rows, columns = np.nonzero(fresh)
        order = np.lexsort((columns, rows))
        rows, columns = rows[order], columns[order]
        table = _stack(heard, rows, columns)
        targets = _targets(heard.answers, right)[rows, columns]
        weights[number], odds = held_out(
            table, targets, evidence.fold[rows], penalty=SET_PENALTY, standardise=True
        )
        found = np.zeros(fresh.shape)
        found[rows, columns] = logistic.sigmoid(odds)
        found = _but_ranked(
            found, heard.answers, humbled(expected[:, heard_of], evidence.flagged[:, heard_of])
        )
        _settle(states, number, places=places, heard=heard, found=found)
    names = [evidence.pool[member] for member in members]
    return Council(names, weights), states


def read_council(
    fitted: Council, evidence: Evidence, *, trust: Array, members: Sequence[int], expected: Array
) -> States:
    """Every state of `evidence` by a fitted council."""
    states = States()
    _start(states, len(evidence.scores), len(members))
    for places in sets(len(members)):
        number = set_number(places)
        heard_of = [members[place] for place in places]
        heard = hear(evidence, trust, heard_of)
        found = fitted.confidences(number, heard) * council.first(heard.answers)
        found = _but_ranked(
            found, heard.answers, humbled(expected[:, heard_of], evidence.flagged[:, heard_of])
        )
        _settle(states, number, places=places, heard=heard, found=found)
    return states


def dearest(states: States, evidence: Evidence, members: Sequence[int]) -> States:
    """`states` of a cascade that never combines: the dearest member heard gives the answer.

    Members stand in order of cost, so the highest bit of a set's number is its dearest.
    """
    import numpy as np

    found = States(best=dict(states.best), second=dict(states.second))
    for number, top in states.tops.items():
        mine = np.zeros_like(top)
        if number:
            place = number.bit_length() - 1
            mine[:, place] = True
            found.best[number] = states.each[number][:, place]
            found.second[number] = np.zeros(len(top))
        found.tops[number] = mine
    return found


def sets(members: int) -> list[tuple[int, ...]]:
    """Every set of at least one of so many members, small ones first."""
    return [
        places
        for size in range(1, members + 1)
        for places in itertools.combinations(range(members), size)
    ]


def set_number(places: Sequence[int]) -> int:
    """The bits of `places`."""
    return sum(1 << place for place in places)


def hear(evidence: Evidence, trust: Array, models: Sequence[int]) -> Heard:
    """What `models` said to every query."""
    columns = list(models)
    return Heard(
        answers=evidence.answers[:, columns],
        trust=trust[:, columns],
        priors=evidence.priors[:, columns],
        ease=evidence.priors.mean(axis=1),
    )


def held_out(
    table: Array,
    targets: Array,
    fold: Integers,
    *,
    penalty: float,
    standardise: bool = False,
    towards: Mapping[int, Array] | None = None,
) -> tuple[Array, Array]:
    """Logistic weights on every seen row, and each row's log-odds by a fit that left it out.

    Rows without a target, or outside every fold, are not fitted on; they are read by the whole
    fit. Standardisation is folded into the weights. `towards` holds what weights are shrunk
    towards, as standardised, by the fold left out (:data:`NOBODY` for none); 0 unless given.
    """
    import numpy as np

    seen = ~np.isnan(targets) & (fold != NOBODY)
    if not seen.any():
        return np.zeros(table.shape[1] + 1), np.zeros(len(table))
    mean, scale = np.zeros(table.shape[1]), np.ones(table.shape[1])
    if standardise:
        mean, spread = table[seen].mean(axis=0), table[seen].std(axis=0)
        scale = np.where(spread > 1e-6, spread, 1.0)
    standard = (table - mean) / scale
    centres = towards or {}
    whole = logistic.fit(standard[seen], targets[seen], penalty, towards=centres.get(NOBODY))
    odds = standard @ whole[1:] + whole[0]
    for number in np.unique(fold[seen]):
        use = seen & (fold != number)
        out = fold == number
        if not use.any():
            continue
        centre = centres.get(int(number))
        part = logistic.fit(
            standard[use], targets[use], penalty, start=whole, steps=2, towards=centre
        )
        odds[out] = standard[out] @ part[1:] + part[0]
    weights = np.concatenate([[whole[0] - float(mean / scale @ whole[1:])], whole[1:] / scale])
    return weights, odds


def _common(tables: Sequence[Array], evidence: Evidence) -> dict[int, Array]:
    """One head for all models' drafts, by the fold left out; :data:`NOBODY` for none."""
    import numpy as np

    order = np.random.default_rng(0).permutation(len(evidence.scores))
    few = order[evidence.fold[order] != NOBODY][:MOST_COMMON]
    right = evidence.scores[few].T.ravel()
    seen = ~np.isnan(right)
    right, fold = right[seen], np.tile(evidence.fold[few], len(tables))[seen]
    table = np.concatenate([one[few] for one in tables])[seen]
    found = {NOBODY: logistic.fit(table, right, COMMON_PENALTY)}
    for number in np.unique(fold).tolist():
        use = fold != number
        found[number] = logistic.fit(
            table[use], right[use], COMMON_PENALTY, start=found[NOBODY], steps=2
        )
    return found


def _but_ranked(found: Array, answers: Integers, expected: Array) -> Array:
    """`found`; where nobody gave an answer to share, what a ranker expects."""
    import numpy as np

    mute = np.all(answers < 0, axis=1, keepdims=True) & ~np.isnan(expected)
    ranked: Array = np.where(mute, expected, found)
    return ranked


def humbled(expected: Array, flagged: NDArray[np.bool_]) -> Array:
    """`expected` with flagged drafts below every other of their row (:func:`advances.humbled`)."""
    import numpy as np

    floor = np.where(flagged, np.inf, expected).min(axis=1, keepdims=True)
    mixed = flagged & np.isfinite(floor)
    lower: Array = np.where(mixed, 0.5 * np.where(mixed, floor, 0.0) * expected, expected)
    return lower


def pool_context(priors: Array) -> Array:
    """The mean and the best of the pool's log-odds, shape (n, 2), as heads read them."""
    import numpy as np

    return np.stack([priors.mean(axis=1), priors.max(axis=1)], axis=1)


def _start(states: States, count: int, members: int) -> None:
    """The state before anyone has spoken."""
    import numpy as np

    states.best[0], states.second[0] = np.zeros(count), np.zeros(count)
    states.tops[0] = np.zeros((count, members), dtype=bool)


def _stack(heard: Heard, rows: Integers, columns: Integers) -> Array:
    """The evidence on the answers first given at (rows, columns)."""
    import numpy as np

    size = heard.trust.shape[1]
    whole = np.zeros((len(rows), council.width(size)))
    for place in range(size):
        mine = columns == place
        whole[mine] = council.columns(heard, place)[rows[mine]]
    return whole


def _targets(answers: Integers, scores: Array) -> Array:
    """For each draft the mean score of those that give its answer."""
    import numpy as np

    found = np.zeros(scores.shape)
    for place in range(scores.shape[1]):
        same = (answers == answers[:, [place]]) & (answers[:, [place]] >= 0)
        same[:, place] = True
        found[:, place] = (same * scores).sum(axis=1) / same.sum(axis=1)
    return found


def _settle(
    states: States, number: int, *, places: Sequence[int], heard: Heard, found: Array
) -> None:
    """Note the best answer, its rival, and who gave it."""
    import numpy as np

    rows = np.arange(len(found))
    top = found.argmax(axis=1)
    states.best[number] = found[rows, top]
    rest = found.copy()
    rest[rows, top] = 0.0
    states.second[number] = rest.max(axis=1)
    mine = heard.answers[rows, top][:, None]
    same = (heard.answers == mine) & (mine >= 0)
    same[rows, top] = True
    whole = np.zeros(states.tops[0].shape, dtype=bool)
    whole[:, list(places)] = same
    states.tops[number] = whole
    own = np.zeros(whole.shape)
    own[:, list(places)] = _spread(found, heard.answers)
    states.each[number] = own


def _spread(found: Array, answers: Integers) -> Array:
    """`found` at the first draft of each answer, given to all drafts of that answer."""
    import numpy as np

    whole = found.copy()
    for place in range(1, answers.shape[1]):
        for earlier in range(place):
            same = (answers[:, place] == answers[:, earlier]) & (answers[:, place] >= 0)
            whole[same, place] = np.maximum(whole[same, place], found[same, earlier])
    return whole
