"""A way a prompt may fall into pieces, and what of a prompt is no place for a boundary.

Knows spans of text, not whether a layout is right: that is weighed in `evidence`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from emafusion.types import Value

MOST: Final = 8
"""Parts a split has at most (DESIGN §2.3)."""
CROWDED: Final = 500
"""Candidate boundaries beyond which a text is no short list of asks."""

Kind = Literal[
    "worded",
    "heading",
    "numbered",
    "lettered",
    "bullet",
    "rule",
    "tag",
    "json",
    "onward",
    "paragraph",
]

_FENCES: Final = (
    ("```", "```"),
    ("[PYTHON]", "[/PYTHON]"),
    ("<code>", "</code>"),
    ("[asy]", "[/asy]"),
    ("$$", "$$"),
    ("\\[", "\\]"),
    ("\\begin{", "\\end{"),
)
_QUOTED = re.compile(r"^>.*\n(?:>.*\n)+(?=\s*[^>\s])", re.MULTILINE)
"""Two or more lines that are quoted in something longer, as mails are."""
_WRAPPED = re.compile(r"\A(?:(\*\*|__)(?P<b>(?:(?!\1).)+)\1|[\"“«](?P<q>[^\"“”«»]+)[\"”»])\Z", re.S)
_RULE_LINE = re.compile(r"(?:\n[ \t]*(?:[-*=_~#+]{3,}|\*|#{1,6}|[*_]{2})?[ \t]*)+\Z")
_JOINT = re.compile(r"(?<=\S)(?:;|,)(?:\s+(?:and|or|then|and then|y|und|et))?\s*\Z", re.IGNORECASE)


class Piece(Value, frozen=True, kw_only=True):
    """One stretch of a prompt between two boundaries, and the label it stands under."""

    text: str
    label: str = ""


class Layout(Value, frozen=True, kw_only=True):
    """One way a prompt falls into pieces: what stands before, the pieces, what stands after.

    ``named`` says that every boundary calls what follows an ask ("Second question:", "Next task:").
    """

    kind: Kind
    before: str
    pieces: tuple[Piece, ...]
    after: str = ""
    named: bool = False


class Boundary(Value, frozen=True, kw_only=True):
    """A label or connective found at ``start``; the piece it opens begins at ``end``.

    ``order`` is the place it claims: 1 … 8, 0 for "the next one", −1 for "the last one".
    """

    start: int
    end: int
    order: int = 0
    label: str = ""


def masked(text: str) -> str:
    """`text` with what is code, formula or quotation blotted out, character for character."""
    pieces = []
    at = 0
    for start, end in _fenced(text):
        if start >= at:
            pieces += [text[at:start], "\x00" * (end - start)]
            at = end
    return "".join([*pieces, text[at:]])


def _fenced(text: str) -> list[tuple[int, int]]:
    spans = [found.span() for found in _QUOTED.finditer(text)]
    for opener, closer in _FENCES:
        start = text.find(opener)
        while start >= 0:
            end = text.find(closer, start + len(opener))
            if end < 0:
                break
            spans.append((start, end + len(closer)))
            start = text.find(opener, end + len(closer))
    return sorted(spans)


def loose(kind: Kind) -> bool:
    """Whether pieces of `kind` have no labels of their own."""
    return kind in {"onward", "paragraph", "rule"}


def joined(pieces: Sequence[Piece]) -> bool:
    """Whether all `pieces` but the last end in a comma or semicolon, which then join them."""
    return all(_JOINT.search(_RULE_LINE.sub("", f"{p.text.strip()}\n")) for p in pieces[:-1])


def cut(text: str, boundaries: list[Boundary], kind: Kind) -> Layout:
    """The layout that `boundaries`, in order, give `text`."""
    stops = [each.start for each in boundaries[1:]] + [len(text)]
    pieces = tuple(
        Piece(text=text[each.end : stop], label=each.label)
        for each, stop in zip(boundaries, stops, strict=True)
    )
    return Layout(kind=kind, before=text[: boundaries[0].start], pieces=pieces)


def tidy(text: str, *, joint: bool = False) -> str:
    """A piece as a prompt of its own: no rules or wrappings of the list around it, nor its joint.

    `joint` says that what joins the piece to the next stands at its end ("; and", ",").
    """
    text = _RULE_LINE.sub("", f"{text.strip()}\n").strip()
    if joint:
        text = _JOINT.sub("", text)
    lines = text.split("\n")
    if all(line.startswith(">") for line in lines):
        text = "\n".join(line[1:].removeprefix(" ") for line in lines)
    whole = _WRAPPED.match(text)
    if whole:
        text = whole["b"] or whole["q"]
    if text.startswith("```") and text.endswith("```") and text.count("```") == 2:
        body = text[3:-3].split("\n", 1)
        text = body[1] if len(body) == 2 and " " not in body[0] else text
    return text.strip()
