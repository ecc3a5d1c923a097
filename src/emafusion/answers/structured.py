"""JSON objects and arrays in a reply. Knows where they hide and how to write them canonically,
not which fields a question asked for.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final, TypeAlias

from emafusion.answers.kinds import Extracted

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A value that JSON can hold."""

_DECODER: Final = json.JSONDecoder(strict=False)
_OPENING: Final = re.compile(r"[\[{]")
_TRAILING_COMMA: Final = re.compile(r",(\s*[\]}])")
_STARTS_TRIED: Final = 40
_LONGEST: Final = 50_000
_DEEPEST: Final = 50


def extract(text: str) -> Extracted | None:
    """The longest JSON object or array in a reply, or ``None`` when none can be read."""
    found = find(text)
    if found is None:
        return None
    value, span = found
    return Extracted(kind="json", span=span, key=key(value))


def find(text: str) -> tuple[Json, str] | None:
    """The longest object or array (an object before an array of its length) with its text."""
    text = text[:_LONGEST]
    found = _longest(text)
    # A trailing comma is the one slip that small models make often and that leaves no doubt.
    repaired = _TRAILING_COMMA.sub(r"\1", text)
    if len(repaired) == len(text):
        return found
    mended = _longest(repaired)
    return mended if mended and (found is None or len(mended[1]) > len(found[1])) else found


def key(value: Json) -> str:
    """One text for equal values: names sorted, whole floats as integers, white space folded."""
    return json.dumps(_settled(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _longest(text: str) -> tuple[Json, str] | None:
    best: tuple[Json, str] | None = None
    end = 0
    for opening, _ in zip(_OPENING.finditer(text), range(_STARTS_TRIED), strict=False):
        start = opening.start()
        if start < end or (best and len(text) - start <= len(best[1])):
            continue
        read = _read(text, start)
        if read is None:
            continue
        value, end = read
        if best is None or end - start > len(best[1]):
            best = value, text[start:end]
    return best


def _read(text: str, start: int) -> tuple[Json, int] | None:
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return (value, end) if _depth(text[start:end]) <= _DEEPEST else None


def _depth(text: str) -> int:
    depth = deepest = 0
    for mark in text:
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _settled(value: Json) -> Json:
    if isinstance(value, dict):
        return {" ".join(name.split()): _settled(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_settled(item) for item in value]
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return value
