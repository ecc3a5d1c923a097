"""A wrapper that remembers the last texts' vectors: two stages read one prompt."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.protocols import Encoder


class Remembered:
    """An encoder with the `size` most recently used texts' vectors kept; safe between threads.

    Parameters
    ----------
    inner : Encoder
        Does the work for texts that are not remembered.
    size : int
        Texts kept; the one not used for longest is forgotten first.
    """

    def __init__(self, inner: Encoder, *, size: int = 2048) -> None:
        self.inner = inner
        self.size = size
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The inner encoder's name: remembering changes no vector."""
        return self.inner.name

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self.inner.dim

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of `texts`, shape ``(len(texts), dim)``; the caller may change the array."""
        if len(texts) == 1:
            return self._single(texts)
        found = self._recall(texts)
        missing = list(dict.fromkeys(text for text in texts if text not in found))
        if missing:
            fresh = dict(zip(missing, self.inner.encode(missing), strict=True))
            self._keep(fresh)
            found |= fresh
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        return np.stack([found[text] for text in texts])

    def _single(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As :meth:`encode` for one text, which is what a server asks of most."""
        (text,) = texts
        with self._lock:
            kept = self._kept.get(text)
            if kept is not None:
                self._kept.move_to_end(text)
                return kept[None].copy()
        fresh = self.inner.encode(texts)
        self._keep({text: fresh[0].copy()})
        return fresh

    def _recall(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        found: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            for text in texts:
                if text in self._kept:
                    self._kept.move_to_end(text)
                    found[text] = self._kept[text]
        return found

    def _keep(self, fresh: dict[str, NDArray[np.float32]]) -> None:
        with self._lock:
            self._kept.update(fresh)
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)
