"""The whole fit: outcomes in, artefact out. Knows the order of the fits, none of their insides."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from emafusion.artefacts import VERSION, Artefact, Manifest, write
from emafusion.errors import DataError
from emafusion.evaluate.recorded import Recorded, read
from emafusion.evaluate.threads import one_thread
from emafusion.judge import surface
from emafusion.judge.option_prior import OptionPrior
from emafusion.learn import combinings
from emafusion.learn.fit import (
    deciding,
    judging,
    logistic,
    metrics,
    option_priors,
    routers,
    second_tier,
    spending,
    watching,
)
from emafusion.learn.fit.evidence import Drafted, Evidence, drafted, surplus
from emafusion.learn.fit_understand import fit_familiarity
from emafusion.learn.label import Consensus, Labels, comparable, consensus
from emafusion.learn.labelling import NOTHING, Opinions, judged, opinions_in
from emafusion.predict import Features, Fitted
from emafusion.protocols import Encoder
from emafusion.types import Labels as Read
from emafusion.types import Model
from emafusion.understand import FastClassifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEWEST: Final = 40
"""Queries below which a fit would be noise."""

MOST_HEARD: Final = 500
"""Queries that the panel of last resort is fitted on: it has few weights."""

Progress = Callable[[str], None]


def fit(
    folder: Path,
    out: Path,
    *,
    classifier: FastClassifier,
    models: Iterable[Model] = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> Artefact:
    """Fit a policy on the ``train`` and ``val`` rows of `folder` and write it to `out`.

    Parameters
    ----------
    folder : Path
        Recorded outcomes (DESIGN §5).
    out : Path
        Where the artefact goes; replaced whole.
    classifier : FastClassifier
        Stage 2 as it will serve, with the encoder that will: the routers are fitted on what it
        says, not on true labels.
    models : iterable of Model
        All that are known: a judge's word on a draft of its own does not count, whatever name it
        drafted under, and of a judge that is none of them nothing counts. Without any, models are
        told apart by their names.
    seed : int
        Fixes folds and bootstraps; equal inputs give equal artefacts.
    progress : callable, optional
        Told the name of each part as it begins.

    Raises
    ------
    DataError
        The folder is malformed, or holds too few queries to learn from.
    """
    tell = progress or _silent
    tell("reading outcomes")
    recorded = read(folder).where(("train", "val"))
    tell("reading prompts and drafts")
    with one_thread():
        told = _opinions(folder, recorded, models=tuple(models), tell=tell)
        material = prepare(
            recorded, classifier=classifier, encoder=classifier.encoder, seed=seed, opinions=told
        )
        material = replace(material, combined=tuple(combinings.read(folder)))
        learnt = learn(material, tell)
    return write(out, learnt.artefact)


def _opinions(
    folder: Path, recorded: Recorded, *, models: Sequence[Model], tell: Progress
) -> Opinions:
    """What judges said, without those of whom nobody knows whether they drafted too."""
    told = opinions_in(folder, recorded, models=models)
    strangers = sorted(set(told.right).difference(model.name for model in models))
    if not models or not strangers:
        return told
    tell(
        f"leaving out what {', '.join(strangers)} said as a judge: no such model is configured, "
        "and it may have drafted under another name"
    )
    return told.without(strangers)


class Material(Struct, frozen=True, kw_only=True):
    """Recorded outcomes as the fits read them; ``counted`` (n,) is our count of prompt tokens.

    ``noise`` is the expected share of wrong labels, 0 where every score is a true one;
    ``combined`` what another call after the drafts brought, where that was recorded.
    """

    recorded: Recorded
    classifier: FastClassifier
    features: Features
    inputs: routers.Inputs
    drafted: Drafted
    counted: Array
    seed: int
    noise: float = 0.0
    combined: tuple[combinings.Combined, ...] = ()

    def rows(self, keep: NDArray[np.int64]) -> Material:
        """Some of the queries, by position."""
        return replace(
            self,
            recorded=self.recorded.rows(keep.tolist()),
            inputs=self.inputs.rows(keep),
            drafted=self.drafted.rows(keep),
            counted=self.counted[keep],
        )


class Learnt(Struct, frozen=True, kw_only=True):
    """A fitted policy, and the judges and rule with what they made of rows they left out.

    ``decided`` is ``None`` where too few queries have been answered by every model.
    """

    artefact: Artefact
    fitted: Fitted
    bills: spending.Bills
    option_prior: OptionPrior | None
    forecasts: routers.Forecasts
    evidence: Evidence
    decided: deciding.Decided | None

    @property
    def speaks(self) -> bool:
        """Whether any outcome has log-probabilities."""
        silent = self.evidence.surfaces[:, :, surface.NAMES.index("no_logprob")]
        return bool((silent[self.evidence.complete] == 0.0).any())


def prepare(
    recorded: Recorded,
    *,
    classifier: FastClassifier,
    encoder: Encoder,
    seed: int = 0,
    labels: Labels = "reference",
    opinions: Opinions = NOTHING,
) -> Material:
    """What prompts and drafts show; raises ``DataError`` where there is too little to fit on.

    `opinions` are what models that judge said of drafts that nothing else could mark.
    """
    if len(recorded.queries) < FEWEST:
        raise DataError(
            f"the outcomes hold {len(recorded.queries)} train and val queries; "
            f"a fit needs at least {FEWEST}: collect more"
        )
    classifier = _acquainted(classifier, recorded, encoder=encoder, seed=seed)
    read_as = classifier.read_all(recorded.prompts)
    plain = Features(encoder, label_names(classifier))
    features = routers.standardised(plain, plain.vectors(recorded.prompts, read_as))
    material = shown(recorded, classifier=classifier, features=features, labels=read_as, seed=seed)
    return _labelled(material, labels, opinions)


def shown(
    recorded: Recorded,
    *,
    classifier: FastClassifier,
    features: Features,
    labels: tuple[Read, ...],
    seed: int,
) -> Material:
    """What prompts and drafts show to the `features` of a fit; `labels` are the classifier's."""
    inputs = routers.Inputs(
        vectors=features.vectors(recorded.prompts, labels), labels=labels, scores=recorded.scores
    )
    return Material(
        recorded=recorded,
        classifier=classifier,
        features=features,
        inputs=inputs,
        drafted=drafted(recorded),
        counted=spending.counted(recorded),
        seed=seed,
    )


