"""Fits the policy of the second tier: what comparing or rewriting drafts adds, and how surely.

Knows how recorded combinings become gains over the draft that would have been selected. An action
that did not pay on the rows its fit left out is not written: its absence is the policy never to
take it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.evaluate.recorded import Recorded
from emafusion.execute.second_tier import gather
from emafusion.learn.combinings import Combined
from emafusion.learn.fit import logistic
from emafusion.learn.fit.deciding import Decided
from emafusion.plan.combining import ACTIONS, CAUTION, Action, Gain, features, table_of
from emafusion.types import Assessment, Labels, Verdict, log_odds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

FEWEST = 40
"""Rows of an action below which nothing is fitted."""
FEWEST_TAKEN = 10
"""Held-out rows on which the policy must have acted before it may act at all."""
PENALTY = 30.0
"""Observations of no gain that each feature's weight is shrunk by."""
ANCHOR = 10.0
"""Observations of no gain that the mean gain is shrunk by."""
FOLDS = 5
PAIR_PENALTY = 2.0
LEAST_SLOPE = 0.2
"""The least that a unit of log-odds between two drafts is taken to say of which is better."""
MOST_WEIGHT = 5.0
CLEAR = 1e-6
"""Difference of score below which two drafts are as good as each other."""


class Tried(Struct, frozen=True, kw_only=True):
    """n rows of one action.

    Parameters
    ----------
    by : tuple of k str
        The models that acted; ``places`` (n,) says which in each row.
    features : ndarray, shape (n, d)
        As :data:`emafusion.plan.combining.FEATURES`.
    odds : ndarray, shape (n, 2)
        Of comparisons: log-odds between the leading draft and its rival, by the panel and by the
        judge; zeros for syntheses.
    stopped, other : ndarray, shape (n,)
        Scores of the selected draft, and of what the action may put in its place: the rival, or the
        synthesis.
    costs : ndarray, shape (n,)
        US dollars.
    fold : ndarray of int, shape (n,)
        Rows of one query are left out together.
    """

    by: tuple[str, ...]
    places: Integers
    features: Array
    odds: Array
    stopped: Array
    other: Array
    costs: Array
    fold: Integers


class Seen(Struct, frozen=True, kw_only=True):
    """What the other fits made of the recorded queries.

    ``queries`` names the rows of `decided`'s evidence, ``labels`` and ``qualities`` (n, m) are of
    the same rows: what the classifier says, and the forecast by routers that left each out.
    """

    decided: Decided
    queries: tuple[str, ...]
    labels: Sequence[Labels]
    qualities: Array

    @classmethod
    def of(
        cls,
        decided: Decided,
        recorded: Recorded,
        *,
        rows: Integers,
        labels: Sequence[Labels],
        qualities: Array,
    ) -> Seen:
        """What there is of the queries at the positions `rows`, those that `decided` holds."""
        return cls(
            decided=decided,
            queries=tuple(recorded.queries[row] for row in rows.tolist()),
            labels=[labels[row] for row in rows.tolist()],
            qualities=qualities[rows],
        )


class Fitted(Struct, frozen=True, kw_only=True):
    """The actions that pay, and figures of each on rows that its fit left out."""

    gains: Mapping[Action, Gain]
    figures: Mapping[str, float]

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The arrays of an artefact's ``plan``."""
        return {
            name: array
            for action, gain in self.gains.items()
            for name, array in gain.to_arrays(action).items()
        }


def fit(rows: Sequence[Combined], seen: Seen, recorded: Recorded) -> Fitted:
    """The policy of the second tier, learnt from `rows`.

    `recorded` holds the drafts of all queries, by the columns of `seen`. Rows whose panel the
    council does not know, or whose drafts say the same, teach nothing.
    """
    gains: dict[Action, Gain] = {}
    figures: dict[str, float] = {}
    for action in ACTIONS:
        table = tried(rows, seen, recorded, action=action)
        if table is None or len(table.stopped) < FEWEST:
            continue
        told = held_out(table, action)
        figures |= {f"combine_{action}_{name}": value for name, value in told.items()}
        if told["pays"]:
            gains[action] = learnt(table, action)
    return Fitted(gains=gains, figures=figures)


