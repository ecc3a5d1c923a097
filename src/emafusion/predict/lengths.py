"""How long each model's answer will be, and so what it will cost and how long it will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Lengths:
    """E[completion tokens] = exp(w_m · h(x) + b_m + s_m²/2): a log-normal regression per model.

    Parameters
    ----------
    weights : ndarray, shape (d, models)
    biases, spreads : ndarray, shape (models,)
        Intercepts, and standard deviations of the log length.
    paces : ndarray, shape (3, models)
        Seconds of a call: intercept, per prompt token, per completion token.
    """

    def __init__(
        self,
        weights: NDArray[np.float64],
        biases: NDArray[np.float64],
        *,
        spreads: NDArray[np.float64],
        paces: NDArray[np.float64],
    ) -> None:
        self._weights = weights
        self._biases = biases
        self._spreads = spreads
        self._paces = paces
        self._levels = biases + spreads**2 / 2

    def tokens(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected completion tokens per model, shape (models,)."""
        return _exp(vector @ self._weights + self._levels)

    def usual(self) -> NDArray[np.float64]:
        """Those for the average query, whose standardised vector is nought."""
        return _exp(self._levels)

    def seconds(self, prompt_tokens: float, tokens: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected seconds of a call per model, shape (models,)."""
        fixed, per_prompt, per_token = self._paces
        seconds: NDArray[np.float64] = fixed + per_prompt * prompt_tokens + per_token * tokens
        return seconds


def _exp(log: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    return np.exp(np.minimum(np.maximum(log, 0.0), 9.0))
