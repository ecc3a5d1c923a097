"""How strongly rows speak against a mean loss above α: evidence, one figure per threshold.

Knows bounded numbers only: what a loss means, and which threshold is chosen, are others' concern.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]

LARGEST_BET = 0.75
LARGEST_ANSWERING_BET = 0.4
"""Bets that keep every factor above 0 and rising in α, for losses in [−1, 1] and α in [0, 1)."""

BETS = (0.6, 1.0, 1.6)
PRIORS = (0.25, 0.5, 0.25)
"""The evidence is a mixture over bets around the one that the rows set aside suggest."""

TARGET = 3.0
"""Log-evidence that the bets are sized for; a constant, so that evidence does not depend on δ."""

DOUBT, TYPICAL = 10.0, 0.1
"""The second moment of a loss is shrunk to 0.1 with the weight of ten rows."""


def bets(losses: Array, accepted: Mask, *, rows: int, held_out: int | None = None) -> Array:
    """Stakes λ for each threshold, sized on rows that are not bet on.

    λ = √(2·TARGET / (k σ² (1 + n/m))): what makes a normal mean's evidence reach TARGET soonest,
    k of the n rows being accepted (Waudby-Smith & Ramdas, 2023, §4.2, with fixed n).

    Parameters
    ----------
    losses : ndarray, shape (r,)
        Losses in [−1, 1] of the rows set aside.
    accepted : ndarray of bool, shape (r, t)
        Which of them each threshold accepts.
    rows, held_out : int
        n, the number of rows that will be bet on, and m as in :func:`betting`.

    Returns
    -------
    ndarray, shape (t, 3)
    """
    import numpy as np

    counts = accepted.sum(axis=0)
    moments = ((losses**2) @ accepted + DOUBT * TYPICAL) / (counts + DOUBT)
    kept = np.maximum(accepted.mean(axis=0) * rows, 1.0)
    inflation = 1.0 if held_out is None else 1.0 + rows / held_out
    best = np.sqrt(2 * TARGET / (kept * moments * inflation))
    largest = LARGEST_BET
    if held_out is not None:
        largest = min(largest, LARGEST_ANSWERING_BET * held_out / rows)
    stakes: Array = np.minimum(best[:, None] * np.array(BETS), largest)
    return stakes


def betting(
    losses: Array, accepted: Mask, alpha: float, *, stakes: Array, held_out: int | None = None
) -> Array:
    """Log of the capital won by betting that the mean loss of accepted rows is at most α.

    With gᵢ = (lossᵢ − α)·acceptedᵢ the capital is a mixture over λ of Π (1 − λ gᵢ). It is an
    e-value for "E[loss | accepted] > α": its mean is at most 1 then, so it reaches 1/δ with
    probability at most δ, whatever the law of the losses (Waudby-Smith & Ramdas, "Estimating means
    of bounded random variables by betting", JRSS B 2023, §4). The stakes come from other rows; a
    product has no order, so neither has the evidence.

    With `held_out` = m the factors are 1 − λ gᵢ − (m/n) φ(λ′) gᵢ², where nλ = mλ′ and
    φ(x) = eˣ − 1 − x. By Bennett's inequality E e^{λ′g} ≤ 1 + λ′ E g + φ(λ′) E g² for g ≤ 1, so
    the capital times e^{λ′S}, S the sum of g over m further rows, has a mean of at most 1 under
    *every* law: P(S > 0 and capital ≥ 1/δ) ≤ δ.

    Parameters
    ----------
    losses : ndarray, shape (n,)
        Losses in [−1, 1].
    accepted : ndarray of bool, shape (n, t)
        Which rows each threshold accepts.
    alpha : float in [0, 1)
        The mean that is bet against.
    stakes : ndarray, shape (t, k)
        From :func:`bets`.
    held_out : int, optional
        m, the number of further rows whose observed mean is to be bounded.

    Returns
    -------
    ndarray, shape (t,)
        Log-evidence; it rises with α.
    """
    import numpy as np

    found = np.empty(accepted.shape[1])
    for place, (mask, sizes) in enumerate(zip(accepted.T, stakes, strict=True)):
        values, counts = np.unique(losses[mask] - alpha, return_counts=True)
        factors = 1.0 - np.multiply.outer(sizes, values)
        if held_out is not None:
            answering = sizes * len(losses) / held_out
            penalty = (np.expm1(answering) - answering) * held_out / len(losses)
            factors -= np.multiply.outer(penalty, values**2)
        capital = np.log(factors) @ counts + np.log(PRIORS)
        found[place] = np.logaddexp.reduce(capital)
    return found


def bernstein(losses: Array, accepted: Mask, alpha: float, *, width: float) -> Array:
    """Log of 1/p, p from the empirical Bernstein bound, for "E[loss | accepted] > α".

    The bound mean + √(2 v l / k) + 7 `width` l / (3 (k − 1)), l = log(2/δ), solved for the δ at
    which it equals α (Maurer & Pontil, COLT 2009, theorem 4); −∞ where the mean exceeds α.

    Parameters
    ----------
    losses, accepted, alpha
        As in :func:`betting`.
    width : float
        Length of the interval that the losses lie in.

    Returns
    -------
    ndarray, shape (t,)
    """
    import numpy as np

    counts = accepted.sum(axis=0).astype(np.float64)
    enough = np.maximum(counts, 2.0)
    means = losses @ accepted / enough
    variances = np.maximum((losses**2) @ accepted - enough * means**2, 0.0) / (enough - 1)
    slack = np.maximum(alpha - means, 0.0)
    linear, root = 7 * width / (3 * (enough - 1)), np.sqrt(2 * variances / enough)
    solved = (np.sqrt(root**2 + 4 * linear * slack) - root) / (2 * linear)
    return np.where((counts >= 2) & (means < alpha), solved**2 - np.log(2), -np.inf)
