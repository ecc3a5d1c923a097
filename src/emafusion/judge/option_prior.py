"""What the options of a multiple-choice question give away before anyone answers it.

A right answer and the wrong ones invented around it are seldom written alike: lengths, endings,
words they share, numbers derived from one another. (Balepur, Ravichander & Rudinger, 2024, "How do
LLMs answer multiple-choice questions without the question?") Fitted to a set of questions it is
evidence on their like; it knows nothing of any question's subject.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from emafusion.errors import ArtefactError
from emafusion.judge.options import Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

TRAITS: tuple[str, ...] = (
    "length", "longest", "shortest", "vague", "common_words", "likeness", "own_words",
    "asked_words", "same_form", "same_ending", "same_case", "number", "rank", "rank_squared",
    "near", "derived", "whole", "digits", "position", "first", "last",
)  # fmt: skip
"""What is seen of one option beside the others."""

PAIRED = 12
"""The first so many traits also enter as products of two."""
WIDTH = 2 * len(TRAITS) + PAIRED * (PAIRED - 1) // 2
FEWEST_NUMBERS = 4
"""Numeric options below which their order says nothing."""
FORM = 12
"""Characters by which two options' forms are compared."""
QUESTION = 3000
DERIVED = (2.0, 0.5, 10.0, 0.1, -1.0, 3.0, 1 / 3, 4.0, 0.25, 100.0, 0.01)
"""Factors by which wrong numbers are made from a right one."""
NEAR, EXACTLY = 0.11, 0.006

WORD = re.compile(r"[a-z]{3,}|\d+(?:\.\d+)?")
LONG_WORD = re.compile(r"[a-z]{4,}")
NUMBER = re.compile(
    r"([-−]?\d[\d,]{0,24}(?:\.\d{1,24})?)(?:\s?(?:\\times|×|x|\*)\s?10\^?\{?(-?\d{1,2})\}?)?"
)
DIGITS, LETTERS = re.compile(r"\d+"), re.compile(r"[A-Za-z]+")
VAGUE = re.compile(
    r"\b(?:none of|all of|cannot be|not enough|no change|n/a|both|neither)\b", re.IGNORECASE
)


class OptionPrior:
    """ln P(option is right | how the options are written), against a blind guess.

    A conditional logit (McFadden, 1974): the probabilities of one question's options sum to 1.

    Parameters
    ----------
    mean, scale : ndarray, shape (traits,)
        Standardise the traits.
    weights : ndarray, shape (WIDTH,)
        Of :func:`columns`.
    """

    def __init__(self, *, mean: Array, scale: Array, weights: Array) -> None:
        self._mean = mean
        self._scale = scale
        self._weights = weights

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> OptionPrior | None:
        """The prior that a fit wrote; ``None`` where the outcomes held too few such questions.

        Raises
        ------
        ArtefactError
            It was fitted to other traits than this version reads.
        """
        import numpy as np

        if "option_weights" not in arrays:
            return None
        names = tuple(arrays["option_traits"].tolist()) if "option_traits" in arrays else ()
        found = {
            name: np.asarray(arrays.get(f"option_{name}", ()), dtype=np.float64)
            for name in ("mean", "scale", "weights")
        }
        shapes = [len(found[name]) for name in ("mean", "scale", "weights")]
        if names != TRAITS or shapes != [len(TRAITS), len(TRAITS), WIDTH]:
            raise ArtefactError(
                "the policy was fitted by another version of emafusion, which read options "
                "differently; fit it anew with: emafusion fit"
            )
        return cls(**found)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """What :meth:`from_arrays` reads."""
        import numpy as np

        return {
            "option_traits": np.array(TRAITS),
            "option_mean": self._mean,
            "option_scale": self._scale,
            "option_weights": self._weights,
        }

    def told(self, seen: Array) -> Array:
        """ln of each option's probability over a blind guess's, from its traits; shape (k,)."""
        import numpy as np

        if not len(seen):
            return np.zeros(0)
        scores = columns((seen - self._mean) / self._scale) @ self._weights
        scores -= scores.max()
        found: Array = scores - np.log(np.exp(scores).sum()) + math.log(len(scores))
        return found

    def read(self, options: Options) -> dict[str, float]:
        """The same by label."""
        return dict(zip(options.wording, self.told(traits(options)).tolist(), strict=True))