def tried(
    rows: Sequence[Combined], seen: Seen, recorded: Recorded, *, action: Action
) -> Tried | None:
    """The rows of one action as arrays; ``None`` where there are none."""
    import numpy as np

    mine = [row for row in rows if row.action == action]
    by = tuple(sorted({row.by for row in mine}))
    found = [line for row in mine if (line := _line(row, seen, recorded)) is not None]
    if not found:
        return None
    columns, numbers, queries, names = zip(*found, strict=True)
    table = np.array(numbers, dtype=np.float64)
    order = {query: place for place, query in enumerate(dict.fromkeys(queries))}
    return Tried(
        by=by,
        places=np.array([by.index(name) for name in names]),
        features=np.array(columns, dtype=np.float64),
        odds=table[:, :2],
        stopped=table[:, 2],
        other=table[:, 3],
        costs=table[:, 4],
        fold=np.array([order[query] % FOLDS for query in queries]),
    )


Line = tuple[list[float], tuple[float, ...], str, str]


def _line(row: Combined, seen: Seen, recorded: Recorded) -> Line | None:
    """A row's features and numbers, its query and its model."""
    if row.score is None or row.query not in seen.queries or row.by not in recorded.models:
        return None
    place, at = seen.queries.index(row.query), recorded.queries.index(row.query)
    models = [recorded.models.index(name) for name in row.panel if name in recorded.models]
    drafts = [draft for m in models if (draft := recorded.drafts[at][m]) is not None]
    assessment = _assessment(seen.decided, place, models)
    if assessment is None or len(drafts) < max(2, len(row.panel)):
        return None
    gathered = gather(drafts, assessment)
    if gathered is None:
        return None
    quality = float(seen.qualities[place, recorded.models.index(row.by)])
    columns = features(gathered, seen.labels[place], by=row.by, quality=quality)
    first, second = gathered.leading
    scores = [float(recorded.scores[at, m]) for m in models]
    odds, other = (0.0, 0.0), row.score
    if row.action == "compare":
        if {first, second} != {0, 1}:
            return None
        said = log_odds(row.score) * (1.0 if first == 0 else -1.0)
        odds, other = (log_odds(gathered.best) - log_odds(gathered.second), said), scores[second]
    return columns, (*odds, scores[first], other, row.cost_usd), row.query, row.by


def _assessment(decided: Decided, place: int, models: Sequence[int]) -> Assessment | None:
    """What the council, left without this query, makes of the drafts of `models`."""
    members, states = decided.members, decided.states
    if len(set(models)) < len(models) or any(model not in members for model in models):
        return None
    number = sum(1 << members.index(model) for model in models)
    if number not in states.each:
        return None
    told = states.each[number][place]
    keys = [int(decided.evidence.answers[place, model]) for model in models]
    others = max(len(keys) - 1, 1)
    return Assessment(
        confidences=tuple(float(told[members.index(model)]) for model in models),
        verdicts=tuple(
            Verdict(
                judge="agreement",
                draft=draft,
                score=None if key < 0 else (keys.count(key) - 1) / others,
            )
            for draft, key in enumerate(keys)
        ),
        second=float(states.second[number][place]),
    )


