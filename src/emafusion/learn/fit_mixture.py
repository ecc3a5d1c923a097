"""Fits when to ask the slow classifier and how much to believe it, from prompts labelled by hand.

Knows probabilities, names and truths; not where they came from. A weight stays zero on an axis
where the slow classifier's help cannot be told from luck.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from emafusion.errors import DataError
from emafusion.types import AXES, Axis, Labels
from emafusion.understand import Mixture

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WEIGHTS = np.linspace(0.0, 0.9, 10)
_FOLDS = 5
_ERRORS = 1.64
"""Standard errors by which help must clear zero: one-sided 95 %."""
_KEPT = 0.9
"""The share of the help that asking less often must keep."""


def fit_mixture(
    fast: Sequence[Labels],
    named: Sequence[Mapping[Axis, str]],
    truth: Sequence[Mapping[Axis, str]],
    *,
    seed: int = 0,
) -> Mixture:
    """The mixture that minimises held-out log-loss, zero where that is not clearly better.

    Parameters
    ----------
    fast : sequence of Labels
        What the fast classifier reads in each prompt.
    named : sequence of mappings
        What the slow one names for it, axes it did not name left out.
    truth : sequence of mappings
        The right label on each axis.
    seed : int
        Of the folds.

    Raises
    ------
    DataError
        Where the three differ in length, or hold fewer prompts than folds.
    """
    if not len(fast) == len(named) == len(truth) >= _FOLDS:
        raise DataError(f"fitting a mixture needs {_FOLDS} prompts or more, each read and labelled")
    folds = np.random.default_rng(seed).permutation(len(fast)) % _FOLDS
    weight: dict[Axis, float] = {}
    trust: dict[Axis, float] = {}
    gains = np.zeros(len(fast))
    for axis in AXES:
        says = [row.get(axis) for row in named]
        right = np.array([s == row[axis] for s, row in zip(says, truth, strict=True)])
        told = np.array([s is not None for s in says])
        losses = _held_out(axis, fast, truth, told=told, right=right, folds=folds)
        gain = losses[:, :1] - losses
        best = int(gain.mean(axis=0).argmax())
        error = gain[:, best].std() / len(fast) ** 0.5
        helps = gain[:, best].mean() > _ERRORS * error
        weight[axis] = float(_WEIGHTS[best]) if helps else 0.0
        trust[axis] = _trust(right[told])
        gains += gain[:, best] if helps else 0.0
    return Mixture(weight=weight, trust=trust, unsure=_unsure(fast, weight, gains))


def _trust(right: NDArray[np.bool_]) -> float:
    return float((right.sum() + 1) / (len(right) + 2))


def _held_out(
    axis: Axis,
    fast: Sequence[Labels],
    truth: Sequence[Mapping[Axis, str]],
    *,
    told: NDArray[np.bool_],
    right: NDArray[np.bool_],
    folds: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Log-loss of each prompt (row) at each weight (column), the trust taken from other folds."""
    own = np.array([labels.axes[axis][row[axis]] for labels, row in zip(fast, truth, strict=True)])
    count = max(2, len(fast[0].axes[axis]))
    slow = np.zeros(len(fast))
    for fold in range(_FOLDS):
        held = folds == fold
        trust = _trust(right[told & ~held])
        slow[held] = np.where(right[held], trust, (1.0 - trust) / (count - 1))
    mixed = own[:, None] + np.where(told, slow - own, 0.0)[:, None] * _WEIGHTS
    return -np.log(np.clip(mixed, 1e-6, 1.0))


def _unsure(
    fast: Sequence[Labels], weight: Mapping[Axis, float], gains: NDArray[np.float64]
) -> float:
    """The lowest threshold on the fast one's best label that keeps most of the help."""
    asked = [axis for axis in AXES if weight[axis] > 0.0]
    if not asked:
        return 0.0
    sure = np.array([min(max(row.axes[axis].values()) for axis in asked) for row in fast])
    order = np.argsort(sure)
    kept = np.cumsum(gains[order])
    enough = int(np.argmax(kept >= _KEPT * gains.sum()))
    return float(min(1.0, np.nextafter(sure[order][enough], 2.0)))
