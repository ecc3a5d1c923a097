"""The one dial: from ``prefer`` to the price of quality.

Knows what a step of the dial is worth in dollars. Does not know models.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

STEEPNESS = 2.0
UNFITTED_ODDS = 10.0
"""Without a fit, prefer = 0.5 pays, for certainty instead of certain failure, this many times the
dearest model's price for the query."""


class Dial(Struct, frozen=True, kw_only=True):
    """Turns ``prefer`` in [0, 1] into US dollars that a quality point of 1 is worth.

    ``prices`` are fitted at evenly spaced values of ``prefer`` from 0 to 1, so that the mean spend
    rises evenly, in its logarithm, from the cheapest plan's to the best one's.
    """

    prices: Sequence[float] = ()

    def usd_per_quality(self, prefer: float, dearest_usd: float) -> float:
        """Dollars for raising P(good answer) from 0 to 1, at this setting of the dial.

        Parameters
        ----------
        prefer : float
            0 is cost alone, 1 quality alone.
        dearest_usd : float
            The dearest single model's expected cost for the query at hand; scales an unfitted dial.
        """
        if prefer >= 1.0:
            return float("inf")
        if prefer <= 0.0:
            return 0.0
        if not self.prices:
            odds: float = (prefer / (1.0 - prefer)) ** STEEPNESS
            return UNFITTED_ODDS * dearest_usd * odds
        place = prefer * (len(self.prices) - 1)
        low = int(place)
        part = place - low
        return self.prices[low] * (1.0 - part) + self.prices[low + 1] * part