def _labelled(material: Material, labels: Labels, opinions: Opinions) -> Material:
    """`material` with a label for every answer that has none, and for all if `labels` says so.

    Votes tell where answers can be compared, judges of drafts elsewhere. Queries that have no label
    even so are left out: nothing can be learnt of them.
    """
    import numpy as np

    recorded = material.recorded
    asked = np.array([[draft is not None for draft in row] for row in recorded.drafts])
    if labels == "reference" and not (asked & np.isnan(recorded.scores)).any():
        return material
    known = recorded.scores if labels == "reference" else np.full_like(recorded.scores, np.nan)
    votes = comparable(material.drafted.answers, asked=asked, kinds=recorded.tasks)
    told = _voted(material, known, asked, votes=votes)
    scores = known if told is None else told.scores
    found = judged(
        recorded,
        scores,
        flagged=material.drafted.flagged,
        countable=votes,
        opinions=opinions,
    )
    parts = [(found.labelled, found.noise)]
    if told is not None:
        fresh = np.isnan(known).any(axis=1) & ~np.isnan(told.scores).all(axis=1)
        parts.append((int(fresh.sum()), told.noise))
    count = sum(part for part, _ in parts)
    return _scored(
        replace(
            material,
            recorded=replace(recorded, scores=found.scores),
            inputs=replace(material.inputs, scores=found.scores),
            noise=sum(part * noise for part, noise in parts) / max(count, 1),
        )
    )


def _voted(
    material: Material, known: Array, asked: NDArray[np.bool_], *, votes: NDArray[np.bool_]
) -> Consensus | None:
    """Labels by consensus; ``None`` where there are no votes to count."""
    import numpy as np

    seen = material.drafted
    answers = np.where(votes[:, None], seen.answers, -1)
    try:
        told = consensus(answers, asked=asked, scores=known)
    except DataError:
        return None
    _, hunches = option_priors.fit(
        seen.options, seen.chosen, scores=told.scores, fold=fold_of(material)
    )
    # What the options give away, votes do not tell: labels that knew votes alone would deny it.
    return consensus(answers, asked=asked, scores=known, hunches=hunches[:, :, 0])


def _scored(material: Material) -> Material:
    """The queries with a score at all; raises ``DataError`` where they are too few to fit on."""
    import numpy as np

    found = material.rows(np.flatnonzero((~np.isnan(material.recorded.scores)).any(axis=1)))
    if len(found.recorded.queries) < FEWEST:
        raise DataError(
            f"only {len(found.recorded.queries)} queries have answers that are scored or can be "
            f"compared; a fit needs at least {FEWEST}: give references or graders, or collect more"
        )
    return found