def columns(standard: Array) -> Array:
    """What the prior is linear in, shape (k, WIDTH), from standardised traits."""
    import numpy as np

    bounded = np.clip(standard, -4.0, 4.0)
    later, earlier = np.tril_indices(PAIRED, -1)
    return np.column_stack([bounded, bounded**2 / 4.0, bounded[:, later] * bounded[:, earlier]])


def traits(options: Options) -> Array:
    """Each option's row of :data:`TRAITS`; shape (k, traits), empty where none are offered."""
    import numpy as np

    texts = list(options.wording.values())
    if not texts:
        return np.zeros((0, len(TRAITS)))
    shapes = (*_sizes(texts), *_words(texts, options.question), *_forms(texts))
    return np.column_stack([*shapes, *_numbers(texts), *_places(len(texts))])


def _sizes(texts: Sequence[str]) -> list[Array]:
    import numpy as np

    lengths = np.array([len(text) for text in texts], dtype=np.float64)
    return [
        np.log((1.0 + lengths) / (1.0 + np.median(lengths))),
        (lengths == lengths.max()).astype(float),
        (lengths == lengths.min()).astype(float),
        np.array([float(VAGUE.search(text) is not None) for text in texts]),
    ]


def _words(texts: Sequence[str], question: str) -> list[Array]:
    """How an option's words recur in the others and in the question."""
    import numpy as np

    bags = [set(WORD.findall(text.lower())) for text in texts]
    asked = set(LONG_WORD.findall(question[-QUESTION:].lower()))
    held = Counter(word for bag in bags for word in bag)
    others = max(len(texts) - 1, 1)
    common, alike, own, shared = [], [], [], []
    for place, bag in enumerate(bags):
        known = max(len(bag), 1)
        common.append(sum(held[word] - 1 for word in bag) / others / known)
        rest = [other for at, other in enumerate(bags) if at != place]
        alike.append(sum(len(bag & other) / max(len(bag | other), 1) for other in rest) / others)
        own.append(sum(held[word] == 1 for word in bag) / known)
        shared.append(len(bag & asked) / (1 + len(bag)))
    return [np.array(one) for one in (common, alike, own, shared)]


def _forms(texts: Sequence[str]) -> list[Array]:
    """The share of the other options that are written in the same form."""
    forms = [LETTERS.sub("a", DIGITS.sub("9", text))[:FORM] for text in texts]
    endings = [text.endswith(".") for text in texts]
    cases = [text[:1].isupper() for text in texts]
    return [_shared(forms), _shared(endings), _shared(cases)]


def _shared(values: Sequence[object]) -> Array:
    import numpy as np

    count = Counter(values)
    others = max(len(values) - 1, 1)
    return np.array([(count[value] - 1) / others for value in values])


def _numbers(texts: Sequence[str]) -> list[Array]:
    """Where an option's number stands among the others; zeros where it has none."""
    import numpy as np

    read = [_number(text) for text in texts]
    table = np.zeros((len(texts), 7))
    values = np.array([value for value in read if value is not None])
    if len(values) < FEWEST_NUMBERS:
        return list(table.T)
    ordered = np.sort(values)
    whole = values == np.round(values)
    lengths = [sum(map(str.isdigit, text)) for text in texts]
    typical = sum(lengths) / len(lengths)
    for place, value in enumerate(read):
        if value is None:
            continue
        rank = float(np.searchsorted(ordered, value)) / (len(ordered) - 1) - 0.5
        near = np.abs(values - value) <= NEAR * abs(value) + 1e-12
        made = value * np.array(DERIVED)[:, None]
        derived = (np.abs(values - made) <= EXACTLY * np.abs(made) + 1e-12).any(axis=0)
        table[place] = (
            1.0,
            rank,
            rank**2,
            (near.sum() - 1) / (len(values) - 1),
            derived.sum() / (len(values) - 1),
            float(value == round(value)) - whole.mean(),
            lengths[place] - typical,
        )
    return list(table.T)


def _number(text: str) -> float | None:
    """The first number of an option."""
    found = NUMBER.search(text)
    if found is None:
        return None
    value = float(found.group(1).replace(",", "").replace("−", "-"))
    power = float(found.group(2) or 0)
    return float(value * 10.0**power)


def _places(count: int) -> list[Array]:
    import numpy as np

    at = np.arange(count)
    return [at / max(count - 1, 1), (at == 0).astype(float), (at == count - 1).astype(float)]
