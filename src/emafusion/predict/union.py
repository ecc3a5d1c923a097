"""Both routers, one forecast: familiar queries lean on one, unfamiliar ones on the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from msgspec import Struct

from emafusion.catalog import tokens
from emafusion.predict import prior
from emafusion.predict.features import Features
from emafusion.predict.learned import LearnedRouter
from emafusion.predict.lengths import Lengths
from emafusion.predict.suitability import Suitability
from emafusion.protocols import Encoder
from emafusion.types import Context, Estimate, Forecast, Labels, Model, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Row: TypeAlias = tuple[float, float, float, float, float]


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

    def share(self, familiarity: float) -> float:
        """The learned router's share by the gate, for a query of this familiarity."""
        a, b = self.gate
        return 1.0 / (1.0 + math.exp(min(-(a + b * familiarity), 700.0)))

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

    def read(self, text: str, labels: Labels, *, gate: float, prompt_tokens: float) -> _Read:
        """What was learnt of each model of the pool, applied to one request."""
        import numpy as np

        vector = self.features.vector(text, labels)
        rate, std = self.learned.rate(vector)
        cell, error = self.suitability.rate(labels)
        rest = 1.0 - gate
        odds = gate * _logit(rate)
        odds += rest * _logit(cell)
        lengths = self.lengths.tokens(vector)
        columns = (
            1.0 / (1.0 + np.exp(-odds)),
            np.hypot(gate * std, rest * error),
            lengths,
            np.maximum(self.lengths.seconds(prompt_tokens, lengths), 0.0),
            self.overhead[0] + self.overhead[1] * prompt_tokens,
        )
        # One row a model; for arrays of so few, lists are the quicker way to turn them.
        rows = zip(*[column.tolist() for column in columns], strict=True)
        # Rates are bounded before they are weighed, so the odds of their mean are too.
        told: list[float] = odds.tolist()
        context = Context(mean=sum(told) / len(told), best=max(told))
        return _Read(dict(zip(self.pool, rows, strict=True)), context)

    def usual(self) -> Mapping[str, _Usual]:
        """What each model of the pool does on the whole."""
        import numpy as np

        lengths = self.lengths.usual()
        none = self.lengths.seconds(0.0, lengths)
        table = np.array(
            [
                *self.suitability.overall,
                lengths,
                none,
                self.lengths.seconds(1.0, lengths) - none,
                *self.overhead,
            ]
        )
        return dict(zip(self.pool, (_Usual(*row) for row in table.T.tolist()), strict=True))

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
        self._usual = {} if fitted is None else fitted.usual()

    def predict(self, request: Request, labels: Labels, models: Sequence[Model]) -> Forecast:
        """One estimate for each of `models`, in their order."""
        fitted = self._fitted
        expected, limit = tokens.expected(request.messages), request.max_tokens
        if fitted is None:
            told = _estimates({}, models, labels, prompt_tokens=expected, limit=limit)
            return Forecast(estimates=told)
        gate = self.gate(labels)
        read = fitted.read(request.text, labels, gate=gate, prompt_tokens=expected)
        estimates = _estimates(read.rows, models, labels, prompt_tokens=expected, limit=limit)
        return Forecast(estimates=estimates, gate=gate, context=read.context)

    def usual(self, request: Request, models: Sequence[Model]) -> Forecast:
        """What each of `models` does on the whole: nothing is read but the prompt's length."""
        expected, limit = tokens.expected(request.messages), request.max_tokens
        known = (one.name for one in models if one.name in self._usual)
        rows = {name: self._usual[name].row(expected) for name in known}
        told = _estimates(rows, models, Labels(axes={}), prompt_tokens=expected, limit=limit)
        return Forecast(estimates=told)

    def gate(self, labels: Labels) -> float:
        """The learned router's share for a query of this familiarity."""
        if self._share is not None:
            return self._share
        return 0.0 if self._fitted is None else self._fitted.share(labels.familiarity)


class _Usual(NamedTuple):
    """What one model does on the whole: seconds and the prompt's tokens by our count of them."""

    quality: float
    std: float
    tokens: float
    seconds: float
    seconds_per_token: float
    overhead: float
    per_token: float

    def row(self, prompt_tokens: float) -> _Row:
        """For a prompt of so many tokens."""
        seconds = max(self.seconds + self.seconds_per_token * prompt_tokens, 0.0)
        prompt = self.overhead + self.per_token * prompt_tokens
        return self.quality, self.std, self.tokens, seconds, prompt


class _Read(NamedTuple):
    """What was learnt of a pool, applied to one request.

    Of each model, by name: quality, its standard error, tokens, seconds, and the prompt's tokens by
    its own count.
    """

    rows: Mapping[str, _Row]
    context: Context | None


def _estimates(
    rows: Mapping[str, _Row],
    models: Sequence[Model],
    labels: Labels,
    *,
    prompt_tokens: float,
    limit: int | None,
) -> tuple[Estimate, ...]:
    """One of each of `models`, from what was learnt of it or else from the prior."""
    return tuple(
        _of(row, model, labels, limit=limit)
        if (row := rows.get(model.name)) is not None
        else prior.estimate(model, labels, prompt_tokens, limit=limit)
        for model in models
    )


def _of(row: _Row, model: Model, labels: Labels, *, limit: int | None) -> Estimate:
    """The estimate of a model that something was learnt of: its length bounded, priced."""
    quality, std, length, seconds, prompt = row
    if model.ability:
        quality = _with_opinion(quality, std, model, labels=labels)
    longest = model.max_output
    if limit and limit < longest:
        longest = limit
    if length > longest:
        length = float(longest)
    return Estimate(
        model=model.name,
        quality=quality,
        quality_std=std,
        cost_usd=(prompt * model.usd_per_mtok_in + length * model.usd_per_mtok_out) / 1e6,
        latency_s=seconds,
        tokens=length,
    )


def _logit(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    # Of a few rates np.clip takes longer than all the rest.
    clipped = np.minimum(np.maximum(rates, 0.005), 0.995)
    return np.log(clipped / (1.0 - clipped))


def _with_opinion(quality: float, std: float, model: Model, *, labels: Labels) -> float:
    """`quality` with the expert's opinion added to the evidence as pseudo-counts."""
    told = prior.opinion(model, labels)
    if told is None:
        return quality
    evidence = quality * (1.0 - quality) / max(std**2, 1e-4)
    total = evidence + model.ability_weight
    return (evidence * quality + model.ability_weight * told) / total
