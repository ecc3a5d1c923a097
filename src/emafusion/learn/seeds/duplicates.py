"""Near-duplicates: prompts that share nearly all runs of three words.

Knows shingles, MinHash signatures and their bands; a candidate is confirmed by the exact Jaccard
similarity. Short prompts count as duplicates only when they say the same apart from case, spacing
and punctuation: there one word makes another question.

References
----------
Broder, "On the resemblance and containment of documents", 1997.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR: Final = 0.9
"""Prompts are near-duplicates from this Jaccard similarity of their shingles on."""
_SHINGLE: Final = 3
_SHORT: Final = 25
"""Words below which only the same words make a duplicate."""
_BANDS: Final = 8
_ROWS: Final = 8
_PRIME: Final = np.uint64(4_294_967_311)
_TOKEN: Final = re.compile(r"\w+")
_Key: TypeAlias = tuple[int, bytes]


class Seen:
    """The prompts that were kept so far.

    Two prompts at the threshold collide in at least one of the eight bands of eight rows with
    probability 0.99; at a similarity of 0.95 with more than 0.9999.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(20_250_414)
        shape = (_BANDS * _ROWS, 1)
        self._factors = rng.integers(1, 2**31, size=shape, dtype=np.uint64)
        self._shifts = rng.integers(0, 2**31, size=shape, dtype=np.uint64)
        self._said: dict[str, int] = {}
        self._shingles: dict[int, frozenset[int]] = {}
        self._bands: defaultdict[_Key, list[int]] = defaultdict(list)

    def find(self, prompt: str) -> int | None:
        """The number under which a duplicate of `prompt` was added, or ``None``."""
        words = _words(prompt)
        same = self._said.get(" ".join(words))
        if same is not None or len(words) < _SHORT:
            return same
        shingles = _shingles(words)
        candidates = {n for key in self._keys(shingles) for n in self._bands.get(key, ())}
        return next((n for n in sorted(candidates) if self._near(shingles, n)), None)

    def add(self, prompt: str, number: int) -> None:
        """Keep `prompt` under a `number` of the caller's."""
        words = _words(prompt)
        self._said.setdefault(" ".join(words), number)
        if len(words) < _SHORT:
            return
        self._shingles[number] = _shingles(words)
        for key in self._keys(self._shingles[number]):
            self._bands[key].append(number)

    def _near(self, shingles: frozenset[int], number: int) -> bool:
        return _alike(shingles, self._shingles[number])

    def _keys(self, shingles: frozenset[int]) -> Iterator[_Key]:
        hashes: NDArray[np.uint64] = np.fromiter(shingles, np.uint64, len(shingles))
        signature = ((self._factors * hashes + self._shifts) % _PRIME).min(axis=1)
        for band in range(_BANDS):
            yield band, signature[band * _ROWS : (band + 1) * _ROWS].tobytes()


def pairs(prompts: Iterable[str]) -> list[tuple[int, int]]:
    """Every prompt that has an earlier duplicate, with that one: places in the given order."""
    seen, found = Seen(), []
    for number, prompt in enumerate(prompts):
        other = seen.find(prompt)
        if other is not None:
            found.append((other, number))
        seen.add(prompt, number)
    return found


def grouped(prompts: Sequence[str]) -> list[tuple[int, int]]:
    """Every prompt that duplicates an earlier one which duplicates none, with that one: places.

    Two sets of which :data:`NEAR` is common share one of the rarest shingles of each, so prompts
    that have nothing but a preamble in common are never held against each other.

    References
    ----------
    Bayardo, Ma & Srikant, "Scaling up all pairs similarity search", WWW 2007.
    """
    words = [_words(prompt) for prompt in prompts]
    shingles = [_shingles(one) if len(one) >= _SHORT else frozenset() for one in words]
    common = Counter(one for held in shingles for one in held)
    said: dict[str, int] = {}
    holders: defaultdict[int, list[int]] = defaultdict(list)
    found = []
    for number, mine in enumerate(shingles):
        rare = _rarest(mine, common)
        first = said.get(" ".join(words[number]))
        if first is None:
            candidates = sorted({other for one in rare for other in holders.get(one, ())})
            first = next((n for n in candidates if _alike(mine, shingles[n])), None)
        if first is not None:
            found.append((first, number))
            continue
        said[" ".join(words[number])] = number
        for one in rare:
            holders[one].append(number)
    return found


def _rarest(shingles: frozenset[int], common: Counter[int]) -> list[int]:
    """So many that a near-duplicate has at least one of them among its own."""
    count = len(shingles) - math.ceil(NEAR * len(shingles)) + 1
    return sorted(shingles, key=lambda one: (common[one], one))[:count]


def _alike(one: frozenset[int], other: frozenset[int]) -> bool:
    return len(one & other) >= NEAR * len(one | other)


def _words(text: str) -> list[str]:
    return _TOKEN.findall(text.casefold())


def _shingles(words: list[str]) -> frozenset[int]:
    runs = (" ".join(words[n : n + _SHINGLE]) for n in range(len(words) - _SHINGLE + 1))
    return frozenset(zlib.crc32(run.encode()) for run in runs)
