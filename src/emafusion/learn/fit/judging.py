"""Fits what comes after a call: the panel, and what the planner may expect of its judging."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.evaluate.recorded import Recorded
from emafusion.execute.vote import log_odds_weights, vote
from emafusion.judge import LogprobJudge, RulesJudge
from emafusion.judge.agreement import keys
from emafusion.judge.evidence import COMMON, OWN, logit, rows
from emafusion.judge.panel import UNFITTED
from emafusion.learn.fit.routers import folds
from emafusion.plan import Signals
from emafusion.types import Draft, Estimate, Forecast, Request, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PENALTY = 0.3
OWN_SCALE = 0.5
"""A model's own columns are halved while fitting, so the same penalty shrinks them four times as
hard towards the columns that all models share."""
MOST_SUBSETS = 12
SHRINK = 30.0
"""Pseudo-counts that hold measured effects back towards none."""


class Hand(Struct, frozen=True, kw_only=True):
    """The drafts a panel had before it in one state of one query, and how right each was."""

    query: int
    models: tuple[int, ...]
    drafts: tuple[Draft, ...]
    evidence: Array
    right: tuple[float, ...]
    keys: tuple[str | None, ...]


class Judged(Struct, frozen=True, kw_only=True):
    """The fitted panel's arrays, every hand, and each hand's out-of-fold confidences.

    ``held_out`` are the weights and bias fitted without each fold, ``fold`` each query's fold.
    """

    weights: Array
    bias: float
    hands: tuple[Hand, ...]
    confidences: tuple[Array, ...]
    held_out: tuple[tuple[Array, float], ...]
    fold: Array

    def confidence(self, hand: Hand) -> Array:
        """P(right) of each of `hand`'s drafts, by weights fitted without its query."""
        weights, bias = self.held_out[int(self.fold[hand.query])]
        return _probability(hand.evidence @ weights + bias)


def forecasts(recorded: Recorded, qualities: Array) -> list[Forecast]:
    """One forecast per query from out-of-fold qualities (n, m), with the pool's mean lengths."""
    import numpy as np

    typical = np.exp(np.nanmean(np.log(np.maximum(recorded.tokens, 1.0)), axis=0))
    costs = np.nanmean(recorded.costs, axis=0)
    return [
        Forecast(
            estimates=tuple(
                Estimate(
                    model=name,
                    quality=float(qualities[query, m]),
                    quality_std=0.0,
                    cost_usd=float(costs[m]),
                    latency_s=0.0,
                    tokens=float(typical[m]) if np.isfinite(typical[m]) else 0.0,
                )
                for m, name in enumerate(recorded.models)
            )
        )
        for query in range(len(recorded.queries))
    ]


def hands(recorded: Recorded, told: Sequence[Forecast], seed: int) -> Iterator[Hand]:
    """States a panel may meet: for each query, sets of one to three drafts."""
    import numpy as np

    rng = np.random.default_rng(seed)
    for query in range(len(recorded.queries)):
        present = [m for m, draft in enumerate(recorded.drafts[query]) if draft is not None]
        sets = [c for size in (1, 2, 3) for c in itertools.combinations(present, size)]
        if len(sets) > MOST_SUBSETS:
            sets = [sets[i] for i in rng.choice(len(sets), MOST_SUBSETS, replace=False)]
        for models in sets:
            yield deal(query, models, recorded=recorded, forecast=told[query])


def deal(query: int, models: tuple[int, ...], *, recorded: Recorded, forecast: Forecast) -> Hand:
    """The hand of `models`' drafts for one query."""
    prompt = recorded.prompts[query]
    request = Request(id="", messages=({"role": "user", "content": prompt},))
    drafts = tuple(d for m in models if (d := recorded.drafts[query][m]) is not None)
    found = keys(request, drafts)
    scores = {
        "rules": RulesJudge().score(request, drafts),
        "logprob": LogprobJudge().score(request, drafts),
    }
    return Hand(
        query=query,
        models=models,
        drafts=drafts,
        evidence=rows(drafts, forecast, scores=scores, keys=found, pool=recorded.models),
        right=tuple(float(recorded.scores[query, m]) for m in models),
        keys=tuple(found),
    )