def learnt(table: Tried, action: Action) -> Gain:
    """The expected gain of an action: Bayesian ridge regression about no gain at all.

    Weights have a normal prior of mean 0; their covariance is that of the posterior (Bishop,
    "Pattern Recognition and Machine Learning", 2006, §3.3), the noise estimated from the residuals.
    """
    import numpy as np

    weight = _weight(table) if action == "compare" else 0.0
    gains = outcome(table, weight, action) - table.stopped
    mean, spread = table.features.mean(axis=0), table.features.std(axis=0)
    scale = np.where(spread > CLEAR, spread, 1.0)
    columns = table_of((table.features - mean) / scale, table.places.tolist(), len(table.by))
    prior = np.full(columns.shape[1], PENALTY)
    prior[0] = ANCHOR
    inverse = np.asarray(np.linalg.inv(columns.T @ columns + np.diag(prior)), dtype=np.float64)
    weights = inverse @ (columns.T @ gains)
    used = float(np.einsum("nd,de,ne->", columns, inverse, columns))
    noise = float(((gains - columns @ weights) ** 2).sum()) / max(len(gains) - used, 1.0)
    # A few rows without any loss do not prove that there is none.
    noise = max(noise, 1.0 / len(gains))
    return Gain(
        by=table.by,
        mean=mean,
        scale=scale,
        weights=weights,
        covariance=noise * inverse,
        weight=weight,
    )


def outcome(table: Tried, weight: float, action: Action) -> Array:
    """The score after the action, shape (n,): a comparison may put the rival first."""
    import numpy as np

    if action == "synthesise":
        return table.other
    after = table.odds[:, 0] + weight * table.odds[:, 1]
    found: Array = np.where(after < 0.0, table.other, table.stopped)
    return found


def _weight(table: Tried) -> float:
    """How much of the panel's log-odds one of the judge's is worth, fitted on unlike pairs."""
    import numpy as np

    apart = table.stopped - table.other
    clear = np.abs(apart) > CLEAR
    if clear.sum() < FEWEST_TAKEN:
        return 0.0
    odds, better = table.odds[clear], (apart[clear] > 0.0).astype(np.float64)
    # Each pair both ways round: neither side is favoured, so no intercept is left to learn.
    slopes = logistic.fit(
        np.concatenate([odds, -odds]), np.concatenate([better, 1.0 - better]), PAIR_PENALTY
    )[1:]
    return float(np.clip(slopes[1] / max(slopes[0], LEAST_SLOPE), 0.0, MOST_WEIGHT))


def held_out(table: Tried, action: Action) -> dict[str, float]:
    """What the policy would have done on each row, fitted without the row's fold.

    Gains are mean scores over selecting, per row; costs US dollars per row. ``pays`` is 1 where the
    rows acted on are :data:`FEWEST_TAKEN` at least and gained, one-sided with 90 % confidence.
    """
    import numpy as np

    count = len(table.stopped)
    cautious, gains = np.zeros(count), np.zeros(count)
    for number in range(FOLDS):
        out = table.fold == number
        if not out.any() or out.all():
            continue
        found = learnt(_rows(table, ~out), action)
        told, spread = found.expect(table.features[out], table.places[out].tolist())
        cautious[out] = told - CAUTION * spread
        gains[out] = (outcome(table, found.weight, action) - table.stopped)[out]
    taken = cautious > 0.0
    mine = gains[taken]
    pays = 0.0
    if taken.sum() >= FEWEST_TAKEN:
        error = max(float(mine.std(ddof=1)), 1.0 / math.sqrt(len(mine))) / math.sqrt(len(mine))
        pays = float(float(mine.mean()) - CAUTION * error > 0.0)
    return {
        "rows": float(count),
        "selected": float(table.stopped.mean()),
        "always_gain": float(gains.mean()),
        "always_error": float(gains.std(ddof=1)) / math.sqrt(count),
        "always_cost": float(table.costs.mean()),
        "policy_share": float(taken.mean()),
        "policy_gain": float(np.where(taken, gains, 0.0).mean()) if pays else 0.0,
        "policy_cost": float(np.where(taken, table.costs, 0.0).mean()) if pays else 0.0,
        "pays": pays,
    }


def _rows(table: Tried, keep: NDArray[np.bool_]) -> Tried:
    arrays = {name: getattr(table, name)[keep] for name in table.__struct_fields__ if name != "by"}
    return Tried(by=table.by, **arrays)


__all__ = ["Fitted", "Seen", "Tried", "fit", "held_out", "learnt", "tried"]
