"""Labels without annotators: how likely each recorded answer is right, by what the others say.

Knows answers as numbers, equal in a row where drafts say the same. It knows no text, no model and
no price; whoever has true scores keeps them.

Votes are weighed as forecasts whose errors correlate (Winkler, "Combining Probability
Distributions from Dependent Information Sources", 1981): models err together, on what is hard, so
fourteen votes are worth far fewer. With one correlation ρ among all errors, what the votes have in
common counts 1 / (1 + (m − 1) ρ) of itself, what sets a model apart counts in full:
w_j = d_j − mean d + μ / (1 + (m − 1) ρ). The accuracies a_j are those that the labels themselves
imply (Dawid & Skene, 1979, "one coin" per model). How good the pool is as a whole they cannot
imply, for confident labels would confirm themselves: μ comes from how often two models agree.

Were all errors equally correlated, d_j would be logit(a_j). But what weak models get right the
strong ones mostly get right too, and where a strong one stands against many weak ones they share a
mistake: among weak models accuracy tells little, among the best it tells most. So d_j falls
exponentially with how far behind the best a model is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from emafusion.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

Labels = Literal["reference", "consensus"]
"""Who says how good the fitted answers were."""

CORRELATION: Final = 0.2
"""ρ: how far the errors of two models go together."""
TYPICAL: Final = 1.25
"""What a typical vote alone is worth, in log-odds, where half of all pairs of models agree."""
MOST_AGREEING: Final = 0.9
"""Pairs that agree more often than this, or seldomer than the rest, tell no more than at it."""
BEST: Final = 1.8
"""What the best model's vote weighs more than one of no use, in log-odds."""
FADING: Final = 0.7
"""Log-odds of accuracy behind the best over which that falls to 1/e."""
NOBODY: Final = 0.3
"""Share of all votes' weight that "nobody is right" weighs."""
TRUSTED: Final = 30.0
"""Known scores of a model that tell as much of its accuracy as all labels together."""
COPIES: Final = 0.7
"""Share of common dissent above which two models are one. Of 182 pairs of real models, in two pools
of fourteen, it was .28 at most, and .53 of two strong ones among three weak."""
FEWEST_AGAINST: Final = 20
ROUNDS: Final = 100
LEAST: Final = 0.02
DOUBTED: Final = 300.0
"""Queries of known scores at which votes tell as much of an answer as its own score does."""
FEWEST_MODELS: Final = 3
"""With two, a disagreement says nothing of who errs."""


class Consensus(Struct, frozen=True, kw_only=True):
    """Soft labels of n queries × m models.

    Parameters
    ----------
    scores : ndarray, shape (n, m)
        P(right) of each answer; NaN where a model was not asked, or the query cannot be voted on.
    reliability : ndarray, shape (m,)
        Each model's estimated accuracy.
    noise : float
        Expected share of wrong labels, were each answer called right or wrong by the odds.
    labelled : int
        Queries with labels.
    """

    scores: Array
    reliability: Array
    noise: float
    labelled: int


def consensus(
    answers: Integers,
    *,
    asked: NDArray[np.bool_],
    scores: Array | None = None,
    hunches: Array | None = None,
) -> Consensus:
    """How likely each answer is right, by the votes of all models.

    Parameters
    ----------
    answers : ndarray of int, shape (n, m)
        Equal in a row for equivalent answers, −1 where none can be read: such an answer is wrong
        where others could be read.
    asked : ndarray of bool, shape (n, m)
        Where there is a draft at all.
    scores : ndarray, shape (n, m), optional
        True scores where they are known, else NaN. They stand, and tell how good the models are.
    hunches : ndarray, shape (n, m), optional
        Log-odds of each answer by what no vote tells, such as how options are written: equal for
        equal answers.

    Raises
    ------
    DataError
        Fewer than three models, or no query on which drafts can be compared.
    """
    import numpy as np

    models = answers.shape[1]
    if models < FEWEST_MODELS:
        raise DataError(
            f"consensus needs at least {FEWEST_MODELS} models, the outcomes hold {models}; "
            "add models, or give references or graders"
        )
    said = np.where(asked, answers, -1)
    votable = (said >= 0).sum(axis=1) >= 2
    if not votable.any():
        raise DataError(
            "no two drafts of any query have answers to compare, so there is no consensus; "
            "give references or graders"
        )
    known = np.full(said.shape, np.nan) if scores is None else np.where(asked, scores, np.nan)
    weights = _Weights(known, _agreement(said), _split(said))
    told = np.zeros(said.shape)
    for _ in range(ROUNDS):
        told = _posterior(said, weights.votes, hunches)
        told = np.where(np.isnan(known), told, known)
        if not weights.learn(told, asked & votable[:, None]):
            break
    labels = np.where(asked & votable[:, None], told, known)
    guessed = labels[np.isnan(known) & ~np.isnan(labels)]
    return Consensus(
        scores=labels,
        reliability=weights.reliability,
        noise=float(np.minimum(guessed, 1.0 - guessed).mean()) if len(guessed) else 0.0,
        labelled=int((~np.isnan(labels)).any(axis=1).sum()),
    )


