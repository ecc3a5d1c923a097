"""What a watch over models must know of them as they were: fitted once, and then left as it is.

Knows forecasts and lengths of answers; who looks out for a change is :mod:`emafusion.learn.online`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emafusion.evaluate.recorded import Recorded
from emafusion.learn.fit import logistic
from emafusion.learn.online import Habits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEVELS = 101
FEWEST = 40
"""Answers of a model below which nothing is told of its habits."""


def arrays(union: Array, recorded: Recorded, surplus: Array) -> dict[str, Array]:
    """The arrays of a watch, as an artefact names them.

    ``calibration`` is what :func:`calibration` finds, ``habits`` (101, m) are quantiles of each
    model's `surplus`, NaN for one with few answers.

    Parameters
    ----------
    union : ndarray, shape (n, m)
        Forecast P(right), by fits that left each row out.
    recorded : Recorded
        The rows' scores and tokens, NaN where a model was not asked.
    surplus : ndarray, shape (n, m)
        ln of found over expected completion tokens.
    """
    import numpy as np

    habits = np.full((LEVELS, surplus.shape[1]), np.nan)
    for model, counted in enumerate((~np.isnan(recorded.tokens)).T):
        if counted.sum() >= FEWEST:
            found = surplus[counted, model]
            habits[:, model] = Habits.fit(found[:, None], LEVELS).quantiles[:, 0]
    return {"calibration": calibration(union, recorded.scores), "habits": habits}


def calibration(forecast: Array, scores: Array) -> Array:
    """Intercept and slope of the true log-odds on the forecast's (Platt, 1999), shape (2,).

    A forecast shrunk towards the mean is too low on easy queries: left so, it would accuse the
    models that only they are sent to.

    Parameters
    ----------
    forecast, scores : ndarray, shape (n, m)
        P(right), by fits that left each row out; NaN scores are skipped.
    """
    import numpy as np

    known = ~np.isnan(scores)
    return logistic.fit(logistic.log_odds(forecast[known])[:, None], scores[known], 1.0)
