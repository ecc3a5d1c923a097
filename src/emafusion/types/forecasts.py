"""What is known before any model runs: labels, and what each model would make of the request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from emafusion.types.values import Axis, Probability, Value


class Labels(Value, frozen=True, kw_only=True):
    """The taxonomy's reading of a request: per axis, a probability for each label (sums to 1).

    ``familiarity`` in [0, 1] says how near the query is to what the outcomes cover; ``source``
    which classifier spoke.
    """

    axes: Mapping[str, Mapping[str, float]]
    familiarity: Probability = 0.0
    source: Literal["fast", "blend"] = "fast"

    def top(self, axis: Axis) -> str:
        """The most probable label on `axis`."""
        labels = self.axes[axis]
        return max(labels, key=labels.__getitem__)


def log_odds(rate: float) -> float:
    """ln(p / (1 − p)), with p kept within [0.005, 0.995] as in the fits."""
    bounded = min(max(rate, 0.005), 0.995)
    return math.log(bounded / (1.0 - bounded))


class Estimate(Value, frozen=True, kw_only=True):
    """What one model is expected to do with one request, before it runs.

    ``quality`` is P(good answer) and ``quality_std`` its standard error; costs are US dollars and
    latencies seconds for one call; ``tokens`` the expected completion length.
    """

    model: str
    quality: Probability
    quality_std: float
    cost_usd: float
    latency_s: float
    tokens: float = 0.0

    @property
    def log_odds(self) -> float:
        """ln(q / (1 − q)) of the quality, kept within [0.005, 0.995] as in the fits."""
        return log_odds(self.quality)


class Context(Value, frozen=True, kw_only=True):
    """What the whole fitted pool is expected to make of a request, asked or not.

    ``mean`` and ``best`` are log-odds of a good answer: they say how hard the request is, whoever
    of the pool may be asked.
    """

    mean: float
    best: float


class Forecast(Value, frozen=True, kw_only=True):
    """One :class:`Estimate` per candidate; ``gate`` is the learned router's share in the union."""

    estimates: tuple[Estimate, ...]
    gate: Probability = 0.0
    context: Context | None = None

    def __getitem__(self, model: str) -> Estimate:
        """The estimate for `model`; ``KeyError`` where there is none."""
        found = self.get(model)
        if found is None:
            raise KeyError(model)
        return found

    def get(self, model: str) -> Estimate | None:
        """The estimate for `model`, or ``None`` where there is none."""
        # Asked several times a request: a generator would take twice as long.
        for estimate in self.estimates:
            if estimate.model == model:
                return estimate
        return None