def comparable(
    answers: Integers, *, asked: NDArray[np.bool_], kinds: Sequence[str]
) -> NDArray[np.bool_]:
    """The queries on which votes can be counted: of a kind whose answers mostly agree somewhere.

    What can be read of letters and essays agrees now and then too, and means nothing: of 575
    open-ended queries 80 looked comparable, and votes on them told worse than chance. So the kind
    decides: most of its queries must have mostly readable answers, two of them equal.

    Parameters
    ----------
    answers, asked : ndarray, shape (n, m)
        As for :func:`consensus`.
    kinds : sequence of n str
        Queries of one kind ask for the same sort of answer: their task. Where it is not known, an
        empty text, nobody votes.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    import numpy as np

    said = np.sort(np.where(asked, answers, -1), axis=1)
    equal = ((said[:, 1:] == said[:, :-1]) & (said[:, 1:] >= 0)).any(axis=1)
    seem = equal & (2 * (said >= 0).sum(axis=1) >= asked.sum(axis=1))
    several = asked.sum(axis=1) > 1
    found = np.zeros(len(said), dtype=np.bool_)
    for kind in set(kinds) - {""}:
        mine = np.array([one == kind for one in kinds], dtype=np.bool_)
        found |= mine & bool(2 * (seem & mine).sum() >= (several & mine).sum())
    countable: NDArray[np.bool_] = found & ((said >= 0).sum(axis=1) > 1)
    return countable


def steadied(answers: Integers, scores: Array, *, hunches: Array) -> Array:
    """`scores` moved towards what the votes on each answer say, the more the fewer they are.

    A score is the luck of one answer, the vote on it an estimate that varies less: few rows teach
    more when some of the luck is taken out (distillation; Hinton et al., 2015). With n queries,
    :data:`DOUBTED` / (n + :data:`DOUBTED`) of the way, at most half; a row without votes stays.

    Parameters
    ----------
    answers : ndarray of int, shape (n, m)
        As for :func:`consensus`.
    scores : ndarray, shape (n, m)
        NaN where a model was not asked.
    hunches : ndarray, shape (n, m)
        As for :func:`consensus`.
    """
    import numpy as np

    said = np.where(np.isnan(scores), -1, answers)
    read = said >= 0
    count, models = said.shape
    if models < FEWEST_MODELS or not read.any():
        return scores
    weights = _Weights(scores, _agreement(said), _split(said))
    weights.learn(scores, ~np.isnan(scores))
    voted = _posterior(said, weights.votes, hunches)
    share = DOUBTED / (max(count, DOUBTED) + DOUBTED)
    votable = read & (read.sum(axis=1, keepdims=True) >= 2)
    found: Array = np.where(votable, (1.0 - share) * scores + share * voted, scores)
    return found


class _Weights:
    """What each model's vote weighs, by how often `known` scores and the labels call it right."""

    def __init__(self, known: Array, agreement: float, split: Array) -> None:
        import numpy as np

        alone = TYPICAL + math.log(agreement / (1.0 - agreement))
        self._split = split
        self._shared = max(alone, 0.0) / (1.0 + (float(split.sum()) - 1.0) * CORRELATION)
        self._trials = (~np.isnan(known)).sum(axis=0)
        self._successes = np.nan_to_num(known).sum(axis=0)
        self.reliability: Array = np.full(known.shape[1], 0.6)

    @property
    def votes(self) -> Array:
        """The weight of each model's vote."""
        import numpy as np

        told = np.log(self.reliability / (1.0 - self.reliability))
        ahead = BEST * np.exp((told - told.max()) / FADING)
        usual = float(ahead @ self._split) / float(self._split.sum())
        weights: Array = (ahead - usual + self._shared) * self._split
        return weights

    def learn(self, labels: Array, counted: NDArray[np.bool_]) -> bool:
        """Take the reliabilities from the `labels` that count; whether they still moved."""
        import numpy as np

        implied = np.where(counted, labels, 0.0).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
        found = (self._successes + TRUSTED * implied) / (self._trials + TRUSTED)
        found = np.clip(found, LEAST, 1.0 - LEAST)
        moved = bool(np.abs(found - self.reliability).max() > 1e-4)
        self.reliability = found
        return moved


