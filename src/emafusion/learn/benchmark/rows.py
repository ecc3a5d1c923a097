"""Recorded outcomes as the tables that baselines read and the evidence that ours reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emafusion.errors import DataError
from emafusion.evaluate.recorded import Recorded
from emafusion.evaluate.runs import Table
from emafusion.learn.fit import logistic, routers, spending
from emafusion.learn.fit.evidence import NOBODY, Evidence, surfaces, surplus
from emafusion.learn.fit.policy import Learnt, Material, lengths_of
from emafusion.predict import Suitability
from emafusion.types import Labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def complete(recorded: Recorded) -> Recorded:
    """The queries that every model has answered: only these can be replayed by any plan."""
    import numpy as np

    whole = ~np.isnan(recorded.scores + recorded.costs).any(axis=1)
    return recorded.rows(np.flatnonzero(whole).tolist())


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
    found, numbers = surfaces(recorded)
    inputs = routers.Inputs(
        vectors=material.features.vectors(recorded.prompts, labels),
        labels=labels,
        scores=recorded.scores,
    )
    return Material(
        recorded=recorded,
        classifier=material.classifier,
        features=material.features,
        inputs=inputs,
        surfaces=found,
        answers=numbers,
        seed=material.seed,
    )


def evidence(material: Material, learnt: Learnt, priors: Array) -> Evidence:
    """What judges and planner see of rows outside the fit; `priors` are log-odds (n, m)."""
    import numpy as np

    recorded = material.recorded
    lengths = lengths_of(learnt.before).tokens(material.inputs.vectors)
    ours = spending.counted(recorded)
    overhead = learnt.before["overhead"]
    prompts = overhead[0] + overhead[1] * ours[:, None]
    return Evidence(
        pool=recorded.models,
        priors=priors,
        expected=learnt.bills.expected(prompts, lengths),
        surplus=surplus(recorded.tokens, lengths),
        surfaces=material.surfaces,
        answers=material.answers,
        scores=recorded.scores,
        costs=recorded.costs,
        fold=np.full(len(recorded.queries), NOBODY),
    )


def forecasts(material: Material, learnt: Learnt) -> dict[str, Array]:
    """Each router's log-odds for rows outside the fit, and their union's."""
    import numpy as np

    before, vectors, labels = learnt.before, material.inputs.vectors, material.inputs.labels
    odds = np.einsum("nd,kdm->knm", vectors, before["weights"]) + before["biases"][:, None]
    learned = logistic.log_odds(logistic.sigmoid(odds).mean(axis=0))
    cells = Suitability(
        material.features.labels,
        before["trials"],
        before["successes"],
        strength=float(before["strength"][0]),
    )
    taxonomy = logistic.log_odds(cells.weights(labels) @ cells.rates)
    share = _shares(before["gate"], labels)[:, None]
    return {
        "taxonomy": taxonomy,
        "learned": learned,
        "union": share * learned + (1.0 - share) * taxonomy,
    }


def table(material: Material, split: str | None = None) -> Table:
    """What baselines see of the rows of `split`, or of all."""
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
        answers=material.answers[rows],
        surface=material.surfaces[rows],
    )


def _shares(gate: Array, labels: tuple[Labels, ...]) -> Array:
    import numpy as np

    familiar = np.array([one.familiarity for one in labels])
    share: Array = 1.0 / (1.0 + np.exp(-(gate[0] + gate[1] * familiar)))
    return share
