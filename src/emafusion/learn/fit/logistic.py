"""Ridge-penalised logistic regression by Newton's method, for many small fits in a row.

Knows arrays alone. It is ours because one fold refitted from another's solution takes two steps
of a few milliseconds, and there are thousands of folds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ENOUGH = 3e-3
"""A step smaller than this, in standardised units, ends the search."""
STEEPEST = 30.0


def fit(
    inputs: Array,
    targets: Array,
    penalty: float,
    *,
    start: Array | None = None,
    steps: int = 10,
    towards: Array | None = None,
) -> Array:
    """Weights w, intercept first, that minimise −Σ log-likelihood + penalty·|w − w₀|²/2.

    Iteratively reweighted least squares (McCullagh & Nelder, 1989, §2.5); the intercept bears a
    fiftieth of an observation.

    Parameters
    ----------
    inputs : ndarray, shape (n, d)
        Standardised columns.
    targets : ndarray, shape (n,)
        In [0, 1]; a fraction counts as that share of a success.
    penalty : float
        In units of observations; at least 0.
    start : ndarray, shape (d + 1,), optional
        Where to begin: the solution of nearly the same rows needs two steps.
    steps : int
        Newton steps at most.
    towards : ndarray, shape (d + 1,), optional
        w₀, what the weights are shrunk towards; 0 unless given.

    Returns
    -------
    ndarray, shape (d + 1,)
    """
    import numpy as np

    table = np.column_stack([np.ones(len(inputs)), inputs])
    ridge = np.full(table.shape[1], max(penalty, 1e-6))
    ridge[0] = 1e-6 + 0.02  # a fiftieth of an observation keeps a one-sided sample finite
    centre = np.zeros(table.shape[1]) if towards is None else towards
    weights = centre.copy() if start is None else start.copy()
    for _ in range(steps):
        step = _step(table, targets, weights=weights, ridge=ridge, centre=centre)
        weights += step
        if float(np.abs(step).max()) < ENOUGH:
            break
    return weights


def resampled(
    inputs: Array, targets: Array, penalty: float, *, weights: Array, shares: Array
) -> Array:
    """One Newton step from `weights` for each row of `shares` (k, n), times each row counts.

    The one-step bootstrap (Andrews, 2002): as good as a refit to the order that a standard error
    needs, for one inversion in all. Shape (k, d + 1).
    """
    import numpy as np

    table = np.column_stack([np.ones(len(inputs)), inputs])
    ridge = np.full(table.shape[1], max(penalty, 1e-6))
    ridge[0] = 1e-6
    rates = sigmoid(table @ weights)
    hessian = (table * (rates * (1.0 - rates))[:, None]).T @ table + np.diag(ridge + 1e-9)
    slopes = (shares * (targets - rates)) @ table - ridge * weights
    found: Array = weights + np.linalg.solve(hessian, slopes.T).T
    return found


def sigmoid(log_odds: Array) -> Array:
    """1 / (1 + e^−x), without overflow."""
    import numpy as np

    rates: Array = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -STEEPEST, STEEPEST)))
    return rates


def log_odds(rates: Array) -> Array:
    """ln(p / (1 − p)), with p kept within [0.005, 0.995]."""
    import numpy as np

    clipped = np.clip(rates, 0.005, 0.995)
    odds: Array = np.log(clipped / (1.0 - clipped))
    return odds


def _step(table: Array, targets: Array, *, weights: Array, ridge: Array, centre: Array) -> Array:
    import numpy as np

    rates = sigmoid(table @ weights)
    slope = table.T @ (targets - rates) - ridge * (weights - centre)
    hessian = (table * (rates * (1.0 - rates))[:, None]).T @ table
    hessian[np.diag_indices_from(hessian)] += ridge + 1e-9
    step = np.asarray(np.linalg.solve(hessian, slope), dtype=np.float64)
    size = float(np.abs(step).max())
    # A start far from the solution may overshoot; no weight of a standardised column needs more.
    return step if size <= 5.0 else step * (5.0 / size)
