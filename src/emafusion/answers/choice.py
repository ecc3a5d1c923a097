"""The letter of a multiple-choice answer, A to P. Knows how letters are set off from prose."""

from __future__ import annotations

import re
from typing import Final

from emafusion.answers.conclusion import bold, conclusion, last_line
from emafusion.answers.kinds import Extracted

_ALONE: Final = re.compile(r"[\W_]*(?:option|choice|letter)?[\s\W_]*([A-Pa-p])[\W_]*\Z", re.I)
_STATED: Final = re.compile(
    r"""["'*_\s\[$]*(?:(?:most\s+likely|probably|option|choice|letter|indeed|thus|then)[:\s]+)*
    (?:\\text(?:bf)?\{)?["'*_\s]*
    (?: \(\s*([A-Pa-p])\s*\) | ([A-P])(?=\s*$|["'\]*_}).,:;]|\s+(?:[-–—(]|because|since|as\b))
      | ([a-p])(?=\s*$|[)."'*\]]) )""",
    re.VERBOSE,
)
_OPENING: Final = re.compile(r"[\s*_\"'>#-]*(?:\(([A-P])\)|([A-P])[).:\]]|\[([A-P])\])(?=[\s*]|$)")
_LISTED: Final = re.compile(r"^[\s*_>-]*\(?[A-P][).:](?=\s)", re.M)
_NAMED: Final = re.compile(r"\b(?:[Oo]ption|[Cc]hoice|[Ll]etter)\s+[\"'*(]*([A-P])\b")
_CORRECT: Final = re.compile(
    r"(?:^|\s)[(*]*([A-P])[)*.]*\s+is\s+(?:the\s+)?(?:correct|right|best)\b"
)
_PARENTHESISED: Final = re.compile(r"\(([A-P])\)")
_ENDING: Final = re.compile(r"(?:is|be|:)\s*[*(\"']*([A-P])[*)\"'.]*\s*$")


def extract(text: str) -> Extracted | None:
    """The letter a reply chooses, or ``None`` when it chooses none."""
    bare = text.strip()
    alone = _ALONE.match(bare) if len(bare) <= 24 else None
    if alone:
        return _found(alone)
    stretch = conclusion(text)
    return (_stated(stretch) if stretch else None) or _opening(bare) or _prose(bare)


def _stated(stretch: str) -> Extracted | None:
    found = _STATED.match(stretch)
    return _found(found) if found else None


def _opening(bare: str) -> Extracted | None:
    found = _OPENING.match(bare)
    # A reply that repeats the options opens with a letter too, and chooses none of them by it.
    if found is None or len(_LISTED.findall(bare)) > 1:
        return None
    return _found(found)


def _prose(bare: str) -> Extracted | None:
    strong = bold(bare)
    if strong:
        found = _ALONE.match(strong) if len(strong) <= 24 else _OPENING.match(strong)
        found = found or _OPENING.match(strong)
        if found:
            return _found(found)
    ending = last_line(bare)
    for pattern, where in ((_CORRECT, bare), (_NAMED, bare), (_ENDING, ending)):
        places = list(pattern.finditer(where))
        if places:
            return _found(places[-1])
    last = _ALONE.match(ending) if len(ending) <= 24 else _OPENING.match(ending)
    if last:
        return _found(last)
    mentioned = set(_PARENTHESISED.findall(bare))
    if len(mentioned) == 1:
        letter = mentioned.pop()
        return Extracted(kind="choice", span=f"({letter})", key=letter)
    return None


def _found(place: re.Match[str]) -> Extracted:
    letter = next(group for group in place.groups() if group).upper()
    return Extracted(kind="choice", span=place.group().strip(), key=letter)
