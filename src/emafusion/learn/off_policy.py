"""What another policy would have brought, told from the traffic that one policy served.

Only the answer of the action that was taken was seen, so what the other policy would do alike is
weighed by how likely it was to be seen. It knows logged rows and numbers; where they are kept, and
what an action stands for (a model to start with, a plan), others know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from emafusion.errors import DataError
from emafusion.learn.bootstrap import FEWEST_CLUSTERS, Estimate, mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

CLIP: Final = 20.0
"""A weight above this counts as this: one lucky row must not decide."""
FEWEST_EFFECTIVE: Final = 40.0
"""Rows' worth of evidence on any action below which an interval would promise too much."""
MOST_CUT: Final = 0.05
"""Share of all weight that clipping may cut off; more, and the intervals are not where they say."""
LEAST_MET: Final = 0.9
"""Share of what a policy would do that must have had a chance to be served."""
RIDGE: Final = 1.0
FOLDS: Final = 5

Estimator = Literal["ips", "snips", "dr"]


class Logged(Struct, frozen=True, kw_only=True):
    """One decision that was served, and what came of it.

    ``propensity`` is the probability in (0, 1] with which the serving policy took `action`;
    ``reward`` lies in [0, 1], ``cost_usd`` counts every call made. ``features`` are equally many
    for every row; ``cluster`` groups rows that are not independent, such as those of one caller.
    """

    decision_id: str
    action: str
    propensity: float
    reward: float
    cost_usd: float = 0.0
    features: tuple[float, ...] = ()
    cluster: str = ""


class Evaluation(Struct, frozen=True, kw_only=True):
    """What the log says of another policy.

    Parameters
    ----------
    logged : Estimate
        The mean utility of what was served.
    estimates : mapping of estimator to Estimate
        Inverse propensity (``ips``), its self-normalised form (``snips``), doubly robust (``dr``).
    gain : Estimate
        The doubly robust estimate less that of the other policy, or what was served, row by row.
    rows, effective, clipped
        Rows in the log, how many independent ones their weights are worth (Kish), and the share of
        weights above :data:`CLIP`, each of which biases the estimates towards what was served
        seldom.
    """

    logged: Estimate
    estimates: Mapping[Estimator, Estimate]
    gain: Estimate
    rows: int
    effective: float
    clipped: float


def evaluate(
    rows: Sequence[Logged],
    policy: Sequence[Mapping[str, float]],
    *,
    over: Sequence[Mapping[str, float]] | None = None,
    usd_per_quality: float = float("inf"),
    seed: int = 0,
) -> Evaluation:
    """Estimate the utility of `policy` on the traffic of `rows`.

    Parameters
    ----------
    rows : sequence of n Logged
    policy : sequence of n mappings of action to probability
        What the other policy would do at each of these decisions.
    over : sequence of n mappings of action to probability, optional
        What a third would do, which the gain is counted over; by default, what was served.
    usd_per_quality : float
        US dollars that a quality point of 1 is worth; the utility is reward − cost ÷ this, and
        −cost at 0, where cost alone counts.
    seed : int
        Fixes folds and bootstrap.

    Raises
    ------
    DataError
        A propensity, reward, cost, feature or probability makes no sense; or the log says too
        little of what the policy would do: what is known of one of its actions is worth fewer
        than :data:`FEWEST_EFFECTIVE` rows of all, clipping cuts off more than :data:`MOST_CUT` of
        the weight, less than :data:`LEAST_MET` of what it would do had a chance to be served, or
        there are fewer than :data:`FEWEST_CLUSTERS` clusters.

    References
    ----------
    Horvitz & Thompson, JASA 1952 (inverse propensity); Swaminathan & Joachims, NeurIPS 2015
    (self-normalised); Dudík, Langford & Li, ICML 2011 (doubly robust); Kish, "Survey Sampling",
    1965 (effective sample size).
    """
    import numpy as np

    for one in (policy,) if over is None else (policy, over):
        _check(rows, one, usd_per_quality)
    log = _read(rows, (*policy, *(over or ())), usd_per_quality, seed=seed)
    raw, robust = _weighed(policy, log)
    other = log.utility if over is None else _weighed(over, log)[1]
    weights, clusters, utility = np.minimum(raw, CLIP), log.clusters, log.utility
    return Evaluation(
        logged=mean(utility, clusters=clusters, seed=seed),
        estimates={
            "ips": mean(weights * utility, clusters=clusters, seed=seed),
            "snips": mean(weights * utility, clusters=clusters, weights=weights, seed=seed),
            "dr": mean(robust, clusters=clusters, seed=seed),
        },
        gain=mean(robust - other, clusters=clusters, seed=seed),
        rows=len(rows),
        effective=float(weights.sum() ** 2 / (weights**2).sum()),
        clipped=float((raw > CLIP).mean()),
    )


