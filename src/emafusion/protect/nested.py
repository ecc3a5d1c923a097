"""Texts of JSON, whose strings may be texts of JSON themselves: what a part of one means.

Knows how strings of JSON are written, whole texts of it and fields of it among other text. It
knows nothing of what they say.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

ESCAPES = 7
"""Backslashes before a quote of JSON that is a string of JSON, which is one itself."""
DEEPEST = 4
"""Texts of JSON within each other that are read, the first counted."""
KEY = 64
"""Characters of a field's name, at most."""
LOOK = 100
"""Characters before a string of JSON in which its field's name and quotes are."""
_HEX = "[0-9a-fA-F]"
_ESCAPE: Final = re.compile(
    rf"\\(?:u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}|u{_HEX}{{4}}|.)", re.DOTALL
)
_STRING: Final = re.compile(r'"(?P<said>[^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_BEGUN: Final = re.compile(r'\s{0,8}(?:\{\s{0,16}"|\[\s{0,16}[{"])')
_OPENED: Final = re.compile(
    rf'(?<!\\)(?P<escapes>\\{{0,{ESCAPES}}}+)"\s{{0,4}}:\s{{0,4}}(?P=escapes)"\Z'
)
_WITHIN: Final = re.compile(
    rf"[\[,:](?:\s|\\{{1,{ESCAPES}}}[nrt]){{0,16}}(?<!\\)(?P<escapes>\\{{1,{ESCAPES}}}+)"
    r'"[^"]*\Z'
)
_KEYS: Final = re.compile(rf'(?<!\\)"([^"\\\n]{{1,{KEY}}})"\s{{0,4}}:')

Span = tuple[int, int]


class Unescaped:
    """What a string of JSON that is written as `said` means, and where its characters stood.

    Raises ``ValueError`` where `said` is no such string.
    """

    def __init__(self, said: str) -> None:
        self.text: str = json.loads(f'"{said}"', strict=False)
        spans = [one.span() for one in _ESCAPE.finditer(said)]
        self._starts = [start for start, _ in spans]
        self._saved = [0, *accumulate(end - start - 1 for start, end in spans)]
        self._within = [
            start - saved for (start, _), saved in zip(spans, self._saved, strict=False)
        ]

    def place(self, place: int) -> int:
        """Where in the meaning what stands at `place` is; in an escape, where that is."""
        n = bisect_right(self._starts, place - 1)
        return max(place - self._saved[n], self._within[n - 1] + 1 if n else 0)

    def stood(self, place: int) -> int:
        """Where what is at `place` of the meaning stood."""
        return place + self._saved[bisect_right(self._within, place - 1)]


def is_json(text: str) -> bool:
    """Whether all of `text` is an object or a list of JSON."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def begins_json(text: str) -> bool:
    """Whether `text` begins as an object or a list of JSON with strings does."""
    return _BEGUN.match(text) is not None


def field_depth(text: str, place: int) -> int:
    """How many strings of JSON within each other begin at `place`, behind a field's name; 0: none.

    What is more than :data:`LOOK` before `place` is not looked at.
    """
    if not text.endswith('"', 0, place):
        return 0
    opened = _OPENED.search(text, max(0, place - LOOK), place)
    return 0 if opened is None else len(opened["escapes"]).bit_length() + 1


def string_depth(text: str, place: int) -> int:
    """As :func:`field_depth`, in a text that is JSON, of the string that `place` is within."""
    opened = _WITHIN.search(text, max(0, place - LOOK), place)
    return 1 if opened is None else len(opened["escapes"]).bit_length() + 1


def last_key(text: str, start: int, end: int) -> str:
    """The last field's name of JSON that `text` has between `start` and `end`; "" for none."""
    keys = _KEYS.findall(text, start, end)
    return keys[-1] if keys else ""


def escaped(said: str, times: int) -> str:
    """`said` as so many strings of JSON within each other have it."""
    for _ in range(times):
        said = json.dumps(said, ensure_ascii=False)[1:-1]
    return said


def meanings(text: str, spans: Sequence[Span]) -> list[str]:
    """What ``text[start:end]`` of each of `spans`, in order and apart, means.

    That is what is written there, unless it is in a string of JSON: of a text that is JSON, or
    right behind a field's name.
    """
    said = [text[start:end] for start, end in spans]
    if not any("\\" in one for one in said):
        return said
    if is_json(text):
        told = _meanings(text, spans, depth=1)
    else:
        depths = (field_depth(text, start) for start, _ in spans)
        told = [_meaning(one, depth) for one, depth in zip(said, depths, strict=True)]
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
    apart = all(one[1] <= other[0] for one, other in pairwise(places))
    if depth < DEEPEST and apart and is_json(read.text):
        return _meanings(read.text, places, depth=depth + 1)
    return [read.text[start:end] for start, end in places]


def _meaning(said: str, times: int) -> str:
    """What `said` in so many strings within each other means; itself where it is no whole one."""
    try:
        for _ in range(times):
            said = json.loads(f'"{said}"', strict=False)
    except ValueError:
        return said
    return said


def _whole(said: str) -> bool:
    """Whether `said` has no half of a character, as an escape may write."""
    return said.isascii() or not any("\ud800" <= c <= "\udfff" for c in said)
