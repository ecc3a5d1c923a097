"""Stages 4 and 6 with one more model: its head for drafts, and council and look-ahead over all.

Knows how a newcomer's judges are borrowed and when the rule must be settled anew: only where it
earns a place in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from emafusion.judge import council, surface
from emafusion.judge.evidence import OWN
from emafusion.judge.heads import Heads
from emafusion.judge.ranker import Ranker
from emafusion.learn.fit import answering, deciding, lattice, logistic, option_priors, ranking
from emafusion.learn.fit.evidence import Evidence, surplus
from emafusion.learn.probing import imputing
from emafusion.learn.probing.forecasting import Forecast
from emafusion.learn.probing.known import Answers, Known
from emafusion.plan import Signals

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Arrays = dict[str, NDArray[np.generic]]

USUAL = 10.0
"""Probes that the looks of its like's drafts count for beside the newcomer's own."""
OFFSET = 0.5
"""Standard deviation, log-odds, of how far a model's own head lies from those of its like."""
STEPS = 8
CONTEXT = [-3, -2]
"""Where a head's weights of the pool's mean and best forecast stand."""


def extended(
    known: Known, forecast: Forecast, answers: Answers, *, rates: Array, kin: Array, seed: int
) -> tuple[Arrays, bool]:
    """All arrays of the extended policy, and whether the newcomer has a place in the look-ahead."""
    pool = (*known.artefact.manifest.pool, *answers.recorded.models)
    arrays: Arrays = {
        name: array for name, array in known.artefact.arrays.items() if "predict/" not in name
    }
    arrays |= {f"predict/{name}": array for name, array in forecast.arrays.items()}
    arrays |= _plainly(known, forecast, pool=pool, kin=kin)
    if "judge/council_members" not in arrays:
        return arrays, False
    probed, typical = _probed(known, forecast, answers, kin=kin)
    column = imputing.imputed(known.evidence, probed, rates, kin=kin, typical=typical, seed=seed)
    evidence = _evidence(known, forecast, column, answers=answers, pool=pool)
    judged, trust = _heads(known, evidence, probed, typical=typical, kin=kin)
    arrays |= judged
    ranker = _ranker(known, evidence, kin)
    if ranker is not None:
        arrays |= {f"judge/{name}": array for name, array in ranker.to_arrays().items()}
    settled = _settled(evidence, trust=trust, ranker=ranker)
    if settled is None:
        arrays |= _eased(known, evidence)
        return arrays, False
    return arrays | settled, True


def _plainly(known: Known, forecast: Forecast, *, pool: tuple[str, ...], kin: Array) -> Arrays:
    """The panel of last resort and the planner's signals: the newcomer is as its like are."""
    import numpy as np

    artefact = known.artefact
    arrays: Arrays = {}
    if "judge/weights" in artefact.arrays:
        weights = artefact.arrays["judge/weights"]
        arrays["judge/weights"] = np.concatenate([weights, np.zeros(len(OWN))])
    planned = artefact.under("plan")
    if "prices" in planned:
        arrays["plan/prices"] = forecast.bills.prices
    if "drop" in planned:
        before = Signals.from_arrays(planned, artefact.manifest.pool)
        arrays |= {f"plan/{n}": a for n, a in _signals(before, pool, kin).to_arrays(pool).items()}
    return arrays


def _signals(before: Signals, pool: tuple[str, ...], kin: Array) -> Signals:
    import numpy as np

    *old, new = pool

    def like(values: list[float]) -> float:
        return float(np.array(values) @ kin)

    falls = {f"{new}>{a}": like([before.fall(b, a) for b in old]) for a in old}
    falls |= {f"{a}>{new}": like([before.fall(a, b) for b in old]) for a in old}
    return replace(
        before,
        alone={**before.alone, new: like([before.signal(a, first=True) for a in old])},
        later={**before.later, new: like([before.signal(a, first=False) for a in old])},
        drop={**before.drop, **falls},
    )


def _probed(
    known: Known, forecast: Forecast, answers: Answers, *, kin: Array
) -> tuple[imputing.Probed, imputing.Typical]:
    """The probes as evidence, and how the newcomer's drafts look on the whole."""
    import numpy as np

    options = [known.material.drafted.options[row] for row in answers.rows.tolist()]
    hunches = option_priors.read(known.option_prior, options, answers.chosen[:, None])[:, 0]
    surfaces = answers.surfaces.copy()
    surfaces[:, [surface.NAMES.index(name) for name in surface.HUNCHES]] = hunches
    tokens = answers.recorded.tokens[:, 0]
    probed = imputing.Probed(
        rows=answers.rows,
        scores=answers.recorded.scores[:, 0],
        surplus=surplus(tokens, forecast.tokens[answers.rows]),
        surfaces=surfaces,
        answers=answers.answers,
        flagged=answers.flagged,
    )
    judged = known.artefact.under("judge")
    mean, scale = np.asarray(judged["head_mean"]), np.asarray(judged["head_scale"])
    count, usual = len(surfaces), kin @ mean
    own = (surfaces.sum(axis=0) + USUAL * usual) / (count + USUAL)
    variance = ((surfaces - own) ** 2).sum(axis=0) + USUAL * (kin @ scale**2)
    spread = np.sqrt(variance / (count + USUAL))
    return probed, imputing.Typical(known=(mean, scale), own=(own, np.maximum(spread, 1e-6)))