class _Log(Struct, frozen=True, kw_only=True):
    """Which of the `actions` each row took, with which chance and utility.

    ``told`` is the utility that each action is expected to have there, ``clusters`` what the rows
    are drawn together with.
    """

    actions: Sequence[str]
    taken: Integers
    chance: Array
    utility: Array
    told: Array
    clusters: Sequence[str]


def _read(
    rows: Sequence[Logged], wanted: Sequence[Mapping[str, float]], price: float, *, seed: int
) -> _Log:
    import numpy as np

    actions = sorted({row.action for row in rows} | {name for one in wanted for name in one})
    taken = np.array([actions.index(row.action) for row in rows])
    utility = np.array([_utility(row, price) for row in rows])
    return _Log(
        actions=actions,
        taken=taken,
        chance=np.array([row.propensity for row in rows]),
        utility=utility,
        told=_modelled(rows, taken, utility, actions=len(actions), seed=seed),
        clusters=_clusters(rows),
    )


def _weighed(policy: Sequence[Mapping[str, float]], log: _Log) -> tuple[Array, Array]:
    """Each row's weight, unclipped, and its doubly robust utility under `policy`."""
    import numpy as np

    rows = np.arange(len(log.utility))
    wanted = np.array([[one.get(name, 0.0) for name in log.actions] for one in policy])
    raw = wanted[rows, log.taken] / log.chance
    _check_evidence(raw, log.taken, log.clusters)
    seen = np.minimum(raw, CLIP) * (log.utility - log.told[rows, log.taken])
    return raw, (wanted * log.told).sum(axis=1) + seen


def _check(
    rows: Sequence[Logged], policy: Sequence[Mapping[str, float]], usd_per_quality: float
) -> None:
    if not usd_per_quality >= 0.0:
        raise DataError(f"a quality point cannot be worth {usd_per_quality!r} US dollars")
    if not rows or len(rows) != len(policy):
        raise DataError(
            f"there are {len(rows)} logged decisions and {len(policy)} of the policy; "
            "there must be equally many, and at least one"
        )
    for row, one in zip(rows, policy, strict=True):
        where = f"decision {row.decision_id!r}"
        if not 0.0 < row.propensity <= 1.0:
            raise DataError(
                f"{where} has propensity {row.propensity!r}; it must lie in (0, 1]: what was "
                "served without one cannot tell of another policy"
            )
        if not 0.0 <= row.reward <= 1.0:
            raise DataError(f"{where} has reward {row.reward!r}; rewards go from 0 to 1")
        if not all(map(math.isfinite, (row.cost_usd, *row.features))):
            raise DataError(f"{where} has a cost or a feature that is not a finite number")
        # Asked for what must hold: nothing holds of a number that is none.
        if not (abs(sum(one.values()) - 1.0) <= 1e-6 and min(one.values()) >= 0.0):
            raise DataError(f"{where}: the policy's probabilities must be positive and sum to 1")
        if len(row.features) != len(rows[0].features):
            raise DataError(f"{where} has {len(row.features)} features, the first has others")


