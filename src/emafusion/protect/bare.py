"""Where a text has numbers as JSON has them: without quotes, so that no other text may be there.

Knows whole texts of JSON, and objects' fields wherever they are in a text, escaped too. It knows
nothing of what the numbers are.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from emafusion.protect.nested import DEEPEST, ESCAPES, Unescaped, escaped, is_json

_NUMBER = r"-?[0-9][0-9.eE+\-]{0,60}"
_FIELD: Final = re.compile(
    rf'(?<!\\)(?P<mark>\\{{0,{ESCAPES}}}")\s*:\s*'
    rf"(?:(?P<one>{_NUMBER})|\[(?P<many>(?:[\s0-9,.eE+\-]|\\{{1,{ESCAPES}}}[nrt])*+)\])"
    rf"(?=(?:\s|\\{{1,{ESCAPES}}}[nrt])*+(?:[,}}\]]|\Z))"
)
_TOKEN: Final = re.compile(
    rf'"(?P<said>[^"\\]*(?:\\.[^"\\]*)*)(?:"|\\?\Z)|(?P<one>{_NUMBER})', re.DOTALL
)
_LISTED: Final = re.compile(r"\s*[\[{]")
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
        if is_json(text):
            found |= {one.start: one for one in _of_whole(text, 1)}
        self._found = sorted(found.values())

    def around(self, start: int, end: int) -> Number | None:
        """The number that ``text[start:end]`` is, or is part of."""
        place = bisect_right(self._found, start, key=lambda one: one.start) - 1
        found = self._found[place] if place >= 0 else None
        return found if found is not None and found.end >= end else None


def _of_whole(text: str, depth: int) -> Iterator[Number]:
    """The numbers of a text that is JSON, and of its strings that are, `depth` texts deep."""
    for found in _TOKEN.finditer(text):
        if found["one"] is not None:
            yield Number(*found.span("one"), '"')
        elif depth < DEEPEST and _LISTED.match(found["said"]):
            begin, read = found.start("said"), Unescaped(found["said"])
            for one in _of_whole(read.text, depth + 1) if is_json(read.text) else ():
                start, end = begin + read.stood(one.start), begin + read.stood(one.end)
                yield Number(start, end, escaped(one.mark, 1))


def _of_fields(text: str) -> Iterator[Number]:
    for found in _FIELD.finditer(text):
        group = "one" if found["one"] is not None else "many"
        for one in _ONE.finditer(text, *found.span(group)):
            yield Number(*one.span(), found["mark"])
