"""Fits the dial: which price of quality makes the mean spend rise evenly with ``prefer``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emafusion.plan.candidates import candidates, chosen
from emafusion.plan.outlook import Signals
from emafusion.types import Forecast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

STOPS = 21
PRICES_TRIED = 33
MOST_QUERIES = 250


def dial(told: Sequence[Forecast], signals: Signals) -> Array:
    """Prices of quality (US dollars) at :data:`STOPS` even settings of ``prefer``.

    Spend at setting p is the geometric mean, with weights 1 − p and p, of what is spent when only
    cost matters and when only quality does.
    """
    import numpy as np

    step = max(len(told) // MOST_QUERIES, 1)
    sample = told[::step]
    dearest = float(np.mean([max(e.cost_usd for e in one.estimates) for one in sample]))
    tried = dearest * np.logspace(-1.0, 4.0, PRICES_TRIED)
    spends = np.array([np.mean([spend(one, signals, float(w)) for one in sample]) for w in tried])
    spends = np.maximum.accumulate(spends)
    wanted = np.geomspace(spends[0], spends[-1], STOPS)
    rising = spends + np.arange(len(spends)) * 1e-9 * spends[-1]
    prices: Array = np.exp(np.interp(wanted, rising, np.log(tried)))
    return prices


def spend(forecast: Forecast, signals: Signals, price: float) -> float:
    """What the best plan at `price` per quality is expected to cost."""
    offered = candidates(forecast.estimates, signals, usd_per_quality=price)
    return chosen(offered, price).cost_usd
