"""A text as recognisers read it: its look-alike characters made plain, place for place.

Knows what stands near a place. It knows no kind of value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

PLAIN = str.maketrans(
    {
        **{chr(0xFF01 + n): chr(0x21 + n) for n in range(94)},
        **dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009", " "),
        **dict.fromkeys("\u200a\u202f\u205f\u3000", " "),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
        **{chr(0x660 + n): str(n) for n in range(10)},
        **{chr(0x6F0 + n): str(n) for n in range(10)},
        **{chr(0x966 + n): str(n) for n in range(10)},
    }
)
"""Full-width, blank, dash and digit characters, each with the ASCII character that it poses as."""
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
LEAST = 6
"""Digits of the shortest number that recognisers look for."""
GAP = 4
"""Characters that may stand between the digits of one number."""
MARGIN = 24
"""Characters around a number's digits that belong to it, or decide whether they do."""
_DIGITS = re.compile(r"[0-9]+")


class Reading:
    """`text`, with plain characters for those that look like them."""

    def __init__(self, text: str) -> None:
        self.text = text if text.isascii() else text.translate(PLAIN)

    @cached_property
    def folded(self) -> str:
        """The text in small letters, of the same length."""
        lower = self.text.lower()
        # A capital that has two small letters would move all places behind it.
        return lower if len(lower) == len(self.text) else "".join(map(_small, self.text))

    @cached_property
    def has_digits(self) -> bool:
        """Whether there is a digit at all."""
        return _DIGITS.search(self.text) is not None

    @cached_property
    def numerals(self) -> list[tuple[int, int]]:
        """Stretches with numbers of :data:`LEAST` digits and more, and what stands around them."""
        found: list[tuple[int, int]] = []
        for start, end in self._numbers():
            first = max(start - MARGIN, 0)
            if found and start - found[-1][1] <= MARGIN:
                # A stretch must end where no number goes on: a match cut short would be another.
                first = found.pop()[0]
            found.append((first, end + MARGIN))
        return found

    def _numbers(self) -> Iterator[tuple[int, int]]:
        start = digits = 0
        end = -GAP
        for run in _DIGITS.finditer(self.text):
            if run.start() - end > GAP:
                if digits >= LEAST:
                    yield start, end
                start, digits = run.start(), 0
            end, digits = run.end(), digits + run.end() - run.start()
        if digits >= LEAST:
            yield start, end

    def numbers(self, pattern: re.Pattern[str], text: str = "") -> Iterator[re.Match[str]]:
        """Where `pattern`, for a number, matches; in `text` instead, of the same length."""
        for start, end in self.numerals:
            yield from pattern.finditer(text or self.text, start, end)

    def before(self, place: int, reach: int = 40) -> str:
        """The `reach` characters before `place`, in small letters."""
        return self.folded[max(0, place - reach) : place]


def _small(c: str) -> str:
    lower = c.lower()
    return lower if len(lower) == 1 else c


def seen(text: str) -> tuple[str, list[int] | None]:
    """`text` without characters that are not seen; and where its characters were, if elsewhere."""
    if text.isascii() or UNSEEN.search(text) is None:
        return text, None
    places = [n for n, c in enumerate(text) if UNSEEN.match(c) is None]
    return "".join(text[n] for n in places), places
