"""The arrangements worth comparing for one forecast, each with what it is expected to bring."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.plan.outlook import Signals, chain
from emafusion.types import (
    Arranged,
    Arrangement,
    Cascade,
    Estimate,
    Fusion,
    Single,
    Synthesis,
    Tier,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDEST_POOL = 5
"""Models a cascade or a panel is drawn from, the most useful of the forecast."""
CLEARLY = 0.02
"""Quality by which a dearer plan must beat the best single model to be chosen."""
DEPTHS = (2, 3)
"""Tiers of a cascade, and members of a panel."""
BARS = (0.3, 0.45, 0.55, 0.65, 0.75, 0.82, 0.88, 0.92, 0.95, 0.98)
"""The accept thresholds that are compared."""


class Candidate(Struct, frozen=True, kw_only=True):
    """An arrangement, what it is expected to bring, and what it costs at worst."""

    arrangement: Arranged
    quality: float
    cost_usd: float
    latency_s: float
    worst_usd: float
    worst_s: float


def candidates(
    estimates: Sequence[Estimate],
    signals: Signals,
    *,
    usd_per_quality: float,
    arrangement: Arrangement = "auto",
) -> Iterator[Candidate]:
    """Every arrangement of the kinds that `arrangement` admits.

    Of a cascade's threshold settings only the best at `usd_per_quality` is offered.
    """
    if arrangement in ("auto", "single"):
        yield from map(alone, estimates)
    if arrangement == "single":
        return
    pool = shortlist(estimates)
    if arrangement in ("auto", "cascade"):
        chains = (c for depth in DEPTHS for c in itertools.permutations(pool, depth))
        yield from (cascade(c, signals, usd_per_quality) for c in chains if rising(c))
    if arrangement in ("auto", "fusion"):
        panels = (p for size in DEPTHS for p in itertools.combinations(pool, size))
        yield from (fusion(panel, signals) for panel in panels)
    if arrangement == "synthesis":
        able = sorted(pool, key=lambda e: (-e.quality, e.cost_usd))
        yield from (synthesis(panel, panel[0]) for panel in _panels(able))
    if arrangement == "fusion":
        yield from (fusion((estimate,) * max(DEPTHS), signals) for estimate in pool)


def chosen(
    offered: Iterable[Candidate], usd_per_quality: float, *, usd_per_second: float = 0.0
) -> Candidate:
    """The candidate of highest utility, w·E[quality] − E[cost] − s·E[latency], guarded.

    A plan dearer than the most able single model must promise :data:`CLEARLY` more quality than
    it, or is passed over: promises that small are within the estimates' error (DESIGN §2.2,
    guard).
    """

    def utility(candidate: Candidate) -> tuple[float, float]:
        if usd_per_quality == float("inf"):
            return candidate.quality, -candidate.cost_usd
        waiting = usd_per_second * candidate.latency_s
        worth = usd_per_quality * candidate.quality - candidate.cost_usd - waiting
        return worth, candidate.quality

    everyone = list(offered)
    if len(everyone) == 1:
        return everyone[0]
    singles = [each for each in everyone if isinstance(each.arrangement, Single)]
    if not singles:
        return max(everyone, key=utility)
    safe = max(singles, key=lambda each: each.quality)
    sound = [
        each
        for each in everyone
        if each.cost_usd <= safe.cost_usd or each.quality >= safe.quality + CLEARLY
    ]
    return max(sound, key=utility)


def shortlist(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The models no other beats in both quality and cost, then the best of the rest."""
    by_cost = sorted(estimates, key=lambda e: (e.cost_usd, -e.quality))
    best = 0.0
    front: list[Estimate] = []
    rest: list[Estimate] = []
    for estimate in by_cost:
        (front if estimate.quality > best else rest).append(estimate)
        best = max(best, estimate.quality)
    rest.sort(key=lambda e: -e.quality)
    chosen = (front[-WIDEST_POOL:] + rest)[:WIDEST_POOL]
    return sorted(chosen, key=lambda e: e.cost_usd)


def rising(tiers: Sequence[Estimate]) -> bool:
    """Whether each tier costs more than the one before: the order of a cascade."""
    return all(a.cost_usd < b.cost_usd for a, b in itertools.pairwise(tiers))


def alone(estimate: Estimate) -> Candidate:
    """One model, asked once."""
    return Candidate(
        arrangement=Single(model=estimate.model),
        quality=estimate.quality,
        cost_usd=estimate.cost_usd,
        latency_s=estimate.latency_s,
        worst_usd=estimate.cost_usd,
        worst_s=estimate.latency_s,
    )


def cascade(tiers: Sequence[Estimate], signals: Signals, usd_per_quality: float) -> Candidate:
    """`tiers` in order, with the accept thresholds that serve the objective best."""
    bars = _settings(len(tiers) - 1)
    outlook = chain(tiers, bars, signals)
    if usd_per_quality == float("inf"):
        value = outlook.quality - 1e-9 * outlook.cost
    else:
        value = usd_per_quality * outlook.quality - outlook.cost
    best = int(value.argmax())
    accepts = (*bars[best].tolist(), 0.0)
    return Candidate(
        arrangement=Cascade(
            tiers=tuple(
                Tier(models=(tier.model,), accept=accept)
                for tier, accept in zip(tiers, accepts, strict=True)
            )
        ),
        quality=float(outlook.quality[best]),
        cost_usd=float(outlook.cost[best]),
        latency_s=float(outlook.latency[best]),
        worst_usd=sum(tier.cost_usd for tier in tiers),
        worst_s=sum(tier.latency_s for tier in tiers),
    )


def fusion(panel: Sequence[Estimate], signals: Signals) -> Candidate:
    """A voting panel: its best member's log-odds, raised by what voting was seen to add."""
    best = max(estimate.quality for estimate in panel)
    best = min(max(best, 0.005), 0.995)
    names = tuple(estimate.model for estimate in panel)
    log_odds = math.log(best / (1.0 - best)) + signals.gain(names)
    cost = sum(estimate.cost_usd for estimate in panel)
    slowest = max(estimate.latency_s for estimate in panel)
    return Candidate(
        arrangement=Fusion(panel=names),
        quality=1.0 / (1.0 + math.exp(-log_odds)),
        cost_usd=cost,
        latency_s=slowest,
        worst_usd=cost,
        worst_s=slowest,
    )


def synthesis(panel: Sequence[Estimate], writer: Estimate) -> Candidate:
    """A panel whose drafts `writer` makes one answer of.

    No outcome says what writing adds, so it promises what the writer would alone. The writer's call
    is taken to cost twice its own, for the drafts it has to read.
    """
    cost = sum(estimate.cost_usd for estimate in panel) + 2.0 * writer.cost_usd
    slowest = max(estimate.latency_s for estimate in panel) + writer.latency_s
    return Candidate(
        arrangement=Synthesis(panel=tuple(e.model for e in panel), writer=writer.model),
        quality=writer.quality,
        cost_usd=cost,
        latency_s=slowest,
        worst_usd=cost,
        worst_s=slowest,
    )


def _panels(able: Sequence[Estimate]) -> Iterator[tuple[Estimate, ...]]:
    """The models whose drafts are worth reading, the writer first.

    The most able with each of the two that come next; itself twice where there is no other.
    """
    yield from ((able[0], other) for other in able[1:3])
    if len(able) == 1:
        yield (able[0], able[0])


def _settings(depth: int) -> NDArray[np.float64]:
    import numpy as np

    return np.array(list(itertools.product(BARS, repeat=depth)))
