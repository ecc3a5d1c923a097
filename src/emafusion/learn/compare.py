"""Whether one policy is better than another: both replayed on held-out answers, row by row.

Both are served by the engine that serves, over what was recorded. It knows how replays become a
difference with an interval, and which words that interval earns; who is promoted, others decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from emafusion.artefacts import Artefact
from emafusion.errors import DataError
from emafusion.evaluate import metrics
from emafusion.evaluate.recorded import Recorded
from emafusion.evaluate.runs import Run
from emafusion.learn import bootstrap
from emafusion.learn.benchmark import live, rows
from emafusion.learn.bootstrap import Estimate
from emafusion.learn.fit import spending
from emafusion.plan import Dial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEWEST: Final = 50
"""Held-out queries below which no difference is called one."""
_FAR: Final = 1e6
"""Times the queries at hand that nobody will ask."""
PREFER: Final = 0.5
"""The setting of the dial where the settings name none."""
DIAL: Final = (0.2, 0.4, 0.6, 0.8, 1.0)
"""The settings that the frontiers are drawn through."""

Verdict = Literal["better", "no worse", "worse", "too little to tell"]


class Rule(Struct, frozen=True, kw_only=True):
    """When a candidate is better.

    The floor of the one-sided 95 % interval of its gain in utility must lie above −`margin`: at 0
    it must be better beyond doubt, above 0 it may be worse by so much quality. Of fewer than
    `fewest` queries nothing is concluded.
    """

    margin: float = 0.0
    fewest: int = FEWEST


class Setup(Struct, frozen=True, kw_only=True):
    """How policies are replayed: how an engine is built, at which setting, with what patience.

    ``frontier`` replays the whole dial too, for the policies' AIQ; ``tick`` is told each replayed
    query.
    """

    build: live.Build
    prefer: float = PREFER
    frontier: bool = False
    rule: Rule = Rule()
    seed: int = 0
    tick: Callable[[], None] = lambda: None


class Figures(Struct, frozen=True, kw_only=True):
    """What one policy did on the held-out queries: mean score, mean US dollars, AIQ."""

    accuracy: float
    cost_usd: float
    utility: float
    aiq: float | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """A candidate beside the incumbent on `queries` held-out queries.

    Utility is score − cost ÷ `usd_per_quality`, the dial's price at `prefer`; ``None`` where
    quality alone counts. ``gain``, ``accuracy`` and ``cost_usd`` are paired differences, the
    candidate's less the incumbent's. ``needed`` is how many queries it takes, by what was seen, to
    be sure of a difference of this size; ``None`` where it is sure, or there is none. The lower
    ends of ``gain`` are wary (:func:`~emafusion.learn.bootstrap.wary`): they count one answer more
    as lost than was.
    """

    queries: int
    prefer: float
    usd_per_quality: float | None
    incumbent: Figures
    candidate: Figures
    gain: Estimate
    accuracy: Estimate
    cost_usd: Estimate
    verdict: Verdict
    needed: int | None = None

    @property
    def figures(self) -> Mapping[str, float]:
        """What a history keeps of it."""
        return {
            "queries": float(self.queries),
            "prefer": self.prefer,
            "gain": self.gain.value,
            "gain_floor": self.gain.floor,
            "p_better": self.gain.above,
            "accuracy": self.candidate.accuracy,
            "accuracy_before": self.incumbent.accuracy,
            "cost_usd": self.candidate.cost_usd,
            "cost_usd_before": self.incumbent.cost_usd,
        }


def compare(
    incumbent: Artefact, candidate: Artefact, *, recorded: Recorded, setup: Setup
) -> Comparison:
    """Replay both policies on `recorded` and tell the difference.

    Parameters
    ----------
    incumbent, candidate : Artefact
        Neither may have been fitted on `recorded`. One whose pool has none of the recorded models
        is replayed as it would serve them: unfitted.
    recorded : Recorded
        Held-out queries; those that not every model answered are left out, since a policy might
        ask the one that did not.
    setup : Setup
        The engine, the dial's setting and the rule.

    Raises
    ------
    DataError
        No query was answered by every model.
    """
    whole = rows.complete(recorded)
    if not whole.queries:
        raise DataError(
            "no held-out query was answered by every model: collect more, or name a folder whose "
            "queries all models answered"
        )
    before, after = (_replayed(one, whole, setup) for one in (incumbent, candidate))
    price = _price((incumbent, candidate), whole, setup.prefer)
    key = _knob(setup.prefer)
    a, b = after[key], before[key]
    accuracy, cost = (
        bootstrap.mean(values, clusters=whole.prompts, seed=setup.seed)
        for values in (a.scores - b.scores, a.costs - b.costs)
    )
    gain = bootstrap.wary(
        _utility(a, price) - _utility(b, price),
        clusters=whole.prompts,
        worst=-float(max(a.costs.max(), b.costs.max())) if price == 0.0 else -1.0,
        seed=setup.seed,
    )
    dearest = 2.0 * float(whole.costs[:, int(whole.scores.mean(axis=0).argmax())].mean())
    return Comparison(
        queries=len(whole.queries),
        prefer=setup.prefer,
        usd_per_quality=None if math.isinf(price) else price,
        incumbent=_figures(before, key, price=price, dearest=dearest),
        candidate=_figures(after, key, price=price, dearest=dearest),
        gain=gain,
        accuracy=accuracy,
        cost_usd=cost,
        verdict=_verdict(gain, len(whole.queries), setup.rule),
        needed=_needed(gain, len(whole.queries), setup.rule),
    )


def _knob(prefer: float) -> str:
    return f"prefer={prefer:.3f}"


def _replayed(policy: Artefact, recorded: Recorded, setup: Setup) -> dict[str, Run]:
    stage = live.Stage(
        build=setup.build, policy=policy, recorded=recorded, bills=spending.bills(recorded)
    )
    settings = (setup.prefer, *(DIAL if setup.frontier else ()))
    return live.replay(stage, {_knob(one): one for one in settings}, setup.tick)


def _price(policies: tuple[Artefact, Artefact], recorded: Recorded, prefer: float) -> float:
    """US dollars a quality point is worth: by the incumbent's dial, else the candidate's.

    Of a policy whose pool is not the recorded one, the dial does not serve; where that is so of
    both, the unfitted dial's price.
    """
    dials = [
        Dial(prices=tuple(one.arrays["plan/lookahead_prices"].tolist()))
        for one in policies
        if "plan/lookahead_prices" in one.arrays and set(recorded.models) <= set(one.manifest.pool)
    ]
    return (*dials, Dial())[0].usd_per_quality(prefer, float(recorded.costs.mean(axis=0).max()))


def _utility(run: Run, price: float) -> Array:
    """Per query; where the dial is at cost alone, a US dollar less is a point more."""
    if price == 0.0:
        return -run.costs
    found: Array = run.scores - run.costs / price
    return found


def _figures(runs: Mapping[str, Run], key: str, *, price: float, dearest: float) -> Figures:
    run = runs[key]
    points = [(one.cost_usd, one.accuracy) for one in runs.values()]
    return Figures(
        accuracy=run.accuracy,
        cost_usd=run.cost_usd,
        utility=float(_utility(run, price).mean()),
        aiq=metrics.aiq(points, dearest) if len(runs) > 1 and dearest > 0 else None,
    )


def _verdict(gain: Estimate, queries: int, rule: Rule) -> Verdict:
    if queries < rule.fewest:
        return "too little to tell"
    if gain.floor > 0.0:
        return "better"
    if gain.floor > -rule.margin:
        return "no worse"
    return "worse" if gain.ceiling < 0.0 else "too little to tell"


def _needed(gain: Estimate, queries: int, rule: Rule) -> int | None:
    """Queries at which such a gain would be told.

    Its spread falls with the root of their number, and what the interval's floor adds for losses
    that were not seen with the number itself. ``None`` where it is told already, or where it is so
    near 0 that nobody could ask as many, and no margin says what that is worth.
    """
    if _verdict(gain, queries, rule) != "too little to tell":
        return None
    spread, worth = gain.ceiling - gain.value, gain.value + rule.margin
    unseen = max(gain.value - gain.floor - spread, 0.0)
    if worth > 0.0:
        # The root of: unseen · x² + spread · x = worth, where x² = queries ÷ needed.
        root = math.sqrt(spread**2 + 4.0 * unseen * worth)
        times = ((spread + root) / (2.0 * worth)) ** 2
    elif gain.value < 0.0:
        times = (spread / gain.value) ** 2
    else:
        return None
    return max(math.ceil(queries * times), rule.fewest, queries + 1) if times < _FAR else None
