"""Lists in prose: commas, bullets, numbered lines, arrows, brackets. Knows how items are set off,
not what they mean.
"""

from __future__ import annotations

import re
from typing import Final

from emafusion.answers.conclusion import conclusion

_BULLET: Final = re.compile(r"^\s*(?:[-*•+]|\(?\d{1,2}[.)])\s+(.+)$", re.M)
_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\]")
_LEAD: Final = re.compile(r"^[^,;>\n]{0,80}?(?:\b(?:is|are|be|order)\b\s*|:\s+)", re.I)
_BETWEEN: Final = re.compile(r"\s*(?:[,;\n|]|->|→|=>|>|<)\s*(?:and\s+|then\s+)?|\s+(?:and|then)\s+")
_TRIM: Final = " \t\n\"'`*_.()[]"


def items(text: str, expected: int) -> list[str]:
    """The items of the list a reply gives.

    Parameters
    ----------
    text
        The reply.
    expected
        How many items the right answer has; it only decides between ways of splitting.
    """
    bulleted = _BULLET.findall(text)
    if len(bulleted) > 1 or (bulleted and expected == 1):
        return _clean(bulleted)
    bracketed = _BRACKETS.findall(text)
    if bracketed:
        return _clean(_BETWEEN.split(bracketed[-1]))
    stretch = conclusion(text) or text.strip()
    found = _clean(_BETWEEN.split(stretch))
    if len(found) == expected and not _LEAD.match(stretch):
        return found
    bare = _clean(_BETWEEN.split(_LEAD.sub("", stretch, count=1)))
    if len(bare) == 1 < expected:
        return _clean(bare[0].split())
    return bare


def _clean(parts: list[str]) -> list[str]:
    return [item for part in parts if (item := part.strip(_TRIM))]
