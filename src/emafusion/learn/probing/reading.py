"""A policy's own outcomes read for a newcomer, and the newcomer's answers beside them.

Knows folders of recorded outcomes and what must be said anew of a sample of them: forecasts that
left each row out. Changes no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from emafusion.artefacts import Artefact
from emafusion.errors import ArtefactError, DataError
from emafusion.evaluate.questions import Question
from emafusion.evaluate.recorded import Recorded, read
from emafusion.evaluate.threads import one_thread
from emafusion.judge.option_prior import OptionPrior
from emafusion.learn.fit import logistic, option_priors, routers, spending
from emafusion.learn.fit.evidence import drafted
from emafusion.learn.fit.policy import FEWEST, Material, evidence_of, fold_of, label_names, shown
from emafusion.learn.interchange import read_questions
from emafusion.learn.probing import choosing
from emafusion.learn.probing.known import Answers, Known, penalty
from emafusion.predict import Features, Fitted
from emafusion.protocols import Encoder
from emafusion.understand import FastClassifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

MOST_READ = 1500
"""Rows that a newcomer is compared on: reading drafts is most of the work."""


def known(folder: Path, artefact: Artefact, encoder: Encoder) -> Known:
    """The policy `artefact` on the outcomes in `folder` that it was fitted on, or others like them.

    Raises
    ------
    DataError
        The folder lacks a model of the policy's pool, or holds too few rows that all answered.
    ArtefactError
        The policy is older than probing.
    """
    with one_thread():
        material = _material(folder, artefact, encoder)
        return _seen(artefact, material)


def questions(known: Known, folder: Path, count: int) -> list[Question]:
    """The `count` questions of `folder` whose answers say most of a newcomer; most telling first.

    Raises
    ------
    DataError
        There are fewer, or one has no grader: its answer could not be marked.
    """
    rows = choosing.informative(*known.columns(), count)
    by_id = {one.id: one for split in read_questions(folder).values() for one in split}
    names = [known.material.recorded.queries[row] for row in rows.tolist()]
    lacking = [name for name in names if name not in by_id]
    if lacking:
        raise DataError(
            f"{str(folder)!r} does not say how answers to {lacking[0]!r} are marked; probing takes "
            "a folder that `emafusion collect` wrote"
        )
    return [by_id[name] for name in names]


def answers(known: Known, folder: Path, model: str) -> Answers:
    """What `model` said to some of the rows, as recorded in `folder`."""
    import numpy as np

    found = read(folder)
    if model not in found.models:
        raise DataError(f"{str(folder)!r} has no answer of {model!r}")
    recorded = found.columns([found.models.index(model)])
    places = {name: row for row, name in enumerate(known.material.recorded.queries)}
    keep = [
        at
        for at, name in enumerate(recorded.queries)
        if name in places and not np.isnan(recorded.scores[at, 0])
    ]
    recorded = recorded.rows(keep)
    rows = np.array([places[name] for name in recorded.queries], dtype=np.int64)
    seen = drafted(_beside(known.material.recorded.rows(rows.tolist()), recorded))
    return Answers(
        rows=rows,
        recorded=recorded,
        surfaces=seen.surfaces[:, -1],
        answers=seen.answers[:, -1],
        chosen=seen.chosen[:, -1],
        flagged=seen.flagged[:, -1],
    )


def _beside(theirs: Recorded, own: Recorded) -> Recorded:
    """Both as one table, the newcomer last: answers are numbered as the known rows number them."""
    import numpy as np

    names = ("scores", "costs", "prompt_tokens", "tokens", "seconds")
    arrays = {name: np.column_stack([getattr(theirs, name), getattr(own, name)]) for name in names}
    drafts = tuple((*row, *more) for row, more in zip(theirs.drafts, own.drafts, strict=True))
    return replace(theirs, models=(*theirs.models, *own.models), drafts=drafts, **arrays)


def _material(folder: Path, artefact: Artefact, encoder: Encoder) -> Material:
    """A sample of the rows that the whole pool has answered, read as the policy reads them."""
    import numpy as np

    recorded = _of_pool(read(folder).where(("train", "val")), artefact, folder)
    classifier = FastClassifier.from_arrays(artefact.under("understand"), encoder)
    before = artefact.under("predict")
    mean, scale = (np.asarray(before[name], dtype=np.float64) for name in ("mean", "scale"))
    features = Features(encoder, label_names(classifier), mean=mean, scale=scale)
    return shown(
        recorded,
        classifier=classifier,
        features=features,
        labels=classifier.read_all(recorded.prompts),
        seed=int(artefact.manifest.settings.get("seed", 0.0)),
    )


def _of_pool(recorded: Recorded, artefact: Artefact, folder: Path) -> Recorded:
    import numpy as np

    pool: Sequence[str] = artefact.manifest.pool
    lacking = [model for model in pool if model not in recorded.models]
    if lacking:
        raise DataError(
            f"{str(folder)!r} has no outcomes of {lacking[0]!r}, which the policy knows; give the "
            "folder that it was fitted on, or fit it anew with: emafusion fit"
        )
    recorded = recorded.columns([recorded.models.index(model) for model in pool])
    whole = np.flatnonzero(~np.isnan(recorded.scores + recorded.costs).any(axis=1))
    if len(whole) < FEWEST:
        raise DataError(
            f"{str(folder)!r} holds {len(whole)} queries that every model of the policy has "
            f"answered; probing takes at least {FEWEST}"
        )
    drawn = np.random.default_rng(0).permutation(whole)[:MOST_READ]
    return recorded.rows(np.sort(drawn).tolist())


def _seen(artefact: Artefact, material: Material) -> Known:
    """What the judges see of `material`, forecasts and hunches by fits that left each row out."""
    import numpy as np

    manifest, inputs = artefact.manifest, material.inputs
    if "penalty" not in manifest.settings or "strength" not in manifest.settings:
        raise ArtefactError("the policy does not say how it was fitted; fit it anew")
    fitted = Fitted.from_arrays(
        artefact.under("predict"),
        manifest.pool,
        encoder=material.features.encoder,
        labels=material.features.labels,
    )
    count = len(inputs.labels)
    parts = routers.folds(count, material.seed)
    cells = routers.taxonomy(
        material.features, inputs, parts=parts, strength=manifest.settings["strength"]
    )
    union = routers.mix(
        routers.heads(inputs, parts, penalty(manifest, count)),
        cells,
        fitted.shares(inputs.labels),
    )
    fold = fold_of(material)
    seen, scores = material.drafted, material.recorded.scores
    prior = OptionPrior.from_arrays(artefact.under("judge"))
    _, hunches = option_priors.fit(seen.options, seen.chosen, scores=scores, fold=fold)
    if prior is None:
        hunches = np.zeros_like(hunches)
    bills = spending.bills(material.recorded)
    evidence = evidence_of(
        material, fitted, bills, priors=logistic.log_odds(union), hunches=hunches, fold=fold
    )
    return Known(
        artefact=artefact, material=material, evidence=evidence, bills=bills, option_prior=prior
    )
