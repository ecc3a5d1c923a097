"""Whether one policy is better than another: both replayed on held-out answers, row by row.

Both are served by the engine that serves, over what was recorded. It knows how replays become a
difference with an interval, and which words that interval earns; who is promoted, others decide.

Where few rows were held out, the rows of the fit may count too: on each part of them a policy that
was fitted in the same way without it stands in for the candidate (cross-fitting).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from emafusion.artefacts import Artefact
from emafusion.errors import DataError
from emafusion.evaluate import metrics
from emafusion.evaluate.recorded import Recorded, joined
from emafusion.evaluate.runs import Run
from emafusion.learn import bootstrap
from emafusion.learn.benchmark import live
from emafusion.learn.benchmark.rows import complete
from emafusion.learn.bootstrap import FEWEST_CLUSTERS, Estimate
from emafusion.learn.fit import spending
from emafusion.learn.fit.spending import Bills
from emafusion.plan import Dial
from emafusion.plan.planner import DEFAULT_PREFER

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEWEST: Final = 50
"""Held-out queries below which no difference is called one."""
_FAR: Final = 1e6
"""Times the queries at hand that nobody will ask."""
DIAL: Final = (0.2, 0.4, DEFAULT_PREFER, 0.6, 0.8, 1.0)
"""The settings that frontiers are drawn through, and that count where none is fixed; what requests
get that ask for none is among them."""

Kin = Callable[[Recorded], Mapping[str, str]]
"""Names what queries are alike in, by query."""
Verdict = Literal["better", "no worse", "worse", "too little to tell"]


class Rule(Struct, frozen=True, kw_only=True):
    """When a candidate is better.

    The floor of the one-sided 95 % interval of its gain in utility must lie above −`margin`: at 0
    it must be better beyond doubt, above 0 it may be worse by so much quality. Of fewer than
    `fewest` queries nothing is concluded, nor where these are of fewer than
    :data:`~emafusion.learn.bootstrap.FEWEST_CLUSTERS` kin.
    """

    margin: float = 0.0
    fewest: int = FEWEST


class HeldOut(Struct, frozen=True, kw_only=True):
    """A policy, and rows that it was not fitted on."""

    policy: Artefact
    recorded: Recorded


class Setup(Struct, frozen=True, kw_only=True):
    """How policies are replayed: how an engine is built, at which setting, with what patience.

    Where no ``prefer`` is fixed every request chooses its own: then what a policy is worth is its
    mean over the dial. ``frontier`` replays the whole dial in any case, for the policies' AIQ.
    ``stand_ins`` gives what else a candidate may be measured on, where that is fair
    (:func:`~emafusion.learn.promote.consider`). ``kin`` is asked what the
    rows that are compared are alike in: those of one name are drawn together, as equal prompts are.
    ``tick`` is told each replayed query.
    """

    build: live.Build
    prefer: float | None = None
    frontier: bool = False
    rule: Rule = Rule()
    seed: int = 0
    tick: Callable[[], None] = lambda: None
    stand_ins: Callable[[], Sequence[HeldOut]] = tuple
    kin: Kin = lambda _: {}

    @property
    def settings(self) -> tuple[float, ...]:
        """The settings of the dial that count."""
        return DIAL if self.prefer is None else (self.prefer,)


class Figures(Struct, frozen=True, kw_only=True):
    """What one policy did on the held-out queries: mean score, mean US dollars, AIQ."""

    accuracy: float
    cost_usd: float
    utility: float
    aiq: float | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """A candidate beside the incumbent on `queries` held-out queries of `clusters` different kin.

    Utility is score − cost ÷ `usd_per_quality`, the dial's price at `prefer`; ``None`` where
    quality alone counts. Where no `prefer` is fixed it is the mean over :data:`DIAL`, each setting
    at its own price, and so are the figures. ``gain``, ``accuracy`` and ``cost_usd`` are paired
    differences, the candidate's less the incumbent's. ``needed`` is how many queries it takes, by
    what was seen, to be sure of a difference of this size; ``None`` where it is sure, or there is
    none. The lower ends of ``gain`` are wary (:func:`~emafusion.learn.bootstrap.wary`): they count
    one answer more as lost than was.
    """

    queries: int
    clusters: int
    prefer: float | None
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
            **({} if self.prefer is None else {"prefer": self.prefer}),
            "gain": self.gain.value,
            "gain_floor": self.gain.floor,
            "p_better": self.gain.above,
            "accuracy": self.candidate.accuracy,
            "accuracy_before": self.incumbent.accuracy,
            "cost_usd": self.candidate.cost_usd,
            "cost_usd_before": self.incumbent.cost_usd,
        }


def compare(
    incumbent: Artefact,
    candidate: Artefact,
    *,
    recorded: Recorded,
    setup: Setup,
    stand_ins: Sequence[HeldOut] = (),
) -> Comparison:
    """Replay both policies on `recorded` and tell the difference.

    Parameters
    ----------
    incumbent, candidate : Artefact
        Not fitted on `recorded`. One whose pool has none of its models serves them unfitted.
    recorded : Recorded
        Held-out queries; those that not every model answered are left out, since a policy might
        ask the one that did not.
    setup : Setup
        The engine, the dial's setting and the rule.
    stand_ins : sequence of HeldOut
        Policies fitted as `candidate` was, each without its rows, which count as well: the way of
        fitting is measured on them. The incumbent may not have been fitted on these rows either.

    Raises
    ------
    DataError
        No query was answered by every model.
    """
    parts = _parts(candidate, recorded, stand_ins)
    whole = _rows(parts)
    bills = spending.bills(whole)
    before = _replayed([HeldOut(policy=incumbent, recorded=whole)], setup, bills)
    after = _replayed(parts, setup, bills)
    scale = _scale((incumbent, candidate), whole, setup)
    now, then = (_worth(runs, scale) for runs in (after, before))
    alike = _alike(whole, setup.kin)
    size = (len(alike), len(set(alike)))
    accuracy, cost = (
        bootstrap.mean(values, clusters=alike, seed=setup.seed)
        for values in (now.scores - then.scores, now.costs - then.costs)
    )
    gain = bootstrap.wary(
        now.utilities - then.utilities,
        clusters=alike,
        worst=_worst(scale, float(whole.costs.max())),
        seed=setup.seed,
    )
    return Comparison(
        queries=size[0],
        clusters=size[1],
        prefer=setup.prefer,
        usd_per_quality=_price(scale),
        incumbent=_figures(before, then, whole),
        candidate=_figures(after, now, whole),
        gain=gain,
        accuracy=accuracy,
        cost_usd=cost,
        verdict=_verdict(gain, size, setup.rule, usual=_usual(after, before, scale)),
        needed=_needed(gain, size, setup.rule),
    )


def _alike(rows: Recorded, kin: Kin) -> list[str]:
    """What each row is drawn together with: its kin, or equal prompts."""
    known = kin(rows)
    return [known.get(q, p) for q, p in zip(rows.queries, rows.prompts, strict=True)]


def _parts(candidate: Artefact, recorded: Recorded, stand_ins: Sequence[HeldOut]) -> list[HeldOut]:
    """Who is replayed on which rows: no query twice, none that a model has not answered."""
    asked: set[str] = set()
    named: set[str] = set()
    parts = []
    for one in (HeldOut(policy=candidate, recorded=recorded), *stand_ins):
        rows = complete(one.recorded)
        keep = [
            place
            for place, (query, prompt) in enumerate(zip(rows.queries, rows.prompts, strict=True))
            if query not in named and prompt not in asked
        ]
        rows = rows if len(keep) == len(rows.queries) else rows.rows(keep)
        named.update(rows.queries)
        asked.update(rows.prompts)
        parts.append(HeldOut(policy=one.policy, recorded=rows))
    return parts


def _rows(parts: Sequence[HeldOut]) -> Recorded:
    """The rows of all `parts`; raises ``DataError`` where there are none."""
    whole = parts[0].recorded
    for part in parts[1:]:
        whole = joined(whole, part.recorded)
    if not whole.queries:
        raise DataError(
            "no held-out query was answered by every model: collect more, or name a folder whose "
            "queries all models answered"
        )
    return whole


def _replayed(parts: Sequence[HeldOut], setup: Setup, bills: Bills) -> dict[float, Run]:
    """What the policies of `parts` did, each on its rows; one run for each setting."""
    asked = dict.fromkeys((*setup.settings, *(DIAL if setup.frontier else ())))
    settings = {f"prefer={one:.3f}": one for one in asked}
    runs = [
        live.replay(
            live.Stage(build=setup.build, policy=part.policy, recorded=part.recorded, bills=bills),
            settings,
            setup.tick,
        )
        for part in parts
        if part.recorded.queries
    ]
    return {one: _chained([run[name] for run in runs]) for name, one in settings.items()}


def _chained(runs: Sequence[Run]) -> Run:
    """One run over all their queries, in order."""
    import numpy as np

    return Run(
        knob=runs[0].knob,
        scores=np.concatenate([run.scores for run in runs]),
        costs=np.concatenate([run.costs for run in runs]),
        calls=tuple(calls for run in runs for calls in run.calls or ()),
        sources=tuple(source for run in runs for source in run.sources or ()),
    )


class _Worth(Struct, frozen=True, kw_only=True):
    """Scores, costs and utilities per query, each the mean over the settings that count."""

    scores: Array
    costs: Array
    utilities: Array


def _worth(runs: Mapping[float, Run], scale: Mapping[float, float]) -> _Worth:
    """What `runs` are worth at the settings and prices of `scale`."""
    import numpy as np

    mine = [runs[prefer] for prefer in scale]
    return _Worth(
        scores=np.mean([run.scores for run in mine], axis=0),
        costs=np.mean([run.costs for run in mine], axis=0),
        utilities=np.mean([_utility(runs[one], price) for one, price in scale.items()], axis=0),
    )


def _scale(
    policies: tuple[Artefact, Artefact], recorded: Recorded, setup: Setup
) -> dict[float, float]:
    """US dollars a quality point is worth at each setting: by the incumbent's dial, else the other.

    Of a policy whose pool is not the recorded one, the dial does not serve; where that is so of
    both, the unfitted dial's price.
    """
    dials = [
        Dial(prices=tuple(one.arrays["plan/lookahead_prices"].tolist()))
        for one in policies
        if "plan/lookahead_prices" in one.arrays and set(recorded.models) <= set(one.manifest.pool)
    ]
    dial, dearest = (*dials, Dial())[0], float(recorded.costs.mean(axis=0).max())
    return {prefer: dial.usd_per_quality(prefer, dearest) for prefer in setup.settings}


def _worst(scale: Mapping[float, float], dearest: float) -> float:
    """What one more query could lose: its answer, and the dearest call's price on top.

    The mean over the settings, each at its own price; where cost alone counts, that price alone.
    """
    lost = [
        -dearest if price == 0.0 else -1.0 - (dearest / price if math.isfinite(price) else 0.0)
        for price in scale.values()
    ]
    return math.fsum(lost) / len(lost)


def _utility(run: Run, price: float) -> Array:
    """Per query; where the dial is at cost alone, a US dollar less is a point more."""
    if price == 0.0:
        return -run.costs
    found: Array = run.scores - run.costs / price
    return found


def _price(scale: Mapping[float, float]) -> float | None:
    """The price where it is one, and quality does not count alone."""
    price = next(iter(scale.values()))
    return None if len(scale) > 1 or math.isinf(price) else price


def _figures(runs: Mapping[float, Run], worth: _Worth, whole: Recorded) -> Figures:
    dearest = 2.0 * float(whole.costs[:, int(whole.scores.mean(axis=0).argmax())].mean())
    points = [(one.cost_usd, one.accuracy) for one in runs.values()]
    return Figures(
        accuracy=float(worth.scores.mean()),
        cost_usd=float(worth.costs.mean()),
        utility=float(worth.utilities.mean()),
        aiq=metrics.aiq(points, dearest) if len(runs) > 1 and dearest > 0 else None,
    )


def _usual(
    after: Mapping[float, Run], before: Mapping[float, Run], scale: Mapping[float, float]
) -> Array | None:
    """The gain per query at the setting of requests that ask for none, where others count too."""
    if len(scale) == 1:
        return None
    price = scale[DEFAULT_PREFER]
    found: Array = _utility(after[DEFAULT_PREFER], price) - _utility(before[DEFAULT_PREFER], price)
    return found


def _verdict(
    gain: Estimate, size: tuple[int, int], rule: Rule, *, usual: Array | None = None
) -> Verdict:
    """What `gain` amounts to, on how many queries of how many kin.

    A policy that is worse where most requests are, by more than the margin and two standard errors,
    is worse, whatever it gains elsewhere.
    """
    queries, clusters = size
    if queries < rule.fewest or clusters < FEWEST_CLUSTERS:
        return "too little to tell"
    if usual is not None:
        error = 2.0 * float(usual.std()) / math.sqrt(len(usual))
        if float(usual.mean()) + error < -rule.margin:
            return "worse"
    if gain.floor > 0.0:
        return "better"
    if gain.floor > -rule.margin:
        return "no worse"
    return "worse" if gain.ceiling < 0.0 else "too little to tell"


def _needed(gain: Estimate, size: tuple[int, int], rule: Rule) -> int | None:
    """Queries at which such a gain would be told.

    Its spread falls with the root of their number, and what the interval's floor adds for losses
    that were not seen with the number itself. ``None`` where it is told already, or where it is so
    near 0 that nobody could ask as many, and no margin says what that is worth.
    """
    queries, clusters = size
    if _verdict(gain, size, rule) != "too little to tell":
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
    # Of as many kin for each query as now.
    times = max(times, FEWEST_CLUSTERS / clusters)
    return max(math.ceil(queries * times), rule.fewest, queries + 1) if times < _FAR else None
