"""Where a text has numbers as JSON has them: without quotes, so that no other text may be there.

Knows whole texts of JSON, and objects' fields wherever they are in a text, escaped too. It knows
nothing of what the numbers are.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

ESCAPES = 7
"""Backslashes before a quote of JSON that is a string of JSON, which is one itself."""
_NUMBER = r"-?[0-9][0-9.eE+\-]{0,60}"
_FIELD: Final = re.compile(
    rf'(?<!\\)(?P<mark>\\{{0,{ESCAPES}}}")\s*:\s*'
    rf"(?:(?P<one>{_NUMBER})|\[(?P<many>(?:[\s0-9,.eE+\-]|\\{{1,{ESCAPES}}}[nrt])*+)\])"
    rf"(?=(?:\s|\\{{1,{ESCAPES}}}[nrt])*+(?:[,}}\]]|\Z))"
)
_TOKEN: Final = re.compile(rf'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|(?P<one>{_NUMBER})', re.DOTALL)
_ONE: Final = re.compile(_NUMBER)


class Number(NamedTuple):
    """A number from `start` to `end`, and the quote that a string there would have."""

    start: int
    end: int
    mark: str


class Numbers:
    """The numbers that `text` has as JSON has them."""

    def __init__(self, text: str) -> None:
        found = {one.start: one for one in _of_fields(text)}
        if _is_json(text):
            found |= {one.start: one for one in _of_whole(text)}
        self._found = sorted(found.values())

    def around(self, start: int, end: int) -> Number | None:
        """The number that ``text[start:end]`` is, or is part of."""
        place = bisect_right(self._found, start, key=lambda one: one.start) - 1
        found = self._found[place] if place >= 0 else None
        return found if found is not None and found.end >= end else None


def _of_whole(text: str) -> Iterator[Number]:
    for found in _TOKEN.finditer(text):
        if found["one"] is not None:
            yield Number(*found.span("one"), '"')


def _of_fields(text: str) -> Iterator[Number]:
    for found in _FIELD.finditer(text):
        group = "one" if found["one"] is not None else "many"
        for one in _ONE.finditer(text, *found.span(group)):
            yield Number(*one.span(), found["mark"])


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
