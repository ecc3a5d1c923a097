"""Which prompts to ask a newcomer: those whose answers will say most of all the others.

Knows the columns of :mod:`~emafusion.learn.probing.likeness` and how much each row would teach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emafusion.errors import DataError
from emafusion.learn.fit import logistic
from emafusion.learn.probing.likeness import Prior

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]


def informative(table: Array, prior: Prior, count: int) -> Integers:
    """Positions of the `count` rows of `table` to ask, most telling first; none twice.

    Greedily, each row lowers most the mean variance of the forecast over all rows, given those
    before it: the Bayesian V-optimal design of the logistic regression at its prior mean
    (Chaloner & Verdinelli, 1995, §4). Deterministic; of rows that teach alike the first.

    Raises
    ------
    DataError
        There are fewer rows than that.
    """
    import numpy as np

    if count > len(table):
        raise DataError(
            f"the outcomes hold {len(table)} prompts that every model has answered; "
            f"{count} cannot be chosen from them"
        )
    rates = logistic.sigmoid(table @ prior.mean)
    sharp = rates * (1.0 - rates)
    covariance = np.diag(prior.spread**2.0)
    # The variance of a rate is that of its log-odds times the square of its slope.
    wanted = (table * (sharp**2)[:, None]).T @ table / len(table)
    free = np.ones(len(table), dtype=bool)
    chosen = []
    for _ in range(count):
        reach = table @ covariance
        own = np.einsum("ij,ij->i", reach, table)
        gain = sharp * np.einsum("ij,jk,ik->i", reach, wanted, reach) / (1.0 + sharp * own)
        best = int(np.where(free, gain, -np.inf).argmax())
        free[best] = False
        chosen.append(best)
        covariance = covariance - np.outer(reach[best], reach[best]) * (
            sharp[best] / (1.0 + sharp[best] * own[best])
        )
    return np.array(chosen, dtype=np.int64)
