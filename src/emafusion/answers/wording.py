"""Wordings looked for in texts of any case, fast. Knows no wording."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ODD = ("\u0130", "\u0131", "\u017f", "\u212a")
"""Letters beyond ASCII that are an ASCII letter's other case to a pattern."""


class Wording:
    """A pattern in small letters, found in texts of any case.

    Ignoring case, a pattern is tried at every place in full; the same pattern on the text in small
    letters gives most places up at their first letter, which is some ten times as fast. It finds
    the same where the two texts' letters stand at the same places.

    Parameters
    ----------
    pattern : str
        Without capital letters but in escapes.
    flags : re.RegexFlag
        Beside ``re.IGNORECASE``, which is given.
    holds : sequence of str
        Pieces in small letters, one of which at least stands in every match: where none stands in a
        text, nothing else is looked for. A few pieces are found ten times as fast as a pattern.
    """

    def __init__(
        self, pattern: str, flags: re.RegexFlag = re.NOFLAG, *, holds: Sequence[str] = ()
    ) -> None:
        self._any = re.compile(pattern, flags | re.IGNORECASE)
        self._small = re.compile(pattern, flags)
        self._holds = tuple(holds)

    def search(self, text: str) -> re.Match[str] | None:
        """The first match; its places are those of `text`, its letters may be small ones."""
        if text.isascii() or not any(letter in text for letter in _ODD):
            small = text.lower()
            return self._small.search(small) if stands(self._holds, small) else None
        return self._any.search(text)

    def ends(self, text: str) -> list[int]:
        """Where the matches end, in order."""
        if text.isascii() or not any(letter in text for letter in _ODD):
            return [found.end() for found in self._small.finditer(text.lower())]
        return [found.end() for found in self._any.finditer(text)]


def stands(pieces: Sequence[str], text: str) -> bool:
    """Whether one of `pieces` stands in `text`, or there are none to look for."""
    for piece in pieces:
        if piece in text:
            return True
    return not pieces
