"""The whole fit: outcomes in, artefact out. Knows the order of the fits, none of their insides."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from emafusion.artefacts import VERSION, Artefact, Manifest, write
from emafusion.errors import DataError
from emafusion.evaluate.recorded import Recorded, read
from emafusion.learn.fit import (
    answering,
    judging,
    lattice,
    logistic,
    metrics,
    routers,
    spending,
)
from emafusion.learn.fit.evidence import Evidence, surplus
from emafusion.learn.fit.evidence import surfaces as drafted
from emafusion.learn.fit_understand import fit_familiarity
from emafusion.predict import Features, Lengths
from emafusion.protocols import Encoder
from emafusion.understand import FastClassifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEWEST = 40
"""Queries below which a fit would be noise."""

MOST_HEARD = 500
"""Queries that the panel of last resort is fitted on: it has few weights."""

Progress = Callable[[str], None]


def fit(
    folder: Path,
    out: Path,
    *,
    classifier: FastClassifier,
    encoder: Encoder,
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
        Stage 2 as it will serve: the routers are fitted on what it says, not on true labels.
    encoder : Encoder
        Text to vectors, as it will serve.
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
    if len(recorded.queries) < FEWEST:
        raise DataError(
            f"{str(folder)!r} has {len(recorded.queries)} train and val queries; "
            f"a fit needs at least {FEWEST}: collect more"
        )
    tell("labelling prompts")
    classifier = _acquainted(classifier, recorded, encoder=encoder, seed=seed)
    labels = tuple(classifier.read(prompt) for prompt in recorded.prompts)
    plain = Features(encoder, label_names(classifier))
    features = routers.standardised(plain, plain.vectors(recorded.prompts, labels))
    inputs = routers.Inputs(
        vectors=features.vectors(recorded.prompts, labels), labels=labels, scores=recorded.scores
    )
    arrays, figures, settings = _learn(recorded, inputs, features=features, seed=seed, tell=tell)
    arrays |= {f"understand/{name}": array for name, array in classifier.to_arrays().items()}
    manifest = Manifest(
        version=VERSION,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        encoder=encoder.name,
        pool=recorded.models,
        data_digest=recorded.digest,
        queries=len(recorded.queries),
        metrics=figures,
        settings=settings,
    )
    return write(out, Artefact(manifest=manifest, arrays=arrays))


def _learn(
    recorded: Recorded,
    inputs: routers.Inputs,
    *,
    features: Features,
    seed: int,
    tell: Progress,
) -> tuple[dict[str, NDArray[np.generic]], dict[str, float], dict[str, float]]:
    """Stages 3, 4 and 6: their arrays, held-out figures, and the settings that were chosen."""
    import numpy as np

    tell("fitting routers")
    chosen, qualities = routers.choose(features, inputs, seed)
    before = _before(features, inputs, chosen=chosen, recorded=recorded, seed=seed)
    arrays: dict[str, NDArray[np.generic]] = {f"predict/{name}": a for name, a in before.items()}
    tell("reading drafts")
    evidence = _evidence(recorded, inputs, before, qualities=qualities, seed=seed)
    tell("fitting the judges")
    heads, trust = answering.fit_heads(evidence)
    arrays |= {f"judge/head_{name}": array for name, array in heads.items()}
    few = recorded.rows(_sample(len(recorded.queries)))
    told = judging.forecasts(few, qualities[_sample(len(recorded.queries))])
    judged = judging.panel(few, told, seed)
    signals = judging.signals(few, judged, qualities[_sample(len(recorded.queries))])
    arrays |= {"judge/weights": judged.weights, "judge/bias": np.array([judged.bias])}
    arrays |= {f"plan/{name}": a for name, a in signals.to_arrays(recorded.models).items()}
    figures = metrics.measure(few, qualities[_sample(len(recorded.queries))], judged)
    full = evidence.complete
    if int(full.sum()) >= FEWEST:
        tell("fitting the council and the look-ahead")
        members = answering.choose_members(evidence, trust)
        whole = evidence.rows(full)
        council, states = answering.fit_council(whole, trust[full], members)
        rules = lattice.fit(whole, states, members)
        arrays |= {f"judge/{n}": a for n, a in council.to_arrays(recorded.models).items()}
        arrays |= {f"plan/{n}": a for n, a in rules.lookahead.to_arrays(recorded.models).items()}
        figures |= metrics.walks(rules, whole, states, members)
    settings = {"penalty": chosen.penalty, "strength": chosen.strength, "seed": float(seed)}
    return arrays, figures, settings


def _evidence(
    recorded: Recorded,
    inputs: routers.Inputs,
    before: Mapping[str, Array],
    *,
    qualities: Array,
    seed: int,
) -> Evidence:
    """What judges and planner see of the fitted rows, each by routers that left it out."""
    import numpy as np

    fold = np.zeros(len(recorded.queries), dtype=np.int64)
    for number, part in enumerate(routers.folds(len(recorded.queries), seed)):
        fold[part] = number
    surfaces, numbers = drafted(recorded)
    lengths = Lengths(
        before["length_weights"],
        before["length_biases"],
        spreads=before["length_spreads"],
        paces=before["length_paces"],
    ).tokens(inputs.vectors)
    ours = spending.counted(recorded)
    prompts = before["overhead"][0] + before["overhead"][1] * ours[:, None]
    return Evidence(
        pool=recorded.models,
        priors=logistic.log_odds(qualities),
        expected=spending.expected(recorded, prompts, lengths),
        surplus=surplus(recorded.tokens, lengths),
        surfaces=surfaces,
        answers=numbers,
        scores=recorded.scores,
        costs=recorded.costs,
        fold=fold,
    )


def _sample(count: int) -> list[int]:
    """Positions of at most :data:`MOST_HEARD` queries, the same ones each time."""
    import numpy as np

    keep: list[int] = sorted(np.random.default_rng(0).permutation(count)[:MOST_HEARD].tolist())
    return keep


def _before(
    features: Features,
    inputs: routers.Inputs,
    *,
    chosen: routers.Settings,
    recorded: Recorded,
    seed: int,
) -> Mapping[str, Array]:
    """The arrays of stage 3, fitted on every row with the chosen settings."""
    import numpy as np

    trials, successes = routers.counts(features, inputs)
    weights, biases = routers.learned(
        inputs, chosen.penalty, seed=seed, bootstraps=routers.BOOTSTRAPS
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
        "overhead": spending.overhead(recorded, spending.counted(recorded)),
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


__all__ = ["FEWEST", "fit", "label_names"]
