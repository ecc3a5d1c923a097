"""Recorded outcomes as the tables that baselines read and the evidence that ours reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emafusion.errors import DataError
from emafusion.evaluate.recorded import Recorded
from emafusion.evaluate.runs import Table
from emafusion.learn.fit import option_priors
from emafusion.learn.fit.evidence import NOBODY, Evidence
from emafusion.learn.fit.policy import Learnt, Material, evidence_of, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def complete(recorded: Recorded, *, scored: bool = True) -> Recorded:
    """The queries that every model has answered: only these can be replayed by any plan.

    Unless `scored`, their answers need no scores.
    """
    import numpy as np

    known = recorded.scores + recorded.costs if scored else recorded.costs
    return recorded.rows(np.flatnonzero(~np.isnan(known).any(axis=1)).tolist())


def sampled(recorded: Recorded, count: int, seed: int) -> Recorded:
    """`count` of the queries at random, in their order; the same ones for equal seeds."""
    import numpy as np

    if count > len(recorded.queries):
        raise DataError(
            f"{count} training rows are asked for, but only {len(recorded.queries)} queries have "
            "been answered by every model"
        )
    order = np.random.default_rng(seed).permutation(len(recorded.queries))
    return recorded.rows(np.sort(order[:count]).tolist())


def aligned(recorded: Recorded, pool: Sequence[str], name: str) -> Recorded:
    """`recorded` with the models of `pool` alone, in its order."""
    lacking = [model for model in pool if model not in recorded.models]
    if lacking:
        raise DataError(
            f"{name!r} has no outcomes of {lacking[0]!r}, which the other folder has; "
            "both must hold the same models"
        )
    return recorded.columns([recorded.models.index(model) for model in pool])


def fresh(recorded: Recorded, material: Material) -> Material:
    """Rows outside the fit, read as the fitted ones were."""
    labels = material.classifier.read_all(recorded.prompts)
    return shown(
        recorded,
        classifier=material.classifier,
        features=material.features,
        labels=labels,
        seed=material.seed,
    )


def evidence(material: Material, learnt: Learnt, priors: Array) -> Evidence:
    """What judges and planner see of rows outside the fit; `priors` are log-odds (n, m)."""
    import numpy as np

    fold = np.full(len(material.recorded.queries), NOBODY)
    seen = material.drafted
    hunches = option_priors.read(learnt.option_prior, seen.options, seen.chosen)
    return evidence_of(
        material, learnt.fitted, learnt.bills, priors=priors, hunches=hunches, fold=fold
    )


def forecasts(material: Material, learnt: Learnt) -> dict[str, Array]:
    """Each router's log-odds for rows outside the fit, and their union's."""
    vectors, labels = material.inputs.vectors, material.inputs.labels
    shares = {"taxonomy": 0.0, "learned": 1.0, "union": None}
    return {
        name: learnt.fitted.log_odds(vectors, labels, share=share) for name, share in shares.items()
    }


def table(material: Material, evidence: Evidence, *, split: str | None = None) -> Table:
    """What baselines see of the rows of `split`, or of all: of drafts, what `evidence` has."""
    import numpy as np

    recorded = material.recorded
    keep = np.array([split is None or one == split for one in recorded.splits], dtype=bool)
    rows = np.flatnonzero(keep)
    vectors = material.features.encoder.encode([recorded.prompts[row] for row in rows])
    return Table(
        queries=tuple(recorded.queries[row] for row in rows),
        tasks=tuple(recorded.tasks[row] for row in rows),
        models=recorded.models,
        scores=recorded.scores[rows],
        costs=recorded.costs[rows],
        vectors=np.asarray(vectors, dtype=np.float64),
        answers=evidence.answers[rows],
        surface=evidence.surfaces[rows],
    )
