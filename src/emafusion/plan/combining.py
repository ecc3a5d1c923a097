"""Whether drafts that differ are worth another call: the fitted policy of the second tier.

Linear expectations of what a comparison or a synthesis adds to the selected draft's score, with
their uncertainty; a call is made only where even a cautious reading of its gain is worth its price
(DESIGN §2.5). Knows the arithmetic of deciding; the coefficients are learnt elsewhere, and where
none were learnt nothing is ever compared or rewritten.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

from emafusion.types import Estimate, Forecast, Labels, Model, Plan
from emafusion.types.outcomes import Gathered
from emafusion.types.plans import Combination

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Action: TypeAlias = Literal["compare", "synthesise"]
ACTIONS: tuple[Action, ...] = ("compare", "synthesise")
CAUTION = 1.2816
"""Standard errors below its expectation at which a gain is taken: one-sided 90 %."""
FEATURES = (
    "best",
    "second",
    "doubt",
    "agreeing",
    "more",
    "open_ended",
    "lead",
    "drafted",
    "prose",
    "reasoning",
    "code",
    "structured",
)
GROUPS: Mapping[str, tuple[Literal["task", "format"], frozenset[str]]] = {
    "prose": (
        "task",
        frozenset(
            {"summarisation", "generation", "rewriting", "translation", "planning", "conversation"}
        ),
    ),
    "reasoning": ("task", frozenset({"mathematical_reasoning", "logical_reasoning"})),
    "code": ("task", frozenset({"code_generation", "code_understanding"})),
    "structured": ("format", frozenset({"json", "table"})),
}
WRITING_TOKENS = 250.0
"""Tokens of the writer's chat besides the request, which stands in it twice, and the drafts."""
COMPARING_TOKENS = 150.0
"""Tokens of one question to a comparing judge besides the request and the drafts."""
OPINION_TOKENS = 4.0
SPARE = 2.0
"""How many times its expected cost must be left of the limit: a cut answer is worth nothing."""

STAY = Combination(action="select", reason="select: no further call is sure to pay")


class Gain(Struct, frozen=True, kw_only=True):
    """What one action is expected to add to the score of the selected draft.

    Parameters
    ----------
    by : tuple of k str
        The models whose work has been seen; nobody else is asked.
    mean, scale : ndarray, shape (d,)
        Standardisation of the features.
    weights : ndarray, shape (1 + d + k,)
        Intercept, features, models.
    covariance : ndarray, shape (1 + d + k, 1 + d + k)
        Of the weights, a posteriori.
    weight : float
        For comparisons: units of log-odds between two drafts that one of the judge's is worth.
    """

    by: tuple[str, ...]
    mean: Array
    scale: Array
    weights: Array
    covariance: Array
    weight: float = 0.0

    def expect(self, features: Array, places: Sequence[int]) -> tuple[Array, Array]:
        """The expected gain and its standard error for n rows, by the models at `places`."""
        import numpy as np

        table = table_of((features - self.mean) / self.scale, places, len(self.by))
        spread: Array = np.sqrt(((table @ self.covariance) * table).sum(axis=1))
        return table @ self.weights, spread

    def to_arrays(self, action: Action) -> dict[str, NDArray[np.generic]]:
        """The arrays of an artefact's ``plan``."""
        import numpy as np

        return {
            f"combine_{action}_by": np.array(self.by, dtype=np.str_),
            f"combine_{action}_typical": np.stack([self.mean, self.scale]),
            f"combine_{action}_weights": self.weights,
            f"combine_{action}_covariance": self.covariance,
            f"combine_{action}_weight": np.array([self.weight]),
        }


