"""RouteLLM's matrix factorisation: does the strong model's answer beat the weak one's here?"""

from __future__ import annotations

from itertools import permutations, product
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from emafusion.evaluate.baselines.plays import Play, figures, pick
from emafusion.evaluate.baselines.settings import swept, val_aiq
from emafusion.evaluate.baselines.singles import accuracies, mean_costs
from emafusion.evaluate.runs import System

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]

SOURCE = (
    "RouteLLM, Ong et al. 2024, arXiv:2406.18665, section 4.2 (matrix factorisation: "
    "δ(M, q) = w₂ᵀ(v_M ⊙ (W₁ᵀ v_q + b)), P(strong wins) = σ(δ_s − δ_w))"
)
RANK: Final = 32
EPOCHS: Final = (5, 15, 40)
BATCH: Final = 256
RATE: Final = 3e-3
DECAY: Final = 1e-4
_LEVELS: Final = 41


class Factors(Struct, frozen=True, kw_only=True):
    """What the bilinear form has learnt; ``w₂`` is folded into the models' vectors."""

    models: Array
    prompts: Array
    bias: Array

    def strengths(self, vectors: Array) -> Array:
        """δ(M, q) of every model for every prompt, shape (n, m)."""
        return (vectors @ self.prompts + self.bias) @ self.models.T


def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
    """Pair and length of training with the best AIQ on val; the dial is the threshold on P."""
    fitted = {epochs: fit(train, seed=seed, epochs=epochs) for epochs in EPOCHS}
    known = {epochs: factors.strengths(val.vectors) for epochs, factors in fitted.items()}
    ranking, costs = accuracies(train, val), mean_costs(train, val)
    pairs = [
        (weak, strong)
        for weak, strong in permutations(range(len(ranking)), 2)
        if costs[weak] < costs[strong] < np.inf and ranking[weak] < ranking[strong]
    ]
    if not pairs:  # One model is both the best and the cheapest: there is nothing to trade.
        best = int(ranking.argmax())
        pairs = [(best, best)]

    def merit(setting: tuple[int, tuple[int, int]]) -> float:
        epochs, pair = setting
        wins = _wins(known[epochs], pair)
        plays = (
            _play(val, wins, pair, threshold=level, ranking=ranking) for level in _levels(wins)
        )
        return val_aiq(val, [figures(val, play) for play in plays])

    epochs, pair = max(product(EPOCHS, pairs), key=merit)
    asked = fitted[epochs].strengths(test.vectors)
    wins = {id(val): _wins(known[epochs], pair), id(test): _wins(asked, pair)}
    names = f"{test.models[pair[0]]}→{test.models[pair[1]]}"
    runs = swept(
        val,
        test,
        settings=_levels(wins[id(val)]),
        play=lambda table, level: _play(
            table, wins[id(table)], pair, threshold=level, ranking=ranking
        ),
        knob=lambda level: f"{names} threshold={level:.3g}",
    )
    return System(name="matrix_factorisation", role="baseline", runs=runs, source=SOURCE)


def fit(train: Table, *, seed: int, epochs: int) -> Factors:
    """Maximum likelihood of which of two answers scored higher, over all pairs of models.

    Ties teach nothing about order and are left out. Adam (Kingma & Ba, 2015), minibatches.
    """
    rng = np.random.default_rng(seed)
    wins = _preferences(train.scores)
    rows = np.flatnonzero(wins.any(axis=(1, 2)))
    d, m = train.vectors.shape[1], train.scores.shape[1]
    weights = [
        rng.normal(0, 0.3, (m, RANK)),
        rng.normal(0, 1 / np.sqrt(d), (d, RANK)),
        rng.normal(0, 0.3, RANK),
    ]
    descent = Adam(weights)
    for _ in range(epochs):
        order = rng.permutation(rows)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            descent.step(_slopes(weights, train.vectors[batch], wins[batch]))
    return Factors(models=weights[0], prompts=weights[1], bias=weights[2])


class Adam:
    """Stochastic descent with moments (Kingma & Ba, ICLR 2015, algorithm 1); changes in place."""

    def __init__(self, weights: list[Array]) -> None:
        self._weights = weights
        self._moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
        self._steps = 0

    def step(self, slopes: list[Array]) -> None:
        """One step down the slopes, with a little decay towards 0."""
        self._steps += 1
        for place, slope in enumerate(slopes):
            first, second = self._moments[place]
            first += 0.1 * (slope - first)
            second += 0.001 * (slope**2 - second)
            mean = first / (1 - 0.9**self._steps)
            spread = np.sqrt(second / (1 - 0.999**self._steps)) + 1e-8
            weight = self._weights[place]
            weight -= RATE * (mean / spread + DECAY * weight)


def _preferences(scores: Array) -> NDArray[np.bool_]:
    """Whether model i's answer beat model j's, shape (n, m, m)."""
    return scores[:, :, None] > scores[:, None, :]


def _slopes(weights: list[Array], vectors: Array, wins: NDArray[np.bool_]) -> list[Array]:
    """Gradient of the mean −log σ(δ_winner − δ_loser) over the pairs of a batch."""
    models, prompts, bias = weights
    inner = vectors @ prompts + bias
    strength = inner @ models.T
    gaps = strength[:, :, None] - strength[:, None, :]
    pull = np.where(wins, 1.0 / (1.0 + np.exp(np.clip(gaps, -30, 30))), 0.0)
    outer = (pull.sum(axis=1) - pull.sum(axis=2)) / max(int(wins.sum()), 1)
    back = outer @ models
    return [outer.T @ inner, vectors.T @ back, back.sum(axis=0)]


def _wins(strengths: Array, pair: tuple[int, int]) -> Array:
    """P(the strong model wins), shape (n,)."""
    weak, strong = pair
    return np.asarray(1.0 / (1.0 + np.exp(strengths[:, weak] - strengths[:, strong])))


def _levels(wins: Array) -> list[float]:
    """Thresholds that send evenly growing shares of the prompts to the strong model."""
    inner = np.quantile(wins, np.linspace(1, 0, _LEVELS)).tolist()
    return [2.0, *inner[1:-1], 0.0]


def _play(
    table: Table, wins: Array, pair: tuple[int, int], *, threshold: float, ranking: Array
) -> Play:
    """Strong where P(it wins) reaches the threshold, else weak; then by accuracy alone."""
    weak, strong = pair
    utilities = np.tile(ranking, (len(wins), 1))
    utilities[:, weak] += 2.0
    utilities[:, strong] += np.where(wins >= threshold, 4.0, 1.0)
    return pick(table, utilities)
