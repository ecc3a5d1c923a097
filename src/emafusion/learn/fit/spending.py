"""What calls will cost: each model's prices and its own count of a prompt's tokens, from bills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

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


class Bills(Struct, frozen=True, kw_only=True):
    """What calls cost: US dollars per token, and each model's mean bill.

    Parameters
    ----------
    prices : ndarray, shape (2, m)
        Per prompt token and per completion token.
    means : ndarray, shape (m,)
        The mean bill; it stands in where ``follows`` says that bills do not follow tokens.
    follows : ndarray of bool, shape (m,)
    """

    prices: Array
    means: Array
    follows: NDArray[np.bool_]

    def expected(self, prompts: Array, completions: Array) -> Array:
        """US dollars for calls of so many tokens of both kinds, each (n, m)."""
        import numpy as np

        told = prompts * self.prices[0] + completions * self.prices[1]
        billed: Array = np.where(self.follows, told, self.means)
        return billed


def bills(recorded: Recorded) -> Bills:
    """Prices by least squares from what was billed, none below 0."""
    import numpy as np
    from scipy.optimize import nnls

    models = len(recorded.models)
    prices, follows = np.zeros((2, models)), np.zeros(models, dtype=bool)
    for m in range(models):
        table = np.stack([recorded.prompt_tokens[:, m], recorded.tokens[:, m]], axis=1)
        seen = ~np.isnan(table).any(axis=1) & ~np.isnan(recorded.costs[:, m])
        billed = recorded.costs[seen, m]
        if seen.sum() < 2 or not billed.any():
            continue
        # In millionths: the solver's tolerances are absolute.
        prices[:, m] = nnls(table[seen], billed * 1e6)[0] / 1e6
        told = table[seen] @ prices[:, m]
        follows[m] = float(np.abs(told - billed).mean()) < 0.5 * float(billed.mean())
    return Bills(prices=prices, means=np.nanmean(recorded.costs, axis=0), follows=follows)
