"""A plain text as recognisers read it: its numbers, the heads of its words, what stands before.

Knows what stands near a place. It knows no kind of value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

_DIGITS = re.compile(r"[0-9]+")
_RUNS = re.compile(
    r"(?P<time>(?:19|20)\d\d-[01]\d-[0-3]\d(?![\d-])(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?)"
    r"|[0-9]+(?:(?<=[0-9]{7})"
    r"|(?=[a-zA-Z]|[ .\-/()_\t\n]{1,3}(?:[0-9A-Z]|[a-z](?![a-z])|[a-z]{4} ?\d)))"
)
_BEFORE = re.compile(r"\d\d,? \Z")
_AFTER = re.compile(r",? \d\d")
_UUID = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z])"
)
_ASCII = re.compile(r"[a-z]+|[A-Z]+[a-z]*")
APART = "\x00"
"""Stands between texts that are read as one: nothing of one says what is in another."""
HEAD = 4
"""Letters by which it is told whether a word can be in a text."""
_WORDS = re.compile(r"[^\W\d_A-Z]+|[A-Z]+[^\W\d_A-Z]*")


class Reading:
    """`text`, from which disguises are off."""

    def __init__(self, text: str, quotes: Sequence[int] = ()) -> None:
        self.text = text
        self._quotes = quotes

    @cached_property
    def folded(self) -> str:
        """The text in small letters, of the same length."""
        lower = self.text.lower()
        # A capital that has two small letters would move all places behind it.
        if len(lower) == len(self.text):
            return lower
        return "".join(c.lower()[0] for c in self.text)

    @cached_property
    def spanned(self) -> str:
        """As `folded`; a quote that does not end what is quoted is a character of no meaning."""
        if not self._quotes:
            return self.folded
        signs = list(self.folded)
        for place in self._quotes:
            signs[place] = "\ue000"
        return "".join(signs)

    @cached_property
    def has_digits(self) -> bool:
        """Whether there is a digit at all."""
        return _DIGITS.search(self.text) is not None

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """Where digits stand that can begin a number of seven and more: starts and ends."""
        return [run.span() for run in _RUNS.finditer(self.text) if run.lastgroup is None]

    @cached_property
    def places(self) -> dict[int, list[int]]:
        """Where cues were found, by which cues they are, for those who ask again."""
        return {}

    @cached_property
    def heads(self) -> frozenset[str]:
        """The first letters of all words, one to four, small; a capital begins a word."""
        words = set((_ASCII if self.text.isascii() else _WORDS).findall(self.text))
        # A key may stand right behind letters of a language that writes no blanks.
        words.update(_ASCII.findall(" ".join(word for word in words if not word.isascii())))
        heads = whole = {word[:HEAD].lower() for word in words}
        for length in range(HEAD - 1, 0, -1):
            whole = {head[:length] for head in whole}
            heads = heads | whole
        return frozenset(heads)

    def begins(self, place: int) -> bool:
        """Whether a number can begin at `place`: no word or number goes on there."""
        before = self.text[place - 1] if place else " "
        if before.isalnum() and before.isascii():
            return False
        return before not in ".-+/" or not (place > 1 and self.text[place - 2].isdigit())

    def in_row(self, start: int, end: int) -> bool:
        """Whether a number with blanks within stands in a row of numbers."""
        said = self.text[start:end]
        if " " not in said or not said.replace(" ", "").isdigit():
            return False
        return _BEFORE.search(self.text, max(0, start - 4), start) is not None or (
            _AFTER.match(self.text, end) is not None
        )

    def in_uuid(self, start: int) -> bool:
        """Whether the digits at `start` stand in a UUID, whose groups may be of digits alone."""
        if "-" not in self.text[max(0, start - 1) : start + 9]:
            return False
        near = _UUID.search(self.text, max(0, start - 35), start + 37)
        return near is not None and near.start() <= start < near.end()

    def before(self, place: int, reach: int = 40) -> str:
        """The `reach` characters before `place`, in small letters; of another text none."""
        return self.folded[max(0, place - reach) : place].rpartition(APART)[2]
