"""Strings of JSON, which may be texts of JSON themselves: how they are written.

It knows nothing of what they say, nor where in a text they are.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from itertools import accumulate
from typing import Final

ESCAPES = 7
"""Backslashes before a quote of JSON that is a string of JSON, which is one itself."""
DEEPEST = 4
"""Texts of JSON within each other that are read, the first counted."""
KEY = 64
"""Characters of a field's name, at most."""
LOOK = 100
"""Characters before a value of JSON in which its field's name and quotes are."""
_HEX = "[0-9a-fA-F]"
_ESCAPE: Final = re.compile(
    rf"\\(?:u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}|u{_HEX}{{4}}|.)", re.DOTALL
)
_KEYS: Final = re.compile(rf'(?<!\\)"([^"\\\n]{{1,{KEY}}})"\s{{0,4}}:')


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


def last_key(text: str, start: int, end: int) -> str:
    """The last field's name of JSON that `text` has between `start` and `end`; "" for none."""
    keys = _KEYS.findall(text, start, end)
    return keys[-1] if keys else ""


def escaped(said: str, times: int) -> str:
    """`said` as so many strings of JSON within each other have it."""
    for _ in range(times):
        said = json.dumps(said, ensure_ascii=False)[1:-1]
    return said