def _utility(row: Logged, price: float) -> float:
    return row.reward - row.cost_usd / price if price > 0.0 else -row.cost_usd


def _thinnest(weights: Array, taken: Integers) -> float:
    """The effective sample size, if all actions were known as little as the one known least.

    An action that is taken with share s of the weight, known from k rows' worth, counts as k ÷ s:
    a few rows that all went well say nothing of those that would not have.
    """
    import numpy as np

    sums, squares = np.bincount(taken, weights), np.bincount(taken, weights**2)
    seen = sums > 0.0
    return float((sums[seen] * weights.sum() / squares[seen]).min()) if seen.any() else 0.0


def _check_evidence(raw: Array, taken: Integers, names: Sequence[str]) -> None:
    import numpy as np

    weights, clusters = np.minimum(raw, CLIP), len(set(names))
    if clusters < FEWEST_CLUSTERS:
        raise DataError(
            f"the {len(raw)} logged decisions come in {clusters} clusters; at least "
            f"{FEWEST_CLUSTERS} are needed: log the traffic of more callers"
        )
    if (worth := _thinnest(weights, taken)) < FEWEST_EFFECTIVE:
        raise DataError(
            f"{len(raw)} logged decisions tell as much of this policy as {worth:.0f} of its own "
            f"would; at least {FEWEST_EFFECTIVE:.0f} are needed: explore more, or log more traffic"
        )
    if (cut := 1.0 - float(weights.sum() / raw.sum())) > MOST_CUT:
        raise DataError(
            f"{cut:.0%} of the weight of what this policy would do lies in decisions served so "
            f"seldom that they would count more than {CLIP:.0f} times; at most {MOST_CUT:.0%} may: "
            "explore more"
        )
    # Weights have mean 1 where all that the policy would do had a chance, whatever it was.
    if (met := mean(raw, clusters=names, seed=0).ceiling) < LEAST_MET:
        raise DataError(
            f"at most {met:.0%} of what this policy would do had a chance to be served, and "
            f"{LEAST_MET:.0%} is needed: of the rest the log says nothing; explore more"
        )


def _modelled(
    rows: Sequence[Logged], taken: Integers, utility: Array, *, actions: int, seed: int
) -> Array:
    """The utility that each action is expected to have at each row, shape (n, actions).

    Ridge regression per action on the features, by fits that left the row out; an action that was
    hardly ever taken is expected to do as actions do on average.
    """
    import numpy as np

    count = len(rows)
    table = np.array([row.features for row in rows], dtype=np.float64).reshape(count, -1)
    spread = table.std(axis=0)
    table = (table - table.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    # Rows of one cluster are left out together: they may be the same question.
    _, group = np.unique(np.array(_clusters(rows)), return_inverse=True)
    fold = np.random.default_rng(seed).permutation(int(group.max()) + 1)[group] % FOLDS
    told = np.zeros((count, actions))
    for left in range(FOLDS):
        out, rest = fold == left, fold != left
        overall = float(utility[rest].mean()) if rest.any() else 0.5
        for action in range(actions):
            mine = rest & (taken == action)
            mean = (float(utility[mine].sum()) + overall) / (int(mine.sum()) + 1)
            slope = _ridge(table[mine], utility[mine] - mean)
            told[out, action] = mean + table[out] @ slope
    top = max(float(utility.max()), 0.0)
    return np.clip(told, float(utility.min()), top)


def _clusters(rows: Sequence[Logged]) -> list[str]:
    """What each row belongs to; alone, itself."""
    return [row.cluster or f"{number}\0{row.decision_id}" for number, row in enumerate(rows)]


def _ridge(table: Array, residual: Array) -> Array:
    import numpy as np

    square = table.T @ table + RIDGE * max(len(table), 1) ** 0.5 * np.eye(table.shape[1])
    found: Array = np.linalg.solve(square, table.T @ residual)
    return found
