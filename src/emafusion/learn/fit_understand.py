"""Fits the fast classifier on prompts generated from the taxonomy; needs the extra ``learn``.

The temperature is chosen on templates that the fold did not see, so the
probabilities are calibrated for new phrasing rather than for the templates. The result is a dict
of arrays that :meth:`emafusion.understand.FastClassifier.from_arrays` reads without scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emafusion.encoders import default, surface
from emafusion.errors import MissingExtraError
from emafusion.learn.taxonomy_prompts import Split, generate
from emafusion.types import AXES, Axis
from emafusion.understand import Familiarity, FastClassifier, Taxonomy
from emafusion.understand.fast import Head

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.protocols import Encoder

_STRENGTH = 0.03
"""Inverse of the L2 penalty; 0.003 and 0.3 did worse on templates that were not fitted on."""
_FOLDS = 3
_TEMPERATURES = np.exp(np.linspace(np.log(0.4), np.log(4.0), 60))
_CENTROIDS = 256


def fit(
    *,
    seed: int = 0,
    n: int = 10_000,
    split: Split = "all",
    taxonomy: Taxonomy | None = None,
    encoder: Encoder | None = None,
) -> dict[str, NDArray[np.generic]]:
    """The fast classifier's arrays, fitted on `n` prompts of the taxonomy.

    Parameters
    ----------
    seed : int
        The prompts' and the folds' seed; equal arguments give equal arrays.
    n : int
        Prompts to generate from the taxonomy's templates.
    split : {"all", "train"}
        ``"train"`` leaves the held-out templates out, to measure on them.
    taxonomy, encoder : optional
        By default the shipped tree and :func:`emafusion.encoders.default`.

    Raises
    ------
    MissingExtraError
        Without scikit-learn.
    """
    taxonomy = taxonomy or Taxonomy.load()
    encoder = encoder or default()
    prompts = generate(taxonomy, n, seed=seed, split=split)
    texts = [prompt.text for prompt in prompts]
    vectors = encoder.encode(texts)
    inputs = np.hstack([vectors, surface.features(texts)]).astype(np.float64)
    folds = _folds([prompt.template for prompt in prompts], seed)
    heads: dict[Axis, Head] = {}
    for axis in AXES:
        labels = taxonomy.labels(axis)
        truth = np.array([labels.index(prompt.labels[axis]) for prompt in prompts])
        heads[axis] = _fit_head(inputs, truth, labels=labels, folds=folds)
    return FastClassifier(heads, fit_familiarity(vectors, seed=seed), encoder).to_arrays()


def fit_familiarity(vectors: NDArray[np.float32], *, seed: int = 0) -> Familiarity:
    """The familiarity of what `vectors` cover: centroids of one half, cosines of the other.

    `vectors` are unit rows ``(n, dim)`` of the texts that outcomes or labels exist for.
    """
    cluster = _sklearn("cluster")
    order = np.random.default_rng(seed).permutation(len(vectors))
    first, second = vectors[order[::2]], vectors[order[1::2]]
    count = max(1, min(_CENTROIDS, len(first) // 4))
    means = cluster.MiniBatchKMeans(count, random_state=seed, n_init=1).fit(first).cluster_centers_
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    centroids = (means / np.maximum(lengths, 1e-9)).astype(np.float16).astype(np.float32)
    seen = second if len(second) else first
    cosines = np.sort((seen @ centroids.T).max(axis=1))
    return Familiarity(
        centroids=centroids, cosines=np.quantile(cosines, np.linspace(0, 1, 201)).astype(np.float32)
    )


def _fit_head(
    inputs: NDArray[np.float64],
    truth: NDArray[np.int64],
    *,
    labels: tuple[str, ...],
    folds: NDArray[np.int64],
) -> Head:
    """Softmax regression on all prompts, at the temperature that suits templates it did not see."""
    scores = np.zeros((len(truth), len(labels)))
    for fold in range(_FOLDS):
        held = folds == fold
        weights, biases = _regress(inputs[~held], truth[~held], len(labels))
        scores[held] = inputs[held] @ weights + biases
    losses = [_log_loss(scores / temperature, truth) for temperature in _TEMPERATURES]
    temperature = float(_TEMPERATURES[int(np.argmin(losses))])
    weights, biases = _regress(inputs, truth, len(labels))
    return Head(
        labels=labels,
        weights=(weights / temperature).astype(np.float32),
        biases=(biases / temperature).astype(np.float32),
    )


def _regress(
    inputs: NDArray[np.float64], truth: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Softmax regression on standardised inputs, returned for inputs as they are."""
    linear = _sklearn("linear_model")
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    scale = 1.0 / np.where(spread > 1e-6, spread, np.inf)
    model = linear.LogisticRegression(C=_STRENGTH, max_iter=120, tol=1e-3)
    model.fit((inputs - mean) * scale, truth)
    weights = np.zeros((inputs.shape[1], count))
    biases = np.full(count, -30.0)
    if len(model.classes_) == 2:
        coefficients = np.vstack([-model.coef_[0], model.coef_[0]]) / 2
        intercepts = np.array([-model.intercept_[0], model.intercept_[0]]) / 2
    else:
        coefficients, intercepts = model.coef_, model.intercept_
    weights[:, model.classes_] = (coefficients * scale).T
    biases[model.classes_] = intercepts - (coefficients * scale) @ mean
    return weights, biases


def _folds(templates: Sequence[str], seed: int) -> NDArray[np.int64]:
    """A fold for each prompt: all prompts of one template in one fold."""
    names = sorted(set(templates))
    drawn = np.random.default_rng(seed).permutation(len(names)) % _FOLDS
    fold = dict(zip(names, drawn.tolist(), strict=True))
    return np.array([fold[template] for template in templates])


def _log_loss(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    shifted = scores - scores.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(truth)), truth]
    return float((np.log(np.exp(shifted).sum(axis=1)) - chosen).mean())


def _sklearn(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise MissingExtraError("sklearn", "learn") from error
