"""Signed feature hashing of words and their character n-grams: no table, no training, any language.

Knows nothing of meaning: two texts are near when they share words or pieces of words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from emafusion.encoders.words import words

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CACHED_WORDS = 50_000


class Hashing:
    """Counts of words and their character n-grams, hashed with signs into `dim` buckets.

    A word's features weigh the same in sum whatever its length; counts enter as their square root.
    CRC-32 makes the buckets, so they are equal in every process and on every machine.

    Parameters
    ----------
    dim : int
        Length of a vector.
    ngrams : tuple of int
        Shortest and longest character n-gram, word boundaries included.

    References
    ----------
    Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.
    """

    def __init__(self, dim: int = 512, *, ngrams: tuple[int, int] = (3, 4)) -> None:
        self._dim = dim
        self.ngrams = ngrams
        self._known: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}

    @property
    def name(self) -> str:
        """The encoder, its width and its n-grams."""
        return f"hashing-{self._dim}-{self.ngrams[0]}{self.ngrams[1]}"

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self._dim

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of `texts`, shape ``(len(texts), dim)``; zero for an empty text."""
        out = np.zeros((len(texts), self._dim), dtype=np.float32)
        for row, text in enumerate(texts):
            out[row] = self._one(words(text))
        return out

    def _one(self, tokens: list[str]) -> NDArray[np.float32]:
        if not tokens:
            return np.zeros(self._dim, dtype=np.float32)
        known = self._known
        features = [known.get(token) or self._learn_word(token) for token in tokens]
        buckets = np.concatenate([buckets for buckets, _ in features])
        weights = np.concatenate([weights for _, weights in features])
        counts = np.bincount(buckets, weights, minlength=self._dim)
        damped = np.copysign(np.sqrt(np.abs(counts)), counts)
        length = float(np.sqrt(damped @ damped))
        return (damped / length if length else damped).astype(np.float32)

    def _learn_word(self, token: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        marked = f"<{token}>"
        low, high = self.ngrams
        pieces = [
            marked[start : start + size]
            for size in range(low, high + 1)
            for start in range(len(marked) - size + 1)
        ]
        share = 1.0 / max(1, len(pieces)) ** 0.5
        codes = np.array([crc32(piece.encode()) for piece in (token, *pieces)], dtype=np.int64)
        weights = np.where(codes >> 31, share, -share)
        weights[0] /= share
        features = (codes % self._dim, weights)
        if len(self._known) < _CACHED_WORDS:
            self._known[token] = features
        return features
