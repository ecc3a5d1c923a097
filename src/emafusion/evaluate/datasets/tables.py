"""Queries with their recorded replies, and the interchange folder they are written as.

It knows the folder's files and columns. It does not know which benchmark the rows came from.
"""

from __future__ import annotations

import csv
import hashlib
import io
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from emafusion.errors import DataError, MissingExtraError
from emafusion.evaluate import files
from emafusion.evaluate.datasets.prices import Price, fitted

if TYPE_CHECKING:
    import pyarrow as pa

Split = Literal["train", "val", "test"]

TRAIN_PERCENT: Final = 60
VAL_PERCENT: Final = 10


class Query(Struct, frozen=True, kw_only=True):
    """A question; ``reference`` is its right answer, where the benchmark tells."""

    query_id: str
    task: str
    subtask: str
    prompt: str
    reference: str | None = None

    @property
    def split(self) -> Split:
        """Where the prompt's hash puts it: :func:`split_of`."""
        return split_of(self.prompt)


class Reply(Struct, frozen=True, kw_only=True):
    """What one model said to a query: score in [0, 1], US dollars, tokens.

    ``answer`` is what the benchmark extracted from ``response``; ``None`` leaves it to us.
    """

    query_id: str
    model: str
    score: float
    cost_usd: float
    answer: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    response: str | None = None


class Tables(Struct, frozen=True, kw_only=True):
    """The rows of an interchange folder."""

    queries: tuple[Query, ...]
    replies: tuple[Reply, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that replied, by name."""
        return tuple(sorted({reply.model for reply in self.replies}))


def normalised(prompt: str) -> str:
    """`prompt` without what does not change the question: case, white space, Unicode variants."""
    return " ".join(unicodedata.normalize("NFKC", prompt).casefold().split())


def split_of(prompt: str) -> Split:
    """The split of `prompt`, by the hash of its normalised text: equal prompts never straddle.

    60 % train, 10 % val, 30 % test.
    """
    digest = hashlib.sha256(normalised(prompt).encode("utf-8", "surrogatepass")).digest()
    place = int.from_bytes(digest[:8], "big") % 100
    if place < TRAIN_PERCENT:
        return "train"
    return "val" if place < TRAIN_PERCENT + VAL_PERCENT else "test"


def distinct(name: str, prompt: str, taken: Mapping[str, str]) -> str:
    """`name`, or `name` with a mark of `prompt` where another prompt has `taken` it already.

    Benchmarks reuse numbers; scores of different questions must not meet under one id.
    """
    if taken.get(name, prompt) == prompt:
        return name
    return f"{name}~{hashlib.sha256(prompt.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def unit(value: float, where: str) -> float:
    """`value` if it is a score in [0, 1]; raises :class:`DataError` naming `where`."""
    if 0.0 <= value <= 1.0:
        return value
    raise DataError(f"{where}: the score is {value!r}; it must be between 0 and 1")


def dollars(value: float, where: str) -> float:
    """`value` if it is an amount of money; raises :class:`DataError` naming `where`."""
    if 0.0 <= value < float("inf"):
        return value
    raise DataError(f"{where}: the cost is {value!r}; it must be a finite amount of 0 or more")


def write(folder: Path, tables: Tables) -> Path:
    """Write `tables` to `folder` in the interchange format and return the folder.

    Each file is replaced at once or not at all. ``models.csv`` gets the prices that best explain
    the recorded costs, empty where tokens are not known.

    Raises
    ------
    StoreError
        A file could not be written.
    MissingExtraError
        pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as missing:
        raise MissingExtraError("pyarrow", "learn") from missing
    told = any(reply.response is not None for reply in tables.replies)
    files.write(folder / "queries.parquet", files.parquet(_queries(tables.queries)), parents=True)
    files.write(folder / "outcomes.parquet", files.parquet(_outcomes(tables.replies)), parents=True)
    if told:
        files.write(
            folder / "responses.parquet", files.parquet(_responses(tables.replies)), parents=True
        )
    files.write(folder / "models.csv", _models(fitted(tables)), parents=True)
    return folder


def _queries(queries: Sequence[Query]) -> pa.Table:
    import pyarrow as pa

    names = ("query_id", "task", "subtask", "prompt", "reference", "split")
    return pa.table({n: pa.array([getattr(q, n) for q in queries], pa.string()) for n in names})


def _outcomes(replies: Sequence[Reply]) -> pa.Table:
    import pyarrow as pa

    types = {
        "query_id": pa.string(),
        "model": pa.string(),
        "score": pa.float64(),
        "answer": pa.string(),
        "cost_usd": pa.float64(),
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
    }
    return pa.table(
        {n: pa.array([getattr(r, n) for r in replies], kind) for n, kind in types.items()}
    )


def _responses(replies: Sequence[Reply]) -> pa.Table:
    import pyarrow as pa

    told = [reply for reply in replies if reply.response is not None]
    names = ("query_id", "model", "response")
    return pa.table({n: pa.array([getattr(r, n) for r in told], pa.string()) for n in names})


def _models(prices: Mapping[str, Price | None]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("model", "usd_per_mtok_in", "usd_per_mtok_out"))
    for model, price in sorted(prices.items()):
        told = ("", "") if price is None else (f"{price.inward:.6g}", f"{price.outward:.6g}")
        writer.writerow((model, *told))
    return text.getvalue().encode()


Reader = Callable[[Path], Tables]
