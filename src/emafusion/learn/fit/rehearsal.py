"""What the fitted policy would have done on the rows it was fitted on, each held out in turn.

Plans with out-of-fold forecasts, accepts on out-of-fold confidences, pays recorded costs. Knows
how a cascade runs over recorded drafts; the engine itself is not needed for a rehearsal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.execute.vote import log_odds_weights, vote
from emafusion.learn.fit.judging import Hand, Judged, deal
from emafusion.evaluate.recorded import Recorded
from emafusion.plan import Dial, Signals
from emafusion.plan.candidates import Candidate, candidates, chosen
from emafusion.types import Arranged, Cascade, Forecast, Fusion, Single

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Point(Struct, frozen=True, kw_only=True):
    """One setting of the dial: mean score and mean US dollars a query, over `queries` queries."""

    prefer: float
    accuracy: float
    cost_usd: float
    queries: int


def rehearse(
    recorded: Recorded,
    told: Sequence[Forecast],
    *,
    judged: Judged,
    signals: Signals,
    dial: Dial,
    prefers: Sequence[float],
) -> list[Point]:
    """One point for each of `prefers`, over the queries that every model has answered."""
    import numpy as np

    full = [i for i, row in enumerate(recorded.scores) if not np.isnan(row).any()]
    stage = Stage(recorded, told, judged)
    points = []
    for prefer in prefers:
        plans = [best(told[i], signals, dial=dial, prefer=prefer).arrangement for i in full]
        runs = [stage.run(i, plan) for i, plan in zip(full, plans, strict=True)]
        accuracy, cost = np.array(runs).mean(axis=0).tolist()
        points.append(Point(prefer=prefer, accuracy=accuracy, cost_usd=cost, queries=len(full)))
    return points


def best(forecast: Forecast, signals: Signals, *, dial: Dial, prefer: float) -> Candidate:
    """What the planner would choose without limits."""
    dearest = max(estimate.cost_usd for estimate in forecast.estimates)
    price = dial.usd_per_quality(prefer, dearest)
    return chosen(candidates(forecast.estimates, signals, usd_per_quality=price), price)


class Stage:
    """Recorded drafts, ready to be asked again.

    Parameters
    ----------
    recorded : Recorded
        What every model said.
    told : sequence of Forecast
        What was expected of them, per query.
    judged : Judged
        Who judges: the panel, fitted without the query at hand.
    """

    def __init__(self, recorded: Recorded, told: Sequence[Forecast], judged: Judged) -> None:
        self._recorded = recorded
        self._told = told
        self._judged = judged
        self._dealt: dict[tuple[int, tuple[int, ...]], tuple[Hand, Array]] = {}

    def run(self, query: int, plan: Arranged) -> tuple[float, float]:
        """The score of the answer that `plan` gives, and the dollars spent on it."""
        match plan:
            case Single(model=model):
                hand, _ = self._hand(query, (model,))
                return hand.right[0], _cost(hand)
            case Fusion(panel=panel):
                hand, confidence = self._hand(query, panel)
                weights = log_odds_weights(hand.drafts, self._told[query])
                chosen = max(vote(hand.keys, weights), key=confidence.tolist().__getitem__)
                return hand.right[chosen], _cost(hand)
            case Cascade(tiers=tiers):
                asked: tuple[str, ...] = ()
                for tier in tiers:
                    asked += tier.models
                    hand, confidence = self._hand(query, asked)
                    if float(confidence.max()) >= tier.accept:
                        break
                return hand.right[int(confidence.argmax())], _cost(hand)

    def _hand(self, query: int, models: tuple[str, ...]) -> tuple[Hand, Array]:
        places = tuple(self._recorded.models.index(model) for model in models)
        if (query, places) not in self._dealt:
            hand = deal(query, places, recorded=self._recorded, forecast=self._told[query])
            self._dealt[query, places] = hand, self._judged.confidence(hand)
        return self._dealt[query, places]


def _cost(hand: Hand) -> float:
    return sum(draft.cost_usd for draft in hand.drafts)
