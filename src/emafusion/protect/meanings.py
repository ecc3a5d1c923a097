"""What the parts of a text mean: those in strings of JSON not as they are written there."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from emafusion.protect.nested import DEEPEST, Unescaped, is_json
from emafusion.protect.within import Within

_STRING: Final = re.compile(r'"(?P<said>[^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)

Span = tuple[int, int]


def meanings(text: str, spans: Sequence[Span]) -> list[str]:
    """What ``text[start:end]`` of each of `spans`, in order and apart, means.

    That is what is written there, unless it is in a string of JSON, as :class:`Within` knows them.
    """
    said = [text[start:end] for start, end in spans]
    if not any("\\" in one for one in said):
        return said
    told = _meanings(text, spans, depth=1) if is_json(text) else _among(text, spans, depth=0)
    return [now if _whole(now) else before for before, now in zip(said, told, strict=True)]


def _meanings(text: str, spans: Sequence[Span], *, depth: int) -> list[str]:
    """As :func:`meanings`, of a text that is JSON, `depth` texts of it deep."""
    told = [text[start:end] for start, end in spans]
    first = 0
    for string in _STRING.finditer(text):
        begin, end = string.span("said")
        while first < len(spans) and spans[first][0] < begin:
            first += 1
        last = first
        while last < len(spans) and spans[last][1] <= end:
            last += 1
        if first < last and "\\" in string["said"]:
            within = [(a - begin, b - begin) for a, b in spans[first:last]]
            told[first:last] = _of_string(string["said"], within, depth=depth)
        first = last
    return told


def _of_string(said: str, spans: Sequence[Span], *, depth: int) -> list[str]:
    read = Unescaped(said)
    places = [(read.place(start), read.place(end)) for start, end in spans]
    if not all(one[1] <= other[0] for one, other in pairwise(places)):
        return [read.text[start:end] for start, end in places]
    if depth < DEEPEST and is_json(read.text):
        return _meanings(read.text, places, depth=depth + 1)
    return _among(read.text, places, depth=depth)


def _among(text: str, spans: Sequence[Span], *, depth: int) -> list[str]:
    """As :func:`meanings`, of a text that is in `depth` strings and no JSON as a whole."""
    told: list[str] = []
    place, within = 0, Within(deep=depth)
    for start, end in spans:
        within.read(text[place:start])
        told.append(_meaning(text[start:end], within.depth))
        within.value()
        place = end
    return told


def _meaning(said: str, times: int) -> str:
    """What `said` in so many strings within each other means; itself where it is no whole one."""
    meant = said
    try:
        for _ in range(times):
            meant = json.loads(f'"{meant}"', strict=False)
    except ValueError:
        return said
    return meant


def _whole(said: str) -> bool:
    """Whether `said` has no half of a character, as an escape may write."""
    return said.isascii() or not any("\ud800" <= c <= "\udfff" for c in said)
