"""Both routers, one forecast: familiar queries lean on one, unfamiliar ones on the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.catalog import tokens
from emafusion.predict import prior
from emafusion.predict.features import Features
from emafusion.predict.learned import LearnedRouter
from emafusion.predict.lengths import Lengths
from emafusion.predict.suitability import Suitability
from emafusion.protocols import Encoder
from emafusion.types import Context, Estimate, Forecast, Labels, Model, Request, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Fitted(Struct, frozen=True, kw_only=True):
    """What was learnt of a pool: its models in order, both routers, lengths, and the gate.

    ``gate`` = (a, b): the learned router's share is σ(a + b · familiarity). ``overhead`` (2, m)
    turns our count of a prompt's tokens into each model's own: intercept and slope.
    """

    pool: tuple[str, ...]
    features: Features
    suitability: Suitability
    learned: LearnedRouter
    lengths: Lengths
    gate: tuple[float, float]
    overhead: NDArray[np.float64]

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[np.generic]],
        pool: Sequence[str],
        *,
        encoder: Encoder,
        labels: Mapping[str, Sequence[str]],
    ) -> Fitted:
        """What a fit wrote, ready to predict."""
        import numpy as np

        found = {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}
        return cls(
            pool=tuple(pool),
            features=Features(encoder, labels, mean=found["mean"], scale=found["scale"]),
            suitability=Suitability(
                labels, found["trials"], found["successes"], strength=float(found["strength"][0])
            ),
            learned=LearnedRouter(found["weights"], found["biases"]),
            lengths=Lengths(
                found["length_weights"],
                found["length_biases"],
                spreads=found["length_spreads"],
                paces=found["length_paces"],
            ),
            gate=(float(found["gate"][0]), float(found["gate"][1])),
            overhead=found["overhead"],
        )

    def shares(
        self, labels: Sequence[Labels], *, share: float | None = None
    ) -> NDArray[np.float64]:
        """The learned router's share for each query, shape (n,); `share` overrides the gate."""
        import numpy as np

        if share is not None:
            return np.full(len(labels), share)
        a, b = self.gate
        familiar = np.array([one.familiarity for one in labels])
        found: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-(a + b * familiar)))
        return found

    def log_odds(
        self,
        vectors: NDArray[np.float64],
        labels: Sequence[Labels],
        *,
        share: float | None = None,
    ) -> NDArray[np.float64]:
        """The union's log-odds of a good answer for n queries × m models."""
        gates = self.shares(labels, share=share)[:, None]
        learned = self.learned.rates(vectors).mean(axis=0)
        taxonomy = self.suitability.weights(labels) @ self.suitability.rates
        return gates * _logit(learned) + (1.0 - gates) * _logit(taxonomy)

    def prompts(self, counted: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Prompt tokens by each model's own count, from ours; shape (..., m)."""
        import numpy as np

        ours = np.asarray(counted, dtype=np.float64)[..., None]
        counts: NDArray[np.float64] = self.overhead[0] + self.overhead[1] * ours
        return counts


class Union:
    """The union of both routers (DESIGN §2.2): a gated mean of their log-odds.

    A model outside the fitted pool gets the prior's estimate; an expert's ``ability`` enters every
    model's estimate as pseudo-counts.

    Parameters
    ----------
    fitted : Fitted, optional
        Without it, every model gets the prior's estimate.
    share : float, optional
        Overrides the gate: 0 is the taxonomy router alone, 1 the learned router alone.
    """

    def __init__(self, fitted: Fitted | None = None, *, share: float | None = None) -> None:
        self._fitted = fitted
        self._share = share

    def predict(self, request: Request, labels: Labels, models: Sequence[Model]) -> Forecast:
        """One estimate for each of `models`, in their order."""
        fitted = self._fitted
        pool = fitted.pool if fitted is not None else ()
        expected = tokens.expected(request.messages)
        read = self._read(fitted, request, labels) if fitted is not None else {}
        counts: dict[str, float] = {}
        if fitted is not None:
            counts = dict(zip(pool, fitted.prompts(expected).tolist(), strict=True))
        estimates = [
            _bounded(
                _with_opinion(read[model.name], model, labels),
                model,
                request=request,
                prompt=counts[model.name],
            )
            if model.name in pool
            else prior.estimate(model, labels, expected)
            for model in models
        ]
        return Forecast(
            estimates=tuple(estimates),
            gate=self.gate(labels) if read else 0.0,
            context=_context(read.values()),
        )

    def gate(self, labels: Labels) -> float:
        """The learned router's share for a query of this familiarity."""
        if self._share is not None:
            return self._share
        return 0.0 if self._fitted is None else float(self._fitted.shares([labels])[0])

    def _read(self, fitted: Fitted, request: Request, labels: Labels) -> dict[str, Estimate]:
        """What was learnt of each model of the pool, applied to this request; costs still open."""
        import numpy as np

        gate = self.gate(labels)
        vector = fitted.features.vectors([request.text], [labels])[0]
        taxonomy, taxonomy_std = fitted.suitability.rate(labels)
        learned, learned_std = fitted.learned.rate(vector)
        mixed = gate * _logit(learned) + (1.0 - gate) * _logit(taxonomy)
        quality = 1.0 / (1.0 + np.exp(-mixed))
        spread = np.sqrt((gate * learned_std) ** 2 + ((1.0 - gate) * taxonomy_std) ** 2)
        lengths = fitted.lengths.tokens(vector)
        seconds = fitted.lengths.seconds(tokens.expected(request.messages), lengths)
        table = np.stack([quality, spread, lengths, np.maximum(seconds, 0.0)], axis=1).tolist()
        return {
            name: Estimate(
                model=name, quality=q, quality_std=std, cost_usd=0.0, tokens=length, latency_s=s
            )
            for name, (q, std, length, s) in zip(fitted.pool, table, strict=True)
        }


def _context(read: Collection[Estimate]) -> Context | None:
    """How the whole pool is expected to do; ``None`` where nothing was learnt of one."""
    import numpy as np

    if not read:
        return None
    odds = _logit(np.array([estimate.quality for estimate in read]))
    return Context(mean=float(odds.mean()), best=float(odds.max()))


def _bounded(estimate: Estimate, model: Model, *, request: Request, prompt: float) -> Estimate:
    """`estimate` with its length under the caller's limit, priced."""
    limit = min(request.max_tokens or model.max_output, model.max_output)
    length = min(estimate.tokens, float(limit))
    cost = (prompt * model.usd_per_mtok_in + length * model.usd_per_mtok_out) / 1e6
    return replace(estimate, tokens=length, cost_usd=cost)


def _logit(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    clipped = np.clip(rates, 0.005, 0.995)
    return np.log(clipped / (1.0 - clipped))


def _with_opinion(estimate: Estimate, model: Model, labels: Labels) -> Estimate:
    """`estimate` with the expert's opinion added to the evidence as pseudo-counts."""
    told = prior.opinion(model, labels)
    if told is None:
        return estimate
    variance = max(estimate.quality_std**2, 1e-4)
    evidence = estimate.quality * (1.0 - estimate.quality) / variance
    total = evidence + model.ability_weight
    quality = (evidence * estimate.quality + model.ability_weight * told) / total
    return replace(estimate, quality=quality)