def learn(material: Material, tell: Progress | None = None) -> Learnt:
    """Fit stages 3, 4 and 6."""
    tell = tell or _silent
    recorded, inputs, seed = material.recorded, material.inputs, material.seed
    tell("fitting routers")
    chosen, forecasts = routers.choose(material.features, inputs, seed)
    before = _before(material, chosen)
    features = material.features
    fitted = Fitted.from_arrays(
        before, recorded.models, encoder=features.encoder, labels=features.labels
    )
    bills = spending.bills(recorded)
    arrays: dict[str, NDArray[np.generic]] = {f"predict/{name}": a for name, a in before.items()}
    arrays["plan/prices"] = bills.prices
    fold = fold_of(material)
    tell("fitting the option prior")
    prior, hunches = option_priors.fit(
        material.drafted.options, material.drafted.chosen, scores=recorded.scores, fold=fold
    )
    if prior is not None:
        arrays |= {f"judge/{name}": array for name, array in prior.to_arrays().items()}
    evidence = evidence_of(
        material,
        fitted,
        bills,
        priors=logistic.log_odds(forecasts.union),
        hunches=hunches,
        fold=fold,
    )
    watch = watching.arrays(forecasts.union, recorded, evidence.surplus)
    arrays |= {f"watch/{name}": array for name, array in watch.items()}
    level, slope = watch["calibration"].tolist()
    sure = logistic.sigmoid(level + slope * logistic.log_odds(forecasts.union))
    compared = watching.agreement(sure, recorded.scores, evidence.answers)
    asked = watching.queries(recorded, features.encoder)
    arrays |= {f"watch/{name}": array for name, array in (compared | asked).items()}
    tell("fitting the panel of last resort")
    found, figures = _plainly(recorded, forecasts.union, seed)
    arrays |= found
    decided = None
    if int(evidence.usable.sum()) >= FEWEST:
        tell("fitting the judges and the look-ahead")
        decided = deciding.fit(evidence)
        arrays |= arrays_of(decided, recorded.models)
        figures |= metrics.walks(decided)
        combining = _combining(material, decided, evidence, qualities=forecasts.union)
        arrays |= {f"plan/{name}": array for name, array in combining.arrays.items()}
        figures |= combining.figures
    understood = material.classifier.to_arrays()
    arrays |= {f"understand/{name}": array for name, array in understood.items()}
    return Learnt(
        artefact=Artefact(manifest=_manifest(material, chosen, figures), arrays=arrays),
        fitted=fitted,
        bills=bills,
        option_prior=prior,
        forecasts=forecasts,
        evidence=evidence,
        decided=decided,
    )


def _manifest(
    material: Material, chosen: routers.Settings, figures: Mapping[str, float]
) -> Manifest:
    """What the policy is, and how well it did on rows that its fits left out."""
    known = {name: one for name, one in figures.items() if math.isfinite(one)}
    if material.noise:
        known["label_noise"] = material.noise
    return Manifest(
        version=VERSION,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        encoder=material.features.encoder.name,
        pool=material.recorded.models,
        data_digest=material.recorded.digest,
        queries=len(material.recorded.queries),
        metrics=known,
        settings={
            "penalty": chosen.penalty,
            "strength": chosen.strength,
            "seed": float(material.seed),
        },
    )


def evidence_of(
    material: Material,
    fitted: Fitted,
    bills: spending.Bills,
    *,
    priors: Array,
    hunches: Array,
    fold: NDArray[np.int64],
) -> Evidence:
    """What judges and planner see of some rows.

    `priors` are the routers' log-odds (n, m) and `hunches` the option prior's (n, m, 2), for
    fitted rows by fits that left each out, as `fold` says. Lengths and prices are the fitted ones.
    """
    recorded = material.recorded
    lengths = fitted.lengths.tokens(material.inputs.vectors)
    return Evidence(
        pool=recorded.models,
        priors=priors,
        expected=bills.expected(fitted.prompts(material.counted), lengths),
        surplus=surplus(recorded.tokens, lengths),
        surfaces=material.drafted.told(hunches),
        answers=material.drafted.answers,
        flagged=material.drafted.flagged,
        scores=recorded.scores,
        costs=recorded.costs,
        fold=fold,
    )