def _split(said: Integers) -> Array:
    """The part of a vote that each model has, shape (m,): copies of one model share one."""
    import numpy as np

    models = said.shape[1]
    if models - 2 < FEWEST_MODELS:
        return np.ones(models)
    same = (said[:, :, None] == said[:, None, :]) & (said >= 0)[:, :, None]
    group = np.arange(models)
    for one, other in itertools.combinations(range(models), 2):
        if _copied(said, same, pair=(one, other)):
            group[group == group[other]] = group[one]
    return np.asarray([1.0 / float((group == one).sum()) for one in group])


def _copied(said: Integers, same: NDArray[np.bool_], *, pair: tuple[int, int]) -> bool:
    """Whether two models are copies of one; `same` (n, m, m) tells who says the same.

    They are where they say the same in most of the rows in which one of them is against most of
    the others: models of their own err apart.
    """
    import numpy as np

    one, other = pair
    rest = same.sum(axis=2) - same[:, :, one] - same[:, :, other]
    rest[:, [one, other]] = 0
    chosen = said[np.arange(len(said)), rest.argmax(axis=1)]
    firm = 2 * rest.max(axis=1) > (said >= 0).sum(axis=1) - 2
    both = (said[:, one] >= 0) & (said[:, other] >= 0)
    against = firm & both & ((said[:, one] != chosen) | (said[:, other] != chosen))
    found = int(against.sum())
    return found >= FEWEST_AGAINST and int((against & same[:, one, other]).sum()) > COPIES * found


def _agreement(said: Integers) -> float:
    """The share of pairs of readable answers that agree, kept off 0 and 1."""
    import numpy as np

    agreeing = pairs = 0
    for model in range(1, said.shape[1]):
        both = (said[:, :model] >= 0) & (said[:, model, None] >= 0)
        agreeing += int((both & (said[:, :model] == said[:, model, None])).sum())
        pairs += int(both.sum())
    return float(np.clip(agreeing / max(pairs, 1), 1.0 - MOST_AGREEING, MOST_AGREEING))


def _posterior(said: Integers, votes: Array, hunches: Array | None) -> Array:
    """P(right) of every answer (n, m), one answer or none of a row being right."""
    import numpy as np

    count, models = said.shape
    rows = np.arange(count)
    weight = np.zeros((count, max(int(said.max()) + 1, 1)))
    present = np.zeros(weight.shape, dtype=bool)
    hunch = np.zeros(weight.shape)
    total = np.zeros(count)
    for model in range(models):
        here = rows[said[:, model] >= 0]
        np.add.at(weight, (here, said[here, model]), votes[model])
        present[here, said[here, model]] = True
        total[here] += max(float(votes[model]), 0.0)
        if hunches is not None:
            hunch[here, said[here, model]] = hunches[here, model]
    weight = np.column_stack([np.where(present, weight + hunch, -np.inf), NOBODY * total])
    odds = np.exp(weight - weight.max(axis=1, keepdims=True))
    shares = odds / odds.sum(axis=1, keepdims=True)
    found = np.take_along_axis(shares, np.maximum(said, 0), axis=1)
    told: Array = np.where(said >= 0, found, 0.0)
    return told
