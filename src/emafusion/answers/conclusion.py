r"""Where a reply states its conclusion. Knows the markers ("Answer:", ``\\boxed``, ``####``,
a JSON ``"answer"`` field, bold type), not what kind of answer follows them.
"""

from __future__ import annotations

import json
import re
from typing import Final

_BOXED: Final = re.compile(r"\\f?boxed\s*\{")
_AFTER_WORD: Final = re.compile(
    r"""["'*_\s]{0,6}(?:\([^()\n]{0,40}\))?["'*_\s]{0,4}
    (?: (?:[:=]|\b(?:is|was|are|be|should\s+be|would\s+be|must\s+be|will\s+be)\b(?!\s+not\b))
        ["'*_\s]{0,4} ){1,3}""",
    re.VERBOSE | re.IGNORECASE,
)
_FIELD: Final = re.compile(r'"\s*:\s*')
_BOLD: Final = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_MARKS_TRIED: Final = 8
_TAIL: Final = 2_000
_DECODER: Final = json.JSONDecoder(strict=False)


def conclusion(text: str) -> str | None:
    """The stretch of a reply after its last explicit marker, or ``None`` when it has none.

    The stretch ends with its line (a boxed one with its brace, a JSON field with its value);
    a marker at the end of a line speaks of the next line that is not empty.
    """
    found = [mark for mark in (_boxed(text), _worded(text), _hashed(text)) if mark]
    return max(found)[1] if found else None


def concludes(text: str) -> bool:
    """Whether a reply marks its conclusion as one."""
    return conclusion(text) is not None


def field(text: str) -> str | None:
    """The value of the last JSON field named ``"answer"``, its white space kept, or ``None``."""
    at = text.rfind('answer"')
    return _field_value(text, at) if at >= 0 else None


def bold(text: str) -> str | None:
    """The last stretch in bold type, or ``None``."""
    if "**" not in text:
        return None
    spans = _BOLD.findall(text)
    return spans[-1].strip() if spans else None


def last_line(text: str) -> str:
    """The last line that is not empty or a code fence; an empty string when there is none."""
    for line in reversed(text[-_TAIL:].splitlines()):
        bare = line.strip()
        if bare and not bare.startswith("```"):
            return bare
    return ""


def _boxed(text: str) -> tuple[int, str] | None:
    at = text.rfind("boxed")
    if at < 0:
        return None
    opened = _BOXED.match(text, max(text.rfind("\\", 0, at), 0))
    if opened is None:
        return None
    depth = 1
    for place in range(opened.end(), min(len(text), opened.end() + 2000)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return at, text[opened.end() : place].strip()
    return at, text[opened.end() :].strip().rstrip("}")


def _worded(text: str) -> tuple[int, str] | None:
    lowered = text.lower() if text.isascii() else _lowered(text)
    at = len(text)
    for _ in range(_MARKS_TRIED):
        at = lowered.rfind("answer", 0, at)
        if at < 0:
            return None
        value = (_field_value(text, at) or "").strip() or _spoken_value(text, at)
        if value:
            return at, value
    return None


def _lowered(text: str) -> str:
    # Lower-casing some letters changes a text's length, which would move every place in it.
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text.replace("A", "a")


def _field_value(text: str, at: int) -> str | None:
    colon = _FIELD.match(text, at + len("answer"))
    if colon is None or text[at - 1 : at] not in ('"', "_", " "):
        return None
    try:
        value, _ = _DECODER.raw_decode(text, colon.end())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _spoken_value(text: str, at: int) -> str | None:
    marker = _AFTER_WORD.match(text, at + len("answer"))
    if marker is None:
        return None
    return _stretch(text, marker.end())


def _hashed(text: str) -> tuple[int, str] | None:
    at = text.rfind("####")
    if at < 0:
        return None
    value = _stretch(text, at + 4)
    return (at, value) if value else None


def _stretch(text: str, start: int) -> str | None:
    rest = text[start : start + 2000].lstrip()
    if rest.startswith("```"):
        rest = rest.partition("\n")[2].lstrip()
    line = rest.partition("\n")[0].strip()
    return line.strip("*_ ") or None
