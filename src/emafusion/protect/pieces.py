"""A long text in pieces that overlap, for detectors that read one sentence at a time.

Knows where a text is cut with least harm. It knows nothing of what is looked for in it.
"""

from __future__ import annotations

from collections.abc import Iterator

LONGEST = 5_000
"""Characters of a piece: a tenth of a second's work for a pipeline that finds names."""
OVERLAP = 200
"""Characters of a piece that stand in the next one, too, so that no name is cut in both."""
ENDS = ("\x00\n", "\n\n", "\n", ". ", " ")
"""What a piece ends with best, where one of them is in its second half."""


def pieces(text: str, longest: int = LONGEST) -> Iterator[tuple[int, str]]:
    """`text` in pieces of at most `longest` characters, each with where it begins."""
    start = 0
    while len(text) - start > longest:
        end = _end(text, start + longest // 2, start + longest)
        yield start, text[start:end]
        again = end - min(OVERLAP, longest // 4)
        # The first word of a piece is a whole one.
        start = max(text.find(" ", again, end) + 1, again)
    yield start, text[start:]


def _end(text: str, first: int, last: int) -> int:
    for mark in ENDS:
        place = text.rfind(mark, first, last)
        if place >= 0:
            return place + len(mark)
    return last
