"""What calls will cost: each model's prices and its own count of a prompt's tokens, from bills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emafusion.catalog import tokens
from emafusion.evaluate.recorded import Recorded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def counted(recorded: Recorded) -> Array:
    """Our own count of each prompt's tokens, shape (n,)."""
    import numpy as np

    return np.array(
        [tokens.expected([{"role": "user", "content": prompt}]) for prompt in recorded.prompts]
    )


def overhead(recorded: Recorded, ours: Array) -> Array:
    """Intercept and slope, both at least 0, from our count to each model's; shape (2, m)."""
    import numpy as np
    from sklearn.linear_model import LinearRegression

    found = np.tile([[0.0], [1.0]], (1, len(recorded.models)))
    for m in range(len(recorded.models)):
        seen = ~np.isnan(recorded.prompt_tokens[:, m])
        if seen.sum() < 2:
            continue
        line = LinearRegression(positive=True).fit(
            ours[seen, None], recorded.prompt_tokens[seen, m]
        )
        # A positive slope may leave a negative intercept: then the slope alone must serve.
        if line.intercept_ < 0.0:
            line = LinearRegression(positive=True, fit_intercept=False).fit(
                ours[seen, None], recorded.prompt_tokens[seen, m]
            )
        found[:, m] = float(line.intercept_), float(line.coef_[0])
    return found


def prices(recorded: Recorded) -> Array:
    """US dollars per prompt token and per completion token, from what was billed; shape (2, m)."""
    import numpy as np
    from scipy.optimize import nnls

    found = np.zeros((2, len(recorded.models)))
    for m in range(len(recorded.models)):
        table = np.stack([recorded.prompt_tokens[:, m], recorded.tokens[:, m]], axis=1)
        seen = ~np.isnan(table).any(axis=1) & ~np.isnan(recorded.costs[:, m])
        if seen.any():
            found[:, m] = nnls(table[seen], recorded.costs[seen, m])[0]
    return found


def expected(recorded: Recorded, prompts: Array, completions: Array) -> Array:
    """US dollars each call is expected to cost, (n, m), from expected tokens of both kinds.

    Where the bills do not follow tokens, a model's mean bill stands in.
    """
    import numpy as np

    rates = prices(recorded)
    told = prompts * rates[0] + completions * rates[1]
    means = np.nanmean(recorded.costs, axis=0)
    follows = told.mean(axis=0) > 0.5 * means
    billed: Array = np.where(follows, told, means)
    return billed
