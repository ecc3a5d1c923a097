"""Composite prompts with their recorded parts, and how well a splitter finds them.

Knows the file (JSONL: ``prompt``, ``parts`` as query ids or null) and the measures; runs no
splitter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from emafusion.errors import DataError
from emafusion.types import Split, Value


class Composite(Value, frozen=True, kw_only=True):
    """A prompt and the query ids of what it asks, in order; ``None`` where it asks one thing."""

    prompt: str
    parts: tuple[str, ...] | None
    phrasing: str = ""


class Measures(Value, frozen=True, kw_only=True):
    """How well a splitter did; every share is in [0, 1], and 0 where it has no cases.

    ``false_splits``: single prompts that were split. ``recovered``: composites of which every part
    came back, in order, with the recorded text (white space aside). ``right_count``: composites
    split in the right number of parts. ``part_recovered``: recorded parts that came back exactly,
    among all. ``precision`` and ``recall`` are of "was split" against "is composite".
    """

    composites: int
    singles: int
    false_splits: float
    recovered: float
    right_count: float
    part_recovered: float
    precision: float
    recall: float


def read(path: Path) -> list[Composite]:
    """The composites in the JSON-lines file `path`; empty lines are passed over.

    Raises
    ------
    DataError
        A line is no composite, names fewer than two parts, or the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the composites {str(path)!r}: {error}") from error
    decoder = msgspec.json.Decoder(Composite)
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            found.append(_decoded(decoder, line, where=f"{str(path)!r}, line {number}"))
    return found


def _decoded(decoder: msgspec.json.Decoder[Composite], line: str, *, where: str) -> Composite:
    try:
        composite = decoder.decode(line.encode())
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise DataError(
            f"{where}: {error}; a line is"
            ' {"prompt": text, "parts": [query id, …] or null, "phrasing": name}'
        ) from error
    if composite.parts is not None and len(composite.parts) < 2:
        raise DataError(f"{where}: a composite names two parts or more; a single prompt has null")
    return composite


def write(path: Path, composites: Sequence[Composite]) -> None:
    """Write `composites` to `path`, one JSON object a line."""
    lines = [
        msgspec.json.encode({"prompt": c.prompt, "parts": c.parts, "phrasing": c.phrasing}).decode()
        for c in composites
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def measure(
    composites: Sequence[Composite],
    splits: Sequence[Split | None],
    prompts: Mapping[str, str],
) -> Measures:
    """How well `splits`, one for each of `composites`, find the recorded `prompts` (by query id).

    Raises
    ------
    DataError
        A composite names a query that `prompts` does not hold, or the two lengths differ.
    """
    if len(composites) != len(splits):
        raise DataError(f"{len(splits)} splits for {len(composites)} composites; give one each")
    wanted = [_recorded(composite, prompts) for composite in composites]
    pairs = list(zip(wanted, splits, strict=True))
    real = [(want, _texts(split)) for want, split in pairs if want is not None]
    singles = [split for want, split in pairs if want is None]
    wrong = sum(split is not None for split in singles)
    found = sum(got is not None for _, got in real)
    parts = sum(len(want) for want, _ in real)
    right = sum(text in (got or []) for want, got in real for text in want)
    return Measures(
        composites=len(real),
        singles=len(singles),
        false_splits=_share(wrong, len(singles)),
        recovered=_share(sum(got == want for want, got in real), len(real)),
        right_count=_share(
            sum(got is not None and len(got) == len(want) for want, got in real), len(real)
        ),
        part_recovered=_share(right, parts),
        precision=_share(found, found + wrong),
        recall=_share(found, len(real)),
    )


def _recorded(composite: Composite, prompts: Mapping[str, str]) -> list[str] | None:
    if composite.parts is None:
        return None
    missing = [part for part in composite.parts if part not in prompts]
    if missing:
        raise DataError(f"no recorded query {missing[0]!r}; give the folder the composites are of")
    return [plain(prompts[part]) for part in composite.parts]


def _texts(split: Split | None) -> list[str] | None:
    return None if split is None else [plain(part.text) for part in split.parts]


def plain(text: str) -> str:
    """`text` with its white space evened out: what two equal prompts share."""
    return " ".join(text.split())


def _share(count: int, among: int) -> float:
    return count / among if among else 0.0
