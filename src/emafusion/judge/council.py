"""Several drafts weighed against each other: P(this answer is right | all that was said).

One logistic weighing for each set of models that may have spoken: who agrees with whom, each
voice by what its draft's face and the forecast say of it. A set has weights of its own, so that
models whose errors go together do not count twice. Knows the arithmetic; weights are learnt
elsewhere. Works on any number of queries at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.errors import ArtefactError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

COMMON = 14
"""Columns that every set of two or more has; each member adds three of its own."""
NEVER = -6.0


class Heard(Struct, frozen=True, kw_only=True):
    """What n queries × k members of one set brought.

    Parameters
    ----------
    answers : ndarray of int, shape (n, k)
        Equal numbers in a row are equivalent answers; −1 where none can be read.
    trust : ndarray, shape (n, k)
        Each draft's log-odds, read alone.
    priors : ndarray, shape (n, k)
        The members' log-odds before they were asked.
    ease : ndarray, shape (n,)
        The mean of the whole pool's log-odds.
    """

    answers: Integers
    trust: Array
    priors: Array
    ease: Array


class Council:
    """The fitted weights of every set of members.

    Parameters
    ----------
    members : sequence of k str
        The models a set is drawn from; set number s holds member i where bit i of s is set.
    weights : mapping of int to ndarray, shape (columns + 1,)
        By set number, intercept first; standardisation is folded in.
    """

    def __init__(self, members: Sequence[str], weights: Mapping[int, Array]) -> None:
        self.members = tuple(members)
        self._weights = dict(weights)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], pool: Sequence[str]) -> Council:
        """The council that a fit wrote."""
        import numpy as np

        members = [pool[int(place)] for place in arrays["council_members"].tolist()]
        flat = np.asarray(arrays["council_weights"], dtype=np.float64)
        weights, at = {}, 0
        for number in arrays["council_sets"].tolist():
            size = width(int(number).bit_count()) + 1
            weights[int(number)] = flat[at : at + size]
            at += size
        if at != len(flat):
            raise ArtefactError(
                f"the policy's council holds {len(flat)} weights where its sets need {at}; "
                "fit it anew with: emafusion fit"
            )
        return cls(members, weights)

    def to_arrays(self, pool: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """What :meth:`from_arrays` reads."""
        import numpy as np

        numbers = sorted(self._weights)
        return {
            "council_members": np.array([list(pool).index(name) for name in self.members]),
            "council_sets": np.array(numbers),
            "council_weights": np.concatenate([self._weights[number] for number in numbers]),
        }

    def knows(self, number: int) -> bool:
        """Whether this set has been fitted."""
        return number in self._weights

    def alone(self, number: int, *, trust: float, prior: float, ease: float) -> float:
        """P(right) of the one draft of a set of one; what :meth:`confidences` says of it."""
        start, by_trust, by_prior, by_ease = self._weights[number].tolist()
        odds = start + by_trust * trust + by_prior * prior + by_ease * ease
        return 1.0 / (1.0 + math.exp(-min(max(odds, -30.0), 30.0)))

    def confidences(self, number: int, heard: Heard) -> Array:
        """P(right) of each draft's answer, shape (n, k)."""
        import numpy as np

        weights = self._weights[number]
        found = np.zeros(heard.trust.shape)
        for place in range(heard.trust.shape[1]):
            odds = columns(heard, place) @ weights[1:] + weights[0]
            found[:, place] = 1.0 / (1.0 + np.exp(-np.minimum(np.maximum(odds, -30.0), 30.0)))
        return found


def width(members: int) -> int:
    """Columns of a set of so many members."""
    return 3 if members == 1 else COMMON + 3 * members


def first(answers: Integers) -> NDArray[np.bool_]:
    """Which drafts are the first in their row to give their answer; an unread one always is."""
    import numpy as np

    fresh = np.ones(answers.shape, dtype=bool)
    for place in range(1, answers.shape[1]):
        same = (answers[:, :place] == answers[:, [place]]) & (answers[:, [place]] >= 0)
        fresh[:, place] = ~same.any(axis=1)
    return fresh


def columns(heard: Heard, place: int) -> Array:
    """The evidence on the answer of the draft at `place`, shape (n, width)."""
    import numpy as np

    if heard.trust.shape[1] == 1:
        return np.concatenate([heard.trust, heard.priors, heard.ease[:, None]], axis=1)
    answers, trust = heard.answers, heard.trust
    read = answers >= 0
    support = (answers == answers[:, [place]]) & read
    support[:, place] = True
    against = read & ~support
    voice = np.log1p(np.exp(trust))
    strength, opposition = (support * voice).sum(axis=1), (against * voice).sum(axis=1)
    share = strength / (strength + opposition + 1e-9)
    bounded = np.clip(share, 1e-3, 1.0 - 1e-3)
    common = [
        (support * trust).sum(axis=1),
        strength,
        opposition,
        _rival(answers, voice, against),
        np.where(support, trust, NEVER).max(axis=1),
        support.sum(axis=1),
        against.sum(axis=1),
        (~read & ~support).sum(axis=1),
        share,
        np.log(bounded / (1.0 - bounded)),
        trust.mean(axis=1),
        heard.priors.mean(axis=1),
        np.where(against, trust, NEVER).max(axis=1),
        heard.ease,
    ]
    own = [support.astype(float) - against, support * trust, against * trust]
    return np.column_stack([*common, *own])


def _rival(answers: Integers, voice: Array, against: NDArray[np.bool_]) -> Array:
    """The weight of the strongest other answer, a voice counting by ln(1 + odds)."""
    import numpy as np

    strongest = np.zeros(len(answers))
    for place in range(answers.shape[1]):
        backing = ((answers == answers[:, [place]]) * voice).sum(axis=1)
        strongest = np.maximum(strongest, np.where(against[:, place], backing, 0.0))
    return strongest
