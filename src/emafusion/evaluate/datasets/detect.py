"""Which of the three formats a path holds, and the interchange folder it amounts to."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from emafusion.errors import DataError, MissingExtraError
from emafusion.evaluate.datasets import llmrouterbench, routerbench, tables

Format = Literal["interchange", "routerbench", "llmrouterbench"]

FORMATS = (
    "an interchange folder (queries.parquet, outcomes.parquet), RouterBench's table (.csv, "
    ".parquet), or a folder of LLMRouterBench's results (.json)"
)


def detect(path: Path) -> Format:
    """The format of `path`, by its files' names and first fields alone.

    Raises
    ------
    DataError
        It is none of the three, or there is nothing.
    """
    if not path.exists():
        raise DataError(f"there is nothing at {str(path)!r}")
    found = _folder(path) if path.is_dir() else _file(path)
    if found is None:
        raise DataError(f"{str(path)!r} is not {FORMATS}")
    return found


def interchange(path: Path, into: Path) -> Path:
    """The interchange folder of what `path` holds: itself, or `into`, written from it.

    Raises
    ------
    DataError
        See :func:`detect` and the readers.
    StoreError
        `into` could not be written.
    """
    found = detect(path)
    if found == "interchange":
        return path
    readers: dict[Format, tables.Reader] = {
        "routerbench": routerbench.read,
        "llmrouterbench": llmrouterbench.read,
    }
    return tables.write(into, readers[found](path))


def _folder(path: Path) -> Format | None:
    if all((path / f"{name}.parquet").is_file() for name in ("queries", "outcomes")):
        return "interchange"
    first = next(iter(sorted(path.rglob("*.json"))), None)
    return "llmrouterbench" if first is not None and llmrouterbench.is_results(first) else None


def _file(path: Path) -> Format | None:
    if path.suffix in {".pkl", ".pickle"}:
        return "routerbench"
    if path.suffix not in {".csv", ".parquet"}:
        return None
    try:
        routerbench.models_in(routerbench.columns(path), path)
    except ImportError as missing:
        raise MissingExtraError("pyarrow", "learn") from missing
    except DataError:
        return None
    return "routerbench"
