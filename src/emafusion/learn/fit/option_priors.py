"""Fits the prior of :mod:`emafusion.judge.option_prior`: what options give away.

Knows which option was right from the drafts that chose it; reads no reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emafusion.judge import option_prior
from emafusion.judge.option_prior import OptionPrior
from emafusion.learn.fit.evidence import NOBODY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

FEWEST = 150
"""Questions with options below which nothing is fitted."""
PENALTY = 5.0
STEPS, FEW_STEPS = 30, 4
HALVINGS = 12
"""Times that a step which would lower the likelihood is halved: the curvature may mislead."""
ENOUGH = 1e-3
"""Log-likelihood below which a further step is not worth taking."""
RIGHT = 0.5


def fit(
    seen: Sequence[Array], chosen: Integers, *, scores: Array, fold: Integers
) -> tuple[OptionPrior | None, Array]:
    """The prior, and what priors that left each query out say of the options chosen.

    Parameters
    ----------
    seen : sequence of n ndarray, each (options, traits)
        No rows where a question offers none.
    chosen : ndarray of int, shape (n, m)
        The option that each draft names, by position; −1 where it names none.
    scores : ndarray, shape (n, m)
        The drafts' scores; NaN where a model was not asked.
    fold : ndarray of int, shape (n,)

    Returns
    -------
    prior : OptionPrior or None
        ``None`` where too few questions have one right option that is known.
    told : ndarray, shape (n, m, 2)
        As :func:`read`.
    """
    import numpy as np

    right = _right(seen, chosen, scores)
    known = np.flatnonzero((right >= 0) & (fold != NOBODY))
    if len(known) < FEWEST:
        return None, np.zeros((*chosen.shape, 2))
    rows = np.concatenate([seen[query] for query in known.tolist()])
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(spread > 1e-6, spread, 1.0)
    sizes = np.array([len(seen[query]) for query in known.tolist()])
    table = option_prior.columns((rows - mean) / scale)
    ends = np.cumsum(sizes)
    answers = ends - sizes + right[known]
    whole = _logit(table, sizes, answers)
    prior = OptionPrior(mean=mean, scale=scale, weights=whole)
    told = read(prior, seen, chosen)
    for number in np.unique(fold[known]):
        use = fold[known] != number
        out = np.flatnonzero(fold == number)
        if not use.any():
            told[out] = 0.0  # nothing that left these out has been fitted
            continue
        starts = np.cumsum(sizes[use]) - sizes[use]
        part = _logit(
            table[np.repeat(use, sizes)],
            sizes[use],
            starts + right[known][use],
            start=whole,
            steps=FEW_STEPS,
        )
        without = OptionPrior(mean=mean, scale=scale, weights=part)
        told[out] = read(without, [seen[query] for query in out.tolist()], chosen[out])
    return prior, told


def read(prior: OptionPrior | None, seen: Sequence[Array], chosen: Integers) -> Array:
    """What `prior` says of the options chosen, and how far that is from its favourite's."""
    import numpy as np

    found = np.zeros((*chosen.shape, 2))
    for query, traits in enumerate(seen):
        if prior is None or not len(traits):
            continue
        told = prior.told(traits)
        named = chosen[query] >= 0
        found[query, named, 0] = told[chosen[query, named]]
        found[query, named, 1] = found[query, named, 0] - told.max()
    return found


def _right(seen: Sequence[Array], chosen: Integers, scores: Array) -> Integers:
    """The position of the one option that drafts were right to choose; −1 where it is unknown."""
    import numpy as np

    found = np.full(len(seen), -1, dtype=np.int64)
    good = (scores > RIGHT) & (chosen >= 0)
    for query in np.flatnonzero(good.any(axis=1)):
        options = set(chosen[query, good[query]].tolist())
        if len(options) == 1:
            found[query] = options.pop()
    return found


def _logit(
    table: Array,
    sizes: Integers,
    answers: Integers,
    *,
    start: Array | None = None,
    steps: int = STEPS,
) -> Array:
    """Weights of a conditional logit by Newton's method, each bearing :data:`PENALTY`.

    `table` holds the options of all questions one after the other, `sizes` how many each has, and
    `answers` the rows of the right ones.
    """
    import numpy as np

    starts = np.cumsum(sizes) - sizes
    owner = np.repeat(np.arange(len(sizes)), sizes)
    ridge = np.eye(table.shape[1]) * PENALTY
    wanted = table[answers].sum(axis=0)

    def seen(weights: Array) -> tuple[float, Array]:
        """The penalised log-likelihood, and the options' probabilities."""
        scores = table @ weights
        scores -= np.maximum.reduceat(scores, starts)[owner]
        rates = np.exp(scores)
        sums = np.add.reduceat(rates, starts)
        value = scores[answers].sum() - np.log(sums).sum() - PENALTY * float(weights @ weights) / 2
        return float(value), rates / sums[owner]

    weights = np.zeros(table.shape[1]) if start is None else start.copy()
    value, rates = seen(weights)
    for _ in range(steps):
        weighted = table * rates[:, None]
        typical = np.add.reduceat(weighted, starts, axis=0)
        hessian = weighted.T @ table - typical.T @ typical + ridge
        slope = wanted - typical.sum(axis=0) - PENALTY * weights
        step = np.linalg.solve(hessian, slope)
        for _ in range(HALVINGS):
            higher, rates = seen(weights + step)
            if higher >= value:
                break
            step = step / 2.0
        else:
            break
        weights, gained, value = weights + step, higher - value, higher
        if gained < ENOUGH:
            break
    found: Array = weights
    return found
