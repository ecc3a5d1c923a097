"""A table of word vectors, averaged: a sentence encoder's meaning at a table look-up's price.

The table ships with the package (``static.npz``); ``benchmarks/distil_static.py`` makes it. This
file knows the table's format and how words become rows, not where the numbers came from.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import msgspec
import numpy as np

from emafusion.encoders.words import names
from emafusion.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CACHED_WORDS = 50_000
_LONGEST = 40


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The table as it is used: row of each piece, int8 vectors ``(rows, dim)``, a scale per row.

    A piece that continues a word is written ``##piece``; ``name`` is the encoder's.
    """

    name: str
    rows: dict[str, int]
    vectors: NDArray[np.int8]
    scales: NDArray[np.float32]


class Static:
    """The weighted mean of word vectors: ``normalise(Σ s_w v_w)`` over the words and word pieces.

    Only words of two letters or more count: digits, marks and single letters tell of notation,
    which :mod:`encoders.surface` reads. A word that is not in the table is cut greedily into the
    longest pieces that are, as WordPiece
    does; characters that no piece covers are left out. Weights that favour rare words (SIF) are
    part of the table.

    Parameters
    ----------
    path : str or Path, optional
        A table in the shipped format; by default the shipped one. Read at first use.

    References
    ----------
    Arora et al., "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = path
        self._table: Table | None = None
        self._lock = threading.Lock()
        self._known: dict[str, list[int]] = {}

    @property
    def name(self) -> str:
        """The table's own name."""
        return self.table.name

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return int(self.table.vectors.shape[1])

    @property
    def table(self) -> Table:
        """The table, read once; raises `ConfigError` where it is damaged."""
        if self._table is None:
            with self._lock:
                if self._table is None:
                    self._table = load(self.path)
        return self._table

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of `texts`, shape ``(len(texts), dim)``; zero where no word is known."""
        table = self.table
        out = np.zeros((len(texts), table.vectors.shape[1]), dtype=np.float32)
        for row, text in enumerate(texts):
            rows = self.rows(text)
            if rows:
                index = np.array(rows)
                summed = table.scales.take(index) @ table.vectors.take(index, axis=0).astype(
                    np.float32
                )
                length = float(np.sqrt(summed @ summed))
                out[row] = summed / length if length else summed
        return out

    def rows(self, text: str) -> list[int]:
        """The table's rows for `text`, in order."""
        known = self._known
        found: list[int] = []
        for word in names(text):
            pieces = known.get(word)
            if pieces is None:
                pieces = self._cut(word)
            found += pieces
        return found

    def _cut(self, word: str) -> list[int]:
        rows = self.table.rows
        pieces = [rows[word]] if word in rows else _pieces(word[:_LONGEST], rows)
        if len(self._known) < _CACHED_WORDS:
            self._known[word] = pieces
        return pieces


def _pieces(word: str, rows: dict[str, int]) -> list[int]:
    found: list[int] = []
    start = 0
    while start < len(word):
        mark = "##" if start else ""
        for end in range(len(word), start, -1):
            row = rows.get(mark + word[start:end])
            if row is not None:
                found.append(row)
                start = end
                break
        else:
            start += 1
    return found


def load(path: str | Path | None = None) -> Table:
    """Read the table at `path`, by default the shipped one.

    The file is an ``npz`` with ``name`` and ``words`` (UTF-8 bytes, the words one a line),
    ``vectors`` (int8) and ``scales`` (one a row).

    Raises
    ------
    ConfigError
        Where the file is missing or is no such table.
    """
    source = files("emafusion.encoders") / "static.npz" if path is None else Path(path)
    try:
        with source.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            listed = arrays["words"].tobytes().decode().split("\n")
            vectors = arrays["vectors"]
            scales = arrays["scales"].astype(np.float32)
            name = arrays["name"].tobytes().decode()
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ConfigError(f"{str(source)!r} is not a table of word vectors: {error}") from error
    if not len(listed) == len(vectors) == len(scales):
        raise ConfigError(
            f"{str(source)!r} is damaged: its words, vectors and scales differ in number"
        )
    rows = {word: row for row, word in enumerate(listed)}
    return Table(name=name, rows=rows, vectors=vectors, scales=scales)


def save(
    path: str | Path, words: Sequence[str], vectors: NDArray[np.float32], *, name: str
) -> None:
    """Write `vectors` ``(len(words), dim)`` as a table of int8 rows with a scale each."""
    peaks = np.maximum(np.abs(vectors).max(axis=1), 1e-9)
    scales = (peaks / 127.0).astype(np.float16)
    rounded = np.rint(vectors / scales.astype(np.float32)[:, None])
    np.savez_compressed(
        path,
        name=np.frombuffer(name.encode(), dtype=np.uint8),
        words=np.frombuffer("\n".join(words).encode(), dtype=np.uint8),
        vectors=np.clip(rounded, -127, 127).astype(np.int8),
        scales=scales,
    )
