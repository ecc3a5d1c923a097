"""The learned router: one logistic head per model over the request's vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LearnedRouter:
    """ŝ(m, x) = σ(w_m · h(x) + b_m), an ensemble over bootstrap fits (DESIGN §2.2).

    Parameters
    ----------
    weights : ndarray, shape (k, d, models)
        One fit per bootstrap sample.
    biases : ndarray, shape (k, models)
        Their intercepts.
    """

    def __init__(self, weights: NDArray[np.float64], biases: NDArray[np.float64]) -> None:
        self._weights = weights
        self._biases = biases
        # One request at a time: all fits' heads side by side, so that one product weighs them.
        self._flat = weights.transpose(1, 0, 2).reshape(weights.shape[1], -1)

    @property
    def parameters(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The weights and the biases, as given."""
        return self._weights, self._biases

    def rate(self, vector: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """P(good answer) per model and its spread over the ensemble, each of shape (models,)."""
        import numpy as np

        logits = (vector @ self._flat).reshape(self._biases.shape)
        logits += self._biases
        rates = 1.0 / (1.0 + np.exp(-logits))
        count = len(rates)
        mean = np.add.reduce(rates, 0) / count
        rates -= mean
        return mean, np.sqrt(np.add.reduce(rates * rates, 0) / count)

    def rates(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Every fit's P(good answer), shape (k, n, models)."""
        import numpy as np

        logits = np.einsum("nd,kdm->knm", vectors, self._weights) + self._biases[:, None, :]
        rates: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-logits))
        return rates
