"""The demo's figures and its verdict, computed from its rows and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.demo.rows import OURS, Attempt, Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 10_000
Interval = tuple[float, float]


class Figures(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One system over the questions it was measured on.

    ``right`` is the sum of its scores over ``n`` questions and ``accuracy`` their mean;
    ``cost_usd`` and ``latency_s`` are means per question. ``escalated`` is the share of questions
    that went beyond the first step of their plan. ``recorded`` tells that the figures come from an
    earlier run.
    """

    n: int
    right: float
    accuracy: float
    cost_usd: float
    latency_s: float
    escalated: float | None = None
    recorded: bool = False


class Comparison(Struct, frozen=True, kw_only=True):
    """emafusion against the single model `best` on the same ``n`` questions.

    ``difference`` is ours minus theirs, in accuracy; ``cost_share`` our cost over theirs, ``None``
    where theirs is nothing. ``won`` counts the questions on which ours scored higher, ``lost``
    those on which it scored lower. Intervals are 95 % percentile intervals of a bootstrap that
    resamples questions and keeps each question's pair together (Efron & Tibshirani 1993, §13.3);
    where all pairs are equal, the exact bound on the share of questions that would differ.
    """

    best: str
    n: int
    won: int
    lost: int
    difference: float
    difference_ci95: Interval
    cost_share: float | None
    cost_share_ci95: Interval | None


class Verdict(Struct, frozen=True, kw_only=True):
    """What the figures say, in words, and the comparison the words are made from."""

    text: str
    comparison: Comparison | None = None


def figures(rows: Sequence[Row]) -> dict[str, Figures]:
    """Every system's figures, ours first and the single models from the cheapest up."""
    if not rows:
        return {}
    ours = _figures(rows, escalated=sum(row.escalated for row in rows) / len(rows))
    names = dict.fromkeys(name for row in rows for name in row.singles)
    singles = {
        name: _figures([row.singles[name] for row in rows if name in row.singles]) for name in names
    }
    cheapest_first = sorted(singles.items(), key=lambda item: item[1].cost_usd)
    return {OURS: ours, **dict(cheapest_first)}


def verdict(rows: Sequence[Row], pool: Sequence[str]) -> Verdict:
    """What the rows say about emafusion against the best single model of `pool`.

    The best one has the highest accuracy; of equals, the cheapest. Nothing is said unless every
    model that emafusion could use was measured on every question by itself.
    """
    found = figures(rows)
    unknown = [name for name in pool if name not in found or found[name].n < len(rows)]
    if unknown or not rows:
        return Verdict(
            text="No verdict: a whole run with --full measures every model alone on these "
            f"questions; not measured so far: {', '.join(unknown) or 'anything'}."
        )
    best = max(pool, key=lambda name: (found[name].accuracy, -found[name].cost_usd))
    compared = _compare(rows, best, found)
    return Verdict(text=_sentence(compared, found), comparison=compared)


def _compare(rows: Sequence[Row], best: str, found: Mapping[str, Figures]) -> Comparison:
    theirs = [row.singles[best] for row in rows]
    gains = [row.score - attempt.score for row, attempt in zip(rows, theirs, strict=True)]
    difference, share = _resampled(rows, theirs)
    if not any(gains):
        # A bootstrap of equal pairs knows no doubt; the exact bound does.
        difference = (-_unseen(len(gains)), _unseen(len(gains)))
    paid, price = found[OURS].cost_usd, found[best].cost_usd
    return Comparison(
        best=best,
        n=len(rows),
        won=sum(gain > 0 for gain in gains),
        lost=sum(gain < 0 for gain in gains),
        difference=sum(gains) / len(gains),
        difference_ci95=difference,
        cost_share=paid / price if price > 0 else None,
        cost_share_ci95=share,
    )


def _figures(attempts: Sequence[Attempt], *, escalated: float | None = None) -> Figures:
    n = len(attempts)
    right = sum(attempt.score for attempt in attempts)
    return Figures(
        n=n,
        right=right,
        accuracy=right / n,
        cost_usd=sum(attempt.cost_usd for attempt in attempts) / n,
        latency_s=sum(attempt.latency_s for attempt in attempts) / n,
        escalated=escalated,
        recorded=any(attempt.recorded for attempt in attempts),
    )


def _resampled(
    ours: Sequence[Attempt], theirs: Sequence[Attempt]
) -> tuple[Interval, Interval | None]:
    import numpy as np

    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(ours), (RESAMPLES, len(ours)))
    gains = np.array([a.score - b.score for a, b in zip(ours, theirs, strict=True)])
    paid = np.array([attempt.cost_usd for attempt in ours])[picks].sum(axis=1)
    saved = np.array([attempt.cost_usd for attempt in theirs])[picks].sum(axis=1)
    share = _interval(paid / saved) if saved.min() > 0 else None
    return _interval(gains[picks].mean(axis=1)), share


def _unseen(n: int) -> float:
    """The largest share of such questions, at 95 %, that never showed in `n` (exact binomial)."""
    return float(1 - 0.05 ** (1 / n))


def _interval(values: NDArray[np.float64]) -> Interval:
    import numpy as np

    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _sentence(measured: Comparison, found: Mapping[str, Figures]) -> str:
    theirs = found[measured.best]
    source = "recorded" if theirs.recorded else "measured live"
    return (
        f"{_headline(measured)} emafusion {count(found[OURS].right)} of {measured.n} right, "
        f"{measured.best} ({source}) {count(theirs.right)} of {theirs.n}; better on {measured.won} "
        f"and worse on {measured.lost}. {_certainty(measured)}"
    )


def _headline(measured: Comparison) -> str:
    if measured.difference >= 0:
        claim = "At least as many right as the best single model"
    else:
        claim = "Fewer right than the best single model"
    if measured.cost_share is None:
        return f"{claim}, which costs nothing:"
    return f"{claim}, at {measured.cost_share:.0%} of its cost:"


def _certainty(measured: Comparison) -> str:
    low, high = measured.difference_ci95
    if low > 0:
        meaning = "more accurate beyond chance"
    elif high < 0:
        meaning = "less accurate beyond chance"
    else:
        meaning = f"{measured.n} questions cannot tell the two apart in accuracy"
    text = (
        f"Difference {100 * measured.difference + 0.0:+.1f} points "
        f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f}): {meaning}."
    )
    if measured.cost_share_ci95 is not None:
        low, high = measured.cost_share_ci95
        text += f" Share of its cost: 95 % interval {low:.0%} to {high:.0%}."
    return text


def count(right: float) -> str:
    """A number of right answers: whole where no partial mark is in it."""
    return f"{right:.0f}" if right == round(right) else f"{right:.1f}"
