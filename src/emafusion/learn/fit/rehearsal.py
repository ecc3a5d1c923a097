"""What the fitted policy would have done on the rows it was fitted on, each held out in turn.

Plans with out-of-fold forecasts, accepts on out-of-fold confidences, pays recorded costs. Knows
how a cascade runs over recorded drafts; the engine itself is not needed for a rehearsal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.execute.vote import log_odds_weights, vote
from emafusion.learn.fit.judging import Hand, Judged
from emafusion.learn.fit.recorded import Recorded
from emafusion.plan import Dial, Signals
from emafusion.plan.candidates import Candidate, candidates
from emafusion.types import Cascade, Forecast, Fusion, Single

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Played = Mapping[tuple[int, frozenset[str]], tuple[Hand, "Array"]]


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

    played: Played = {
        (hand.query, frozenset(recorded.models[m] for m in hand.models)): (hand, confidence)
        for hand, confidence in zip(judged.hands, judged.confidences, strict=True)
    }
    full = [i for i, row in enumerate(recorded.scores) if not np.isnan(row).any()]
    points = []
    for prefer in prefers:
        runs = [
            _run(i, _best(told[i], signals, dial=dial, prefer=prefer), played=played) for i in full
        ]
        table = np.array(runs).reshape(-1, 2)
        points.append(
            Point(
                prefer=prefer,
                accuracy=float(table[:, 0].mean()),
                cost_usd=float(table[:, 1].mean()),
                queries=len(full),
            )
        )
    return points


def _best(forecast: Forecast, signals: Signals, *, dial: Dial, prefer: float) -> Candidate:
    dearest = max(estimate.cost_usd for estimate in forecast.estimates)
    price = dial.usd_per_quality(prefer, dearest)

    def utility(candidate: Candidate) -> float:
        if price == float("inf"):
            return candidate.quality - 1e-6 * candidate.cost_usd
        return price * candidate.quality - candidate.cost_usd

    return max(candidates(forecast.estimates, signals, usd_per_quality=price), key=utility)


def _run(query: int, best: Candidate, *, played: Played) -> tuple[float, float]:
    """The score of the answer and the dollars spent on it."""
    match best.arrangement:
        case Single(model=model):
            hand, _ = played[query, frozenset((model,))]
            return hand.right[0], _cost(hand)
        case Fusion() as plan:
            hand, confidence = played[query, frozenset(plan.panel)]
            weights = log_odds_weights(hand.drafts, Forecast(estimates=()))
            chosen = max(vote(hand.keys, weights), key=confidence.tolist().__getitem__)
            return hand.right[chosen], _cost(hand)
        case Cascade() as plan:
            asked: frozenset[str] = frozenset()
            for tier in plan.tiers:
                asked |= frozenset(tier.models)
                hand, confidence = played[query, asked]
                if float(confidence.max()) >= tier.accept:
                    break
            return hand.right[int(confidence.argmax())], _cost(hand)


def _cost(hand: Hand) -> float:
    return sum(draft.cost_usd for draft in hand.drafts)