def fold_of(material: Material) -> NDArray[np.int64]:
    """The fold that leaves each row out, shape (n,)."""
    import numpy as np

    count = len(material.recorded.queries)
    fold = np.zeros(count, dtype=np.int64)
    for number, part in enumerate(routers.folds(count, material.seed)):
        fold[part] = number
    return fold


def _plainly(
    recorded: Recorded, qualities: Array, seed: int
) -> tuple[dict[str, NDArray[np.generic]], dict[str, float]]:
    """The panel and the signals that serve where the look-ahead does not, and their figures."""
    import numpy as np

    keep = _sample(len(recorded.queries))
    few, told = recorded.rows(keep), qualities[keep]
    if len(set(few.scores[~np.isnan(few.scores)].tolist())) < 2:
        return {}, {}  # Every answer was as good as any: there is nothing to tell apart.
    judged = judging.panel(few, judging.forecasts(few, told), seed)
    signals = judging.signals(few, judged, told)
    arrays: dict[str, NDArray[np.generic]] = {
        "judge/weights": judged.weights,
        "judge/bias": np.array([judged.bias]),
    }
    arrays |= {f"plan/{name}": a for name, a in signals.to_arrays(recorded.models).items()}
    return arrays, metrics.measure(few, told, judged)


def _combining(
    material: Material, decided: deciding.Decided, evidence: Evidence, *, qualities: Array
) -> second_tier.Fitted:
    """When another call is worth it after the drafts, by what such calls brought."""
    import numpy as np

    seen = second_tier.Seen.of(
        decided,
        material.recorded,
        rows=np.flatnonzero(evidence.usable),
        labels=material.inputs.labels,
        qualities=qualities,
    )
    return second_tier.fit(material.combined, seen, material.recorded)


def arrays_of(decided: deciding.Decided, pool: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """The arrays of fitted judges and rule, as an artefact names them."""
    import numpy as np

    arrays: dict[str, NDArray[np.generic]] = {
        f"judge/head_{name}": array for name, array in decided.heads.items()
    }
    arrays["judge/head_columns"] = np.array(surface.NAMES)
    arrays |= {f"judge/{n}": a for n, a in decided.council.to_arrays(pool).items()}
    if decided.ranker is not None:
        arrays |= {f"judge/{name}": array for name, array in decided.ranker.to_arrays().items()}
    arrays |= {f"plan/{n}": a for n, a in decided.rules.lookahead.to_arrays(pool).items()}
    return arrays


def _sample(count: int) -> list[int]:
    """Positions of at most :data:`MOST_HEARD` queries, the same ones each time."""
    import numpy as np

    keep: list[int] = sorted(np.random.default_rng(0).permutation(count)[:MOST_HEARD].tolist())
    return keep


def _before(material: Material, chosen: routers.Settings) -> Mapping[str, Array]:
    """The arrays of stage 3, fitted on every row with the chosen settings."""
    import numpy as np

    features, inputs, recorded = material.features, material.inputs, material.recorded
    trials, successes = routers.counts(features, inputs)
    weights, biases = routers.learned(
        inputs, chosen.penalty, seed=material.seed, bootstraps=routers.BOOTSTRAPS
    ).parameters
    lengths = routers.lengths(
        inputs, recorded.tokens, recorded.seconds, prompt_tokens=recorded.prompt_tokens
    )
    return {
        "mean": np.asarray(features.mean),
        "scale": np.asarray(features.scale),
        "trials": trials,
        "successes": successes,
        "strength": np.array([chosen.strength]),
        "weights": weights,
        "biases": biases,
        "gate": np.array(chosen.gate),
        "overhead": spending.overhead(recorded, material.counted),
        **{f"length_{name}": array for name, array in lengths.items()},
    }


def _acquainted(
    classifier: FastClassifier, recorded: Recorded, *, encoder: Encoder, seed: int
) -> FastClassifier:
    """`classifier` with familiarity meaning: near to what these outcomes cover (DESIGN §2.1)."""
    familiarity = fit_familiarity(encoder.encode(recorded.prompts), seed=seed)
    return FastClassifier(classifier.heads, familiarity, encoder)


def label_names(classifier: FastClassifier) -> dict[str, tuple[str, ...]]:
    """The labels of each axis, in the classifier's order."""
    return {axis: head.labels for axis, head in classifier.heads.items()}


def _silent(_: str) -> None:
    pass


__all__ = [
    "FEWEST",
    "Learnt",
    "Material",
    "arrays_of",
    "evidence_of",
    "fit",
    "fold_of",
    "label_names",
    "learn",
    "prepare",
    "shown",
]