def _evidence(
    known: Known,
    forecast: Forecast,
    column: imputing.Imputed,
    *,
    answers: Answers,
    pool: tuple[str, ...],
) -> Evidence:
    """The evidence with the newcomer's column, its costs by its length and its prices."""
    import numpy as np

    before = known.evidence
    tokens = (forecast.tokens + 1.0) * np.exp(column.surplus) - 1.0
    costs = forecast.cost(tokens)
    costs[answers.rows] = answers.recorded.costs[:, 0]
    added = {
        "priors": forecast.priors,
        "expected": forecast.cost(forecast.tokens),
        "surplus": column.surplus,
        "answers": column.answers,
        "flagged": column.flagged,
        "scores": column.scores,
        "costs": costs,
    }
    joined = {
        name: np.column_stack([getattr(before, name), array]) for name, array in added.items()
    }
    surfaces = np.concatenate([before.surfaces, column.surfaces[:, None]], axis=1)
    return replace(before, pool=pool, surfaces=surfaces, **joined)


def _heads(
    known: Known,
    evidence: Evidence,
    probed: imputing.Probed,
    *,
    typical: imputing.Typical,
    kin: Array,
) -> tuple[Arrays, Array]:
    """The heads' arrays with the newcomer's, and every draft's log-odds (n, m + 1).

    The newcomer reads its drafts as its like read theirs, shifted by what its probes say. The
    known heads keep their weights; their intercepts make up for the pool's mean and best
    forecast, which the newcomer's has moved. Known drafts are told by heads that left them out.
    """
    import numpy as np

    judged = known.artefact.under("judge")
    weights = np.asarray(judged["head_weights"], dtype=np.float64).copy()
    before, after = known.evidence.priors, evidence.priors
    moved = (answering.pool_context(after) - answering.pool_context(before)).mean(axis=0)
    weights[:, 0] -= weights[:, CONTEXT] @ moved
    found = {
        "mean": np.vstack([judged["head_mean"], typical.own[0]]),
        "scale": np.vstack([judged["head_scale"], typical.own[1]]),
        "weights": np.vstack([weights, kin @ weights]),
    }
    read = answering.read_heads(Heads(evidence.pool, **found), evidence)[:, -1]
    shift = _shift(read[probed.rows], probed.scores)
    found["weights"][-1, 0] += shift
    _, trust = answering.fit_heads(known.evidence)
    told = np.clip(read + shift, -answering.FAR, answering.FAR)
    arrays: Arrays = {f"judge/head_{name}": array for name, array in found.items()}
    return arrays, np.column_stack([trust, told])


def _shift(odds: Array, scores: Array) -> float:
    """What to add to `odds` to meet `scores`, shrunk to 0 by its prior spread (MAP, Newton)."""
    shift = 0.0
    for _ in range(STEPS):
        rates = logistic.sigmoid(odds + shift)
        slope = float((scores - rates).sum()) - shift / OFFSET**2
        shift += slope / (float((rates * (1.0 - rates)).sum()) + 1.0 / OFFSET**2)
    return shift


def _ranker(known: Known, evidence: Evidence, kin: Array) -> Ranker | None:
    """The ranker with the newcomer's name, which says what those of its like say."""
    import numpy as np

    judged = known.artefact.under("judge")
    if "ranker_weights" not in judged:
        return None
    names = np.asarray(judged["ranker_models"], dtype=np.float64)
    added = {**judged, "ranker_models": np.append(names, kin @ names)}
    return Ranker.from_arrays(added, evidence.pool)


def _settled(evidence: Evidence, *, trust: Array, ranker: Ranker | None) -> Arrays | None:
    """Council and look-ahead of the whole pool; ``None`` where the newcomer earns no place."""
    expected = ranking.read(ranker, evidence)
    evidence = deciding.heard(evidence, ranker)
    members = answering.choose_members(
        evidence, deciding.ranked(trust, expected, evidence.open_ended)
    )
    if len(evidence.pool) - 1 not in members:
        return None
    fitted, states = answering.fit_council(evidence, trust, members, expected=expected)
    rules = lattice.fit(evidence, states, members, depth=deciding.deepest(evidence))
    found: Arrays = {f"judge/{n}": a for n, a in fitted.to_arrays(evidence.pool).items()}
    return found | {f"plan/{n}": a for n, a in rules.lookahead.to_arrays(evidence.pool).items()}


def _eased(known: Known, evidence: Evidence) -> Arrays:
    """The council as it was, its intercepts making up for the pool's mean forecast that moved."""
    import numpy as np

    judged = known.artefact.under("judge")
    moved = float(evidence.priors.mean() - known.evidence.priors.mean())
    weights = np.asarray(judged["council_weights"], dtype=np.float64).copy()
    at = 0
    for number in judged["council_sets"].tolist():
        size = int(number).bit_count()
        ease = 3 if size == 1 else council.COMMON
        weights[at] -= weights[at + ease] * moved
        at += council.width(size) + 1
    return {"judge/council_weights": weights}