def panel(recorded: Recorded, told: Sequence[Forecast], seed: int) -> Judged:
    """The panel fitted on all hands, with confidences for each hand from folds that left it out."""
    import numpy as np

    played = tuple(hands(recorded, told, seed))
    fold = np.zeros(len(recorded.queries))
    for number, part in enumerate(folds(len(recorded.queries), seed)):
        fold[part] = number
    numbers = range(int(fold.max()) + 1)
    held_out = tuple(_weigh([h for h in played if fold[h.query] != n]) for n in numbers)
    weights, bias = _weigh(played)
    judged = Judged(
        weights=weights, bias=bias, hands=played, confidences=(), held_out=held_out, fold=fold
    )
    confidences = tuple(judged.confidence(hand) for hand in played)
    return replace(judged, confidences=confidences)


def _probability(log_odds: Array) -> Array:
    import numpy as np

    probability: Array = 1.0 / (1.0 + np.exp(-log_odds))
    return probability


def _weigh(played: Sequence[Hand]) -> tuple[Array, float]:
    """Logistic regression of right on evidence; hands of one query share one query's weight."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    x = np.concatenate([hand.evidence for hand in played])
    y = np.concatenate([hand.right for hand in played])
    per_query = np.bincount([hand.query for hand in played for _ in hand.right])
    share = np.array([1.0 / per_query[hand.query] for hand in played for _ in hand.right])
    scale = np.ones(x.shape[1])
    scale[len(COMMON) :] = OWN_SCALE
    weights = np.concatenate([y, 1.0 - y]) * np.tile(share, 2) * len(OWN)
    keep = weights > 0
    targets = np.concatenate([np.ones(len(y)), np.zeros(len(y))])[keep]
    model = LogisticRegression(C=PENALTY, max_iter=1000)
    model.fit(np.tile(x * scale, (2, 1))[keep], targets, sample_weight=weights[keep])
    coefficients: Array = model.coef_[0] * scale
    unseen = COMMON.index("judge")
    if not np.any(x[:, unseen]):
        coefficients[unseen] = UNFITTED["judge"]
    return coefficients, float(model.intercept_[0])


def signals(recorded: Recorded, judged: Judged, qualities: Array) -> Signals:
    """What the planner may expect of the panel, measured on out-of-fold confidences."""
    alone: dict[int, list[tuple[float, float]]] = {}
    later: dict[int, list[tuple[float, float]]] = {}
    for hand, confidence in zip(judged.hands, judged.confidences, strict=True):
        best = int(confidence.argmax())
        row = (float(confidence[best]), hand.right[best])
        if len(hand.models) == 1:
            prior = float(qualities[hand.query, hand.models[0]])
            shift = logit(row[0]) - logit(prior)
            alone.setdefault(hand.models[0], []).append((shift, row[1]))
        elif len(hand.models) == 2:
            for model in hand.models:
                later.setdefault(model, []).append(row)
    names = recorded.models
    recovery, damage = _keeping(judged)
    return Signals(
        alone={names[m]: separation(rows_) for m, rows_ in alone.items()},
        later={names[m]: separation(rows_) for m, rows_ in later.items()},
        drop=_drops(recorded, qualities),
        recovery=recovery,
        damage=damage,
        gains=_gains(recorded, judged, qualities),
    )


def separation(table: Sequence[tuple[float, float]]) -> float:
    """d of the binormal model, √2·Φ⁻¹(AUROC), for (signal, right) pairs; shrunk to 1.2."""
    import numpy as np
    from scipy.stats import norm, rankdata

    values = np.array([value for value, _ in table])
    right = np.array([share for _, share in table]) >= 0.5
    hits, misses = int(right.sum()), int((~right).sum())
    if not hits or not misses:
        return 1.2
    ranks = rankdata(values)
    auroc = (ranks[right].sum() - hits * (hits + 1) / 2) / (hits * misses)
    measured = math.sqrt(2.0) * float(norm.ppf(min(max(auroc, 0.5), 0.995)))
    weight = min(hits, misses)
    return (weight * measured + SHRINK / 3 * 1.2) / (weight + SHRINK / 3)


def _drops(recorded: Recorded, qualities: Array) -> dict[str, float]:
    """For each ordered pair: how far the second's log-odds fall where the first was wrong."""
    import numpy as np

    found = {}
    for a, b in itertools.permutations(range(len(recorded.models)), 2):
        wrong = (recorded.scores[:, a] < 0.5) & ~np.isnan(recorded.scores[:, b])
        fall = -_shift(qualities[wrong, b], recorded.scores[wrong, b])
        found[f"{recorded.models[a]}>{recorded.models[b]}"] = fall
    return found