class FittedCombiner:
    """The fitted policy, applied to one request's drafts at a time (the engine's ``combiner``).

    Parameters
    ----------
    gains : mapping of Action to Gain
        The actions that were found to pay at all.
    usd_per_second : float
        What a second of waiting is worth to the caller.
    """

    def __init__(self, gains: Mapping[Action, Gain], *, usd_per_second: float = 0.0) -> None:
        self.gains = gains
        self._usd_per_second = usd_per_second

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.generic]], *, usd_per_second: float = 0.0
    ) -> FittedCombiner | None:
        """The policy that a fit wrote; ``None`` where it found that no action pays."""
        import numpy as np

        gains: dict[Action, Gain] = {}
        for action in ACTIONS:
            if f"combine_{action}_by" not in arrays:
                continue
            mean, scale = np.asarray(arrays[f"combine_{action}_typical"], dtype=np.float64)
            gains[action] = Gain(
                by=tuple(arrays[f"combine_{action}_by"].tolist()),
                mean=mean,
                scale=scale,
                weights=np.asarray(arrays[f"combine_{action}_weights"], dtype=np.float64),
                covariance=np.asarray(arrays[f"combine_{action}_covariance"], dtype=np.float64),
                weight=float(arrays[f"combine_{action}_weight"][0]),
            )
        return cls(gains, usd_per_second=usd_per_second) if gains else None

    def choose(
        self,
        gathered: Gathered,
        labels: Labels,
        *,
        forecast: Forecast,
        plan: Plan,
        models: Sequence[Model],
    ) -> Combination:
        """The action whose cautious gain exceeds its price the most; ``select`` where none does.

        Only models that the plan may ask are asked: they are cleared and capable.
        """
        usable = {*plan.arrangement.models, *plan.fallbacks}
        asked = [
            (model, estimate)
            for model in models
            if model.name in usable and (estimate := forecast.get(model.name)) is not None
        ]
        price = plan.usd_per_quality
        offered = [
            (cautious * price - one.cost_usd - self._usd_per_second * estimate.latency_s, one)
            for action in self.gains
            for cautious, one, estimate in self._offers(action, gathered, labels, asked=asked)
            if _within(one, estimate, gathered=gathered, plan=plan)
        ]
        worth, best = max(offered, key=lambda offer: offer[0], default=(0.0, STAY))
        return best if worth > 0.0 else STAY

    def _offers(
        self,
        action: Action,
        gathered: Gathered,
        labels: Labels,
        *,
        asked: Sequence[tuple[Model, Estimate]],
    ) -> Iterator[tuple[float, Combination, Estimate]]:
        """The action by each model that is sure to gain by it, with its cautious gain."""
        import numpy as np

        gain = self.gains[action]
        leaders = [gathered.authors[place] for place in gathered.leading]
        able = [
            (model, estimate)
            for model, estimate in asked
            if model.name in gain.by and not (action == "compare" and model.name in leaders)
        ]
        if not able:
            return
        rows = [features(gathered, labels, by=m.name, quality=e.quality) for m, e in able]
        places = [gain.by.index(model.name) for model, _ in able]
        told, spread = gain.expect(np.array(rows), places)
        for row, (model, estimate) in enumerate(able):
            expected = float(told[row])
            cautious = expected - CAUTION * float(spread[row])
            if cautious <= 0.0:
                continue
            cost = expected_cost(action, gathered, model)
            reason = (
                f"{action} by {model.name}: expected to add {expected:.2f} to the quality "
                f"({cautious:.2f} at least, nine times in ten) for ${cost:.6f}"
            )
            chosen = Combination(
                action=action,
                model=model.name,
                gain=expected,
                cost_usd=cost,
                weight=gain.weight,
                reason=reason,
            )
            yield cautious, chosen, estimate


def features(gathered: Gathered, labels: Labels, *, by: str, quality: float) -> list[float]:
    """The columns of :data:`FEATURES`; `quality` is what the forecast makes of the model `by`."""
    shares = [
        math.fsum(share for label, share in labels.axes.get(axis, {}).items() if label in names)
        for axis, names in GROUPS.values()
    ]
    return [
        gathered.best,
        gathered.second,
        gathered.best * (1.0 - gathered.best),
        gathered.agreeing,
        float(len(gathered.authors) > 2),
        float(gathered.open_ended),
        quality - gathered.best,
        float(by in gathered.authors),
        *shares,
    ]


def table_of(standard: Array, places: Sequence[int], models: int) -> Array:
    """Rows of intercept, standardised features and which of the `models` acts."""
    import numpy as np

    rows, width = standard.shape
    table = np.zeros((rows, 1 + width + models))
    table[:, 0] = 1.0
    table[:, 1 : 1 + width] = standard
    table[np.arange(rows), [1 + width + place for place in places]] = 1.0
    return table


def expected_cost(action: Action, gathered: Gathered, model: Model) -> float:
    """US dollars that the action is expected to take."""
    if action == "compare":
        prompt = 2.0 * (COMPARING_TOKENS + gathered.prompt_tokens + gathered.draft_tokens)
        answer = 2.0 * OPINION_TOKENS
    else:
        prompt = WRITING_TOKENS + 2.0 * gathered.prompt_tokens + gathered.draft_tokens
        answer = gathered.draft_tokens / len(gathered.authors)
    return (prompt * model.usd_per_mtok_in + answer * model.usd_per_mtok_out) / 1e6


def _within(one: Combination, estimate: Estimate, *, gathered: Gathered, plan: Plan) -> bool:
    """Whether the plan's limits of money and time leave room for the call."""
    cost, latency = plan.max_cost_usd, plan.max_latency_s
    cheap = cost is None or gathered.spent_usd + SPARE * one.cost_usd <= cost
    return cheap and (latency is None or gathered.took_s + estimate.latency_s <= latency)
