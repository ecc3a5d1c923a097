"""Asking another model than the best-looking one now and then, to learn: how often, at what cost.

Knows a forecast and two bounds that are never passed. Does not know what is learnt from it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

from emafusion.errors import ConfigError
from emafusion.types import Estimate, Forecast, Value, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

DRAWS = 64
"""Draws of every model's quality for one choice: chances are told to within a few hundredths."""


class Terms(Value, frozen=True, kw_only=True):
    """How much exploration is allowed.

    ``share`` bounds the requests not answered by the greedy choice, as a share of all. ``budget``
    bounds the extra expected cost of those, as a share of what the greedy choices would have cost;
    ``max_usd`` bounds it in US dollars. ``floor`` is the share of exploring that is spread evenly,
    so that no permitted model within the bounds has a chance of 0.
    """

    share: float = 0.05
    budget: float = 0.02
    max_usd: float | None = None
    floor: float = 0.1

    def __post_init__(self) -> None:
        for name in ("share", "budget", "floor"):
            if not 0.0 <= getattr(self, name) <= (math.inf if name == "budget" else 1.0):
                raise ConfigError(f"exploration {name} must be a share, not {getattr(self, name)}")


class Spent(Value, frozen=True, kw_only=True):
    """What has been explored so far: requests seen and explored, greedy and extra expected cost."""

    seen: int = 0
    explored: int = 0
    greedy_usd: float = 0.0
    extra_usd: float = 0.0


class Choice(Value, frozen=True, kw_only=True):
    """The model to ask and the chance it had; ``explored`` where it is not the greedy choice.

    The propensity is that of the very draw that made the choice, so weighting by its inverse is
    unbiased (Horvitz & Thompson, 1952).
    """

    model: str
    propensity: float
    explored: bool = False


class Exploration:
    """Thompson sampling with a bounded share and a bounded spend.

    With probability ``share`` the model is drawn from the chances that each is the best under the
    forecast's uncertainty (Thompson, 1933), as counted over :data:`DRAWS` draws; otherwise it is
    the greedy choice. A model whose extra cost would pass the bound is not in the draw.

    Parameters
    ----------
    terms : Terms
    spent : Spent, optional
        To go on from another day.
    """

    def __init__(self, terms: Terms | None = None, *, spent: Spent | None = None) -> None:
        self.terms = terms or Terms()
        self.spent = spent or Spent()

    def choose(
        self,
        forecast: Forecast,
        greedy: str,
        *,
        allowed: Collection[str],
        usd_per_quality: float,
        random: np.random.Generator,
    ) -> Choice:
        """The model for one request; counts it against the bounds.

        Parameters
        ----------
        forecast : Forecast
            With an estimate for `greedy` and for every model of `allowed`.
        greedy : str
            The model that would be asked.
        allowed : collection of str
            Whom else this request may be sent to. Empty where its clearance or its caller forbids
            exploring.
        usd_per_quality : float
            The price of quality at the request's dial; at 0 only cost counts, and nothing is
            explored.
        random : numpy Generator
        """
        base = forecast[greedy].cost_usd
        offered = self._offered(forecast, greedy, allowed=allowed, base=base)
        choice = Choice(model=greedy, propensity=1.0)
        if offered and usd_per_quality > 0.0:
            options = [forecast[greedy], *offered]
            chances = self._chances(options, usd_per_quality, random)
            at = int(random.choice(len(options), p=chances))
            choice = Choice(model=options[at].model, propensity=float(chances[at]), explored=at > 0)
        extra = max(forecast[choice.model].cost_usd - base, 0.0)
        self.spent = replace(
            self.spent,
            seen=self.spent.seen + 1,
            explored=self.spent.explored + choice.explored,
            greedy_usd=self.spent.greedy_usd + base,
            extra_usd=self.spent.extra_usd + extra,
        )
        return choice

    def _offered(
        self, forecast: Forecast, greedy: str, *, allowed: Collection[str], base: float
    ) -> list[Estimate]:
        """The models that may be explored now: permitted, and within both bounds."""
        spent, terms = self.spent, self.terms
        if spent.explored + 1 > terms.share * (spent.seen + 1):
            return []
        most = terms.budget * (spent.greedy_usd + base)
        most = most if terms.max_usd is None else min(most, terms.max_usd)
        left = max(most - spent.extra_usd, 0.0)
        others = [one for one in forecast.estimates if one.model in allowed]
        return [one for one in others if one.model != greedy and one.cost_usd - base <= left]

    def _chances(
        self, options: list[Estimate], usd_per_quality: float, random: np.random.Generator
    ) -> Array:
        """The chance of each option, the greedy one first."""
        import numpy as np

        share, floor = self.terms.share, self.terms.floor
        worth = _drawn(options, random) - _cost(options, usd_per_quality)
        wins = np.bincount(worth.argmax(axis=1), minlength=len(options))
        chances: Array = share * ((1.0 - floor) * wins / DRAWS + floor / len(options))
        chances[0] += 1.0 - chances.sum()
        return chances


def _drawn(options: list[Estimate], random: np.random.Generator) -> Array:
    """Qualities drawn from the forecast, (draws, options): normal in log-odds."""
    import numpy as np

    odds = np.array([one.log_odds for one in options])
    rates = 1.0 / (1.0 + np.exp(-odds))
    spread = np.array([one.quality_std for one in options]) / (rates * (1.0 - rates))
    swung = odds + spread * random.standard_normal((DRAWS, len(options)))
    drawn: Array = 1.0 / (1.0 + np.exp(-np.clip(swung, -30.0, 30.0)))
    return drawn


def _cost(options: list[Estimate], usd_per_quality: float) -> Array:
    """What each option costs, in quality."""
    import numpy as np

    costs = np.array([one.cost_usd for one in options])
    return np.zeros_like(costs) if math.isinf(usd_per_quality) else costs / usd_per_quality