def _gains(recorded: Recorded, judged: Judged, qualities: Array) -> dict[str, float]:
    """For each panel seen: the log-odds that its vote adds to its best member."""
    import numpy as np

    results: dict[tuple[int, ...], list[tuple[float, float]]] = {}
    for hand, confidence in zip(judged.hands, judged.confidences, strict=True):
        if len(hand.models) < 2:
            continue
        told = forecasts_of(hand, recorded, qualities)
        winners = vote(hand.keys, log_odds_weights(hand.drafts, told))
        chosen = max(winners, key=confidence.tolist().__getitem__)
        strongest = max(float(qualities[hand.query, m]) for m in hand.models)
        results.setdefault(hand.models, []).append((strongest, hand.right[chosen]))
    found = {}
    for models, table in results.items():
        best = np.array([b for b, _ in table])
        right = np.array([r for _, r in table])
        name = "+".join(sorted(recorded.models[m] for m in models))
        found[name] = _shift(best, right)
    return found


def forecasts_of(hand: Hand, recorded: Recorded, qualities: Array) -> Forecast:
    """The forecast of a hand's models alone."""
    return Forecast(
        estimates=tuple(
            Estimate(
                model=recorded.models[m],
                quality=float(qualities[hand.query, m]),
                quality_std=0.0,
                cost_usd=0.0,
                latency_s=0.0,
            )
            for m in hand.models
        )
    )


def _keeping(judged: Judged) -> tuple[float, float]:
    """How often the panel keeps the cheaper of two drafts: when it alone is right, when wrong."""
    kept = {True: [1.0, 2.5], False: [0.5, 5.0]}  # a weak prior: 0.4 kept well, 0.1 kept badly
    for hand, confidence in zip(judged.hands, judged.confidences, strict=True):
        if len(hand.models) != 2:
            continue
        costs = [draft.cost_usd for draft in hand.drafts]
        order = sorted((0, 1), key=costs.__getitem__)
        first_right, second_right = (hand.right[place] >= 0.5 for place in order)
        if first_right == second_right:
            continue
        kept[first_right][0] += float(confidence.argmax() == order[0])
        kept[first_right][1] += 1.0
    return _bound(*kept[True], side=-1.0), _bound(*kept[False], side=1.0)


def _bound(count: float, trials: float, *, side: float) -> float:
    """A rate one standard error to the cautious side, so that escalating is not flattered."""
    rate = count / trials
    return min(max(rate + side * math.sqrt(rate * (1.0 - rate) / trials), 0.0), 1.0)


def _shift(rates: Array, right: Array) -> float:
    """The shift of log-odds that makes `rates` average to `right`'s mean, shrunk towards 0."""
    import numpy as np

    if len(rates) == 0:
        return 0.0
    odds = np.log(np.clip(rates, 0.01, 0.99) / (1.0 - np.clip(rates, 0.01, 0.99)))
    low, high = -5.0, 5.0
    for _ in range(40):
        middle = (low + high) / 2
        if float(np.mean(1.0 / (1.0 + np.exp(-(odds + middle))))) < float(np.mean(right)):
            low = middle
        else:
            high = middle
    return (low + high) / 2 * len(rates) / (len(rates) + SHRINK)
