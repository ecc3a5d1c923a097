"""Wordings looked for in texts of any case, fast. Knows no wording."""

from __future__ import annotations

import re

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
    """

    def __init__(self, pattern: str, flags: re.RegexFlag = re.NOFLAG) -> None:
        self._any = re.compile(pattern, flags | re.IGNORECASE)
        self._small = re.compile(pattern, flags)

    def search(self, text: str) -> re.Match[str] | None:
        """The first match; its places are those of `text`, its letters may be small ones."""
        if text.isascii() or not any(letter in text for letter in _ODD):
            return self._small.search(text.lower())
        return self._any.search(text)

    def ends(self, text: str) -> list[int]:
        """Where the matches end, in order."""
        if text.isascii() or not any(letter in text for letter in _ODD):
            return [found.end() for found in self._small.finditer(text.lower())]
        return [found.end() for found in self._any.finditer(text)]
