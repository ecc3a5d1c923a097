"""A model left out of the training folder and added back by probes: what each step is worth.

Knows how to fit a pool without one of its models, and how three policies are compared: the pool
without the newcomer, with it by probes, and with all of its outcomes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from emafusion.artefacts import Artefact
from emafusion.errors import DataError
from emafusion.evaluate import metrics
from emafusion.evaluate.threads import one_thread
from emafusion.judge.council import Council
from emafusion.judge.heads import Heads
from emafusion.judge.ranker import Ranker
from emafusion.learn.fit import (
    deciding,
    lattice,
    logistic,
    option_priors,
    policy,
    routers,
    spending,
)
from emafusion.learn.fit.answering import States
from emafusion.learn.fit.deciding import Decided
from emafusion.learn.fit.evidence import NOBODY, Evidence
from emafusion.learn.fit.lattice import Rules
from emafusion.learn.fit.policy import Learnt, Material, evidence_of
from emafusion.learn.probing import choosing, joining
from emafusion.learn.probing.known import Answers, Known
from emafusion.plan import Lookahead
from emafusion.predict import Fitted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Arrays = dict[str, NDArray[np.generic]]

PER_MODEL = (
    "weights",
    "biases",
    "trials",
    "successes",
    "overhead",
    "length_weights",
    "length_biases",
    "length_spreads",
    "length_paces",
)
"""The arrays of stage 3 whose last axis is the pool."""
HEAD = ("mean", "scale", "weights")


class Added(Struct, frozen=True, kw_only=True):
    """What one newcomer brought, on rows that no fit has seen.

    ``aiq`` are areas under the frontier over one range of costs: of the pool without the
    newcomer, with it by probes, and with all its outcomes; ``share`` the second over the third.
    ``accuracy`` is the newcomer's on the measured rows, ``expected`` what the probes say of it on
    the fitted ones, ``error`` the standard error of that, ``found`` what it is there. ``cpu_s``
    are seconds of choosing and joining.
    """

    model: str
    probes: int
    aiq_without: float
    aiq_probed: float
    aiq_full: float
    share: float
    seated: bool
    seated_full: bool
    accuracy: float
    expected: float
    error: float
    found: float
    cpu_s: float


class LeftOut(Struct, frozen=True, kw_only=True):
    """All newcomers in turn; ``share`` is the mean of theirs."""

    probes: int
    share: float
    least: float
    most_cpu_s: float
    models: tuple[Added, ...]


class Setting(Struct, frozen=True, kw_only=True):
    """The training rows, the rows to measure on, and the policy fitted with the whole pool."""

    train: Material
    test: Material
    learnt: Learnt


def leave_out(
    setting: Setting,
    models: Sequence[str],
    *,
    probes: int = 60,
    tell: Callable[[str, int, int], None] | None = None,
) -> LeftOut:
    """Leave each of `models` out in turn and add it back by so many probes.

    Raises
    ------
    DataError
        A model is not in the folder, or it is the only one.
    """
    pool = setting.train.recorded.models
    for model in models:
        if model not in pool:
            raise DataError(f"the folder has no model {model!r}; it has {', '.join(pool)}")
    if len(pool) < 2:
        raise DataError("leaving a model out takes outcomes of two models at least")
    found = []
    with one_thread():
        whole = _frontier(setting.learnt.artefact, setting.test, setting.learnt)
        for number, model in enumerate(models):
            if tell is not None:
                tell(f"adding {model} by probes", number, len(models))
            found.append(_added(setting, model, probes=probes, whole=whole))
    return LeftOut(
        probes=probes,
        share=math.fsum(one.share for one in found) / len(found),
        least=min(one.share for one in found),
        most_cpu_s=max(one.cpu_s for one in found),
        models=tuple(found),
    )


def _added(
    setting: Setting, model: str, *, probes: int, whole: tuple[Array, frozenset[str]]
) -> Added:
    """One newcomer: the pool fitted without it, then with it by probes."""
    known = without(setting.train, setting.learnt, model)
    began = time.process_time()
    rows = choosing.informative(*known.columns(), probes)
    chosen_s = time.process_time() - began
    # Asking is no part of joining; here the answers are only looked up.
    said = answers(setting.train, model, rows)
    began = time.process_time()
    joined = joining.join(known, said, seed=setting.train.seed)
    spent = chosen_s + time.process_time() - began
    scores, costs = setting.test.recorded.scores, setting.test.recorded.costs
    dearest = 2.0 * float(costs.mean(axis=0)[scores.mean(axis=0).argmax()])
    before, _ = _frontier(known.artefact, setting.test, known)
    after, _ = _frontier(joined.artefact, setting.test, replace(known, bills=joined.bills))
    areas = [metrics.aiq(points, dearest) for points in (before, after, whole[0])]
    place = setting.train.recorded.models.index(model)
    return Added(
        model=model,
        probes=probes,
        aiq_without=areas[0],
        aiq_probed=areas[1],
        aiq_full=areas[2],
        share=areas[1] / areas[2],
        seated=joined.seated,
        seated_full=model in whole[1],
        accuracy=float(scores[:, place].mean()),
        expected=joined.quality[0],
        error=joined.quality[1],
        found=float(setting.train.recorded.scores[:, place].mean()),
        cpu_s=spent,
    )


def without(train: Material, learnt: Learnt, model: str) -> Known:
    """The pool less `model`, fitted on rows that do not know of it.

    Routers, lengths and prices are fitted model by model, so the others' are those of `learnt`;
    of `model` they know but its part in two hyperparameters, penalty and strength, which the whole
    pool chose. The gate, the option prior, heads, council and look-ahead are fitted anew.
    """
    import numpy as np

    keep = [place for place, name in enumerate(train.recorded.models) if name != model]
    material = columns(train, keep)
    held = learnt.forecasts
    gate = routers.fit_gate(held.learned[:, keep], held.taxonomy[:, keep], material.inputs)
    share = routers.shares(gate, material.inputs.labels)
    union = routers.mix(held.learned[:, keep], held.taxonomy[:, keep], share)
    before: Arrays = {
        name: array[..., keep] if name in PER_MODEL else array
        for name, array in learnt.artefact.under("predict").items()
    }
    before["gate"] = np.array(gate)
    bills = _bills(learnt.bills, keep)
    drafted, scores = material.drafted, material.recorded.scores
    fold = learnt.evidence.fold
    prior, hunches = option_priors.fit(drafted.options, drafted.chosen, scores=scores, fold=fold)
    fitted = _fitted(before, material)
    evidence = evidence_of(
        material, fitted, bills, priors=logistic.log_odds(union), hunches=hunches, fold=fold
    )
    arrays: Arrays = {f"predict/{name}": array for name, array in before.items()}
    arrays |= policy.arrays_of(deciding.fit(evidence), material.recorded.models)
    manifest = replace(learnt.artefact.manifest, pool=material.recorded.models)
    return Known(
        artefact=Artefact(manifest=manifest, arrays=arrays),
        material=material,
        evidence=evidence,
        bills=bills,
        option_prior=prior,
    )


def answers(train: Material, model: str, rows: NDArray[np.int64]) -> Answers:
    """What `model` said to the probes, from the recorded outcomes."""
    place = train.recorded.models.index(model)
    drafted = train.drafted
    return Answers(
        rows=rows,
        recorded=train.recorded.rows(rows.tolist()).columns([place]),
        surfaces=drafted.surfaces[rows, place],
        answers=drafted.answers[rows, place],
        chosen=drafted.chosen[rows, place],
        flagged=drafted.flagged[rows, place],
    )


def columns(material: Material, keep: Sequence[int]) -> Material:
    """`material` with the models at the positions `keep`, in that order."""
    drafted, places = material.drafted, list(keep)
    return replace(
        material,
        recorded=material.recorded.columns(places),
        inputs=replace(material.inputs, scores=material.inputs.scores[:, places]),
        drafted=replace(
            drafted,
            surfaces=drafted.surfaces[:, places],
            answers=drafted.answers[:, places],
            chosen=drafted.chosen[:, places],
            flagged=drafted.flagged[:, places],
        ),
    )


def _frontier(
    artefact: Artefact, test: Material, known: Known | Learnt
) -> tuple[Array, frozenset[str]]:
    """Cost and accuracy of every setting but the first on `test`, and who is in the rule."""
    import numpy as np

    pool = artefact.manifest.pool
    material = columns(test, [test.recorded.models.index(name) for name in pool])
    fitted = _fitted(artefact.under("predict"), material)
    drafted = material.drafted
    evidence = evidence_of(
        material,
        fitted,
        known.bills,
        priors=fitted.log_odds(material.inputs.vectors, material.inputs.labels),
        hunches=option_priors.read(known.option_prior, drafted.options, drafted.chosen),
        fold=np.full(len(material.recorded.queries), NOBODY),
    )
    decided = _decided(artefact, evidence)
    applied = deciding.apply(decided, evidence)
    points = []
    for setting in range(1, len(decided.rules.lookahead.prices)):
        done = lattice.walk(
            applied.rules,
            applied.evidence,
            applied.states,
            members=applied.members,
            setting=setting,
        )
        points.append((float(done.cost.mean()), float(done.score.mean())))
    return np.array(points), frozenset(decided.rules.lookahead.members)


def _decided(artefact: Artefact, evidence: Evidence) -> Decided:
    """The judges and the rule of `artefact`, ready to be applied to `evidence`."""
    import numpy as np

    pool, judged = artefact.manifest.pool, artefact.under("judge")
    Heads.from_arrays(judged, pool)  # refuses those of another version
    council = Council.from_arrays(judged, pool)
    rule = Lookahead.from_arrays(artefact.under("plan"), pool)
    return Decided(
        without=deciding.NOTHING,
        heads={name: np.asarray(judged[f"head_{name}"], dtype=np.float64) for name in HEAD},
        ranker=Ranker.from_arrays(judged, pool),
        members=tuple(pool.index(name) for name in rule.members),
        council=council,
        rules=Rules(lookahead=rule, decisions={}),
        evidence=evidence,
        states=States(),
    )


def _fitted(before: Mapping[str, NDArray[np.generic]], material: Material) -> Fitted:
    """Stage 3 of the arrays that an artefact keeps under ``predict``."""
    features = material.features
    return Fitted.from_arrays(
        before, material.recorded.models, encoder=features.encoder, labels=features.labels
    )


def _bills(bills: spending.Bills, keep: Sequence[int]) -> spending.Bills:
    places = list(keep)
    return spending.Bills(
        prices=bills.prices[:, places], means=bills.means[places], follows=bills.follows[places]
    )
