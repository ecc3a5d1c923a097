"""What a watch over models must know of them as they were: fitted once, and then left as it is.

Knows forecasts and lengths of answers; who looks out for a change is :mod:`emafusion.learn.online`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emafusion.evaluate.recorded import Recorded
from emafusion.learn import traffic
from emafusion.learn.fit import logistic
from emafusion.learn.online import Habits, Reference
from emafusion.protocols import Encoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEVELS = 101
FEWEST = 40
"""Answers of a model below which nothing is told of its habits."""
ENOUGH_ASKED = 200
"""Queries of callers among those of a fit from which on they alone are the reference."""
SECONDS = 5
"""The best models, whose agreement with all others is told of: one of them will be asked."""


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


def queries(recorded: Recorded, encoder: Encoder) -> dict[str, NDArray[np.generic]]:
    """What the queries of the fit were like, ``queries_*`` in a watch's arrays.

    Callers' own queries are the reference where there are enough of them, as
    ``queries_of_callers`` says: those that were drawn from seeds beside them would make every
    caller's look odd.
    """
    import numpy as np

    rows = zip(recorded.queries, recorded.prompts, strict=True)
    asked = [prompt for query, prompt in rows if query == traffic.identifier(prompt)]
    enough = len(asked) >= ENOUGH_ASKED
    found = Reference.fit(encoder.encode(asked if enough else recorded.prompts))
    arrays = {f"queries_{name}": array for name, array in found.to_arrays().items()}
    return {**arrays, "queries_of_callers": np.array([enough])}


def agreement(
    forecast: Array, scores: Array, answers: NDArray[np.int64]
) -> dict[str, NDArray[np.generic]]:
    """How often a good model gives the answer that another gave, as ``agreement`` (4,).

    By logistic regression on the log-odds of the checked model, the checking one and their product;
    empty where answers cannot be compared.

    Parameters
    ----------
    forecast, scores : ndarray, shape (n, m)
        Calibrated P(right), by fits that left each row out; true scores, NaN where unknown.
    answers : ndarray, shape (n, m)
        Which of a query's answers each model gave; below 0 where it gave none.
    """
    import numpy as np

    odds = logistic.log_odds(forecast)
    good, asked = np.nansum(scores, axis=0), (~np.isnan(scores)).sum(axis=0)
    best = np.argsort(-good / np.maximum(asked, 1))[:SECONDS]
    terms, same = [], []
    for second in best.tolist():
        for first in range(scores.shape[1]):
            both = (answers[:, first] >= 0) & (answers[:, second] >= 0)
            if first == second or not both.any():
                continue
            one, two = odds[both, first], odds[both, second]
            terms.append(np.stack([one, two, one * two], axis=1))
            same.append((answers[both, first] == answers[both, second]).astype(np.float64))
    if sum(map(len, same)) < FEWEST:
        return {}
    return {"agreement": logistic.fit(np.concatenate(terms), np.concatenate(same), 1.0)}
