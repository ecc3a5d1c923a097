"""Python literals as answers (what a program prints or returns). Knows the literal syntax;
runs nothing.
"""

from __future__ import annotations

import ast
import re
from typing import Final

from emafusion.answers.conclusion import bold, conclusion, field, last_line
from emafusion.answers.kinds import Extracted

_LONGEST: Final = 5_000
_DEEPEST: Final = 40
# Only these tokens reach the parser, so that it can neither warn nor meet code.
_SHAPE: Final = re.compile(
    r"""(?>(?:
      (?<![A-Za-z0-9_])[bB]?'(?:[^'\\\n]|\\(?s:.))*+'
    | (?<![A-Za-z0-9_])[bB]?"(?:[^"\\\n]|\\(?s:.))*+"
    | (?<![A-Za-z0-9_.])(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![A-Za-z0-9_.])
    | (?<![A-Za-z0-9_.])(?:True|False|None|set\(\))(?![A-Za-z0-9_.(])
    | [-+](?=[\d.]) | [\[\](){},:\s] )*+)\Z""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_KNOWN_ESCAPES: Final = frozenset("\\'\"abfnrtv01234567\n")
_ASSERTED: Final = re.compile(
    r"(?:==|\b(?:[Oo]utput|[Rr]esult|prints?|returns?|is)\b:?)\s*(\S.*?)\.?$"
)
_FENCE: Final = re.compile(r"```[a-zA-Z]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_CODE: Final = re.compile(r"`([^`\n]+)`")


def extract(text: str) -> Extracted | None:
    """The literal a reply gives as its answer; text that is no literal is read as a string.

    Programs print a string without its quotes, so ``'abc'`` and a bare ``abc`` share a key, and
    so do ``'89'`` and ``89``.
    """
    stated = field(text)
    spans = [stated] if stated is not None else [text, *filter(None, _spans(text))]
    for span in spans:
        parsed = parse(span)
        if parsed is not None:
            return Extracted(kind="literal", span=span.strip(), key=printed(parsed[0]))
    bare = stated if stated is not None else min(spans[1:3], key=len, default="")
    bare = _unquoted(bare[:_LONGEST])
    return Extracted(kind="literal", span=bare, key=printed(bare)) if bare else None


def printed(value: object) -> str:
    """The key of a value that was printed: a string that reads as a literal is that literal."""
    while isinstance(value, str):
        inner = parse(value)
        if inner is None or inner[0] == value:
            break
        value = inner[0]
    return key(value)


def parse(span: str) -> tuple[object] | None:
    """The value of a Python literal in a one-tuple, since ``None`` is a value; else ``None``."""
    bare = span.strip()
    if not bare or len(bare) > _LONGEST or not _SHAPE.match(bare) or _depth(bare) > _DEEPEST:
        return None
    if bare == "set()":
        return (set(),)
    try:
        value = ast.literal_eval(_ESCAPE.sub(_escape, bare))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    # An overflowing float reads back as a name, which would not be a literal any more.
    return None if "inf" in repr(value) and "inf" not in bare else (value,)


def key(value: object) -> str:
    """The canonical text of a literal's value: sets and mappings in sorted order."""
    if isinstance(value, dict):
        pairs = sorted(f"{key(name)}: {key(item)}" for name, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(key, value))) + "}" if value else "set()"
    if isinstance(value, list):
        return "[" + ", ".join(map(key, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(key, value)) + ("," if len(value) == 1 else "") + ")"
    return repr(value)


def _spans(text: str) -> list[str]:
    """Where a literal may stand, the likeliest place first."""
    stated = conclusion(text)
    if stated:
        bare = stated.strip("`* ")
        return [bare, *reversed(_CODE.findall(stated)), bare.rstrip(".")]
    line = last_line(text)
    spans = [block.strip() for block in reversed(_FENCE.findall(text))] if "```" in text else []
    spans.extend(found.strip() for found in _ASSERTED.findall(line))
    spans.extend(reversed(_CODE.findall(line)))
    strong = bold(text)
    return [*spans, *([strong] if strong else []), line]


def _unquoted(text: str) -> str:
    """The text without a pair of quotes around it that Python could not read as a string."""
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "'\"" else text


def _escape(found: re.Match[str]) -> str:
    following = found.group(1)
    return found.group() if following in _KNOWN_ESCAPES else "\\\\" + following


def _depth(text: str) -> int:
    depth = deepest = 0
    for mark in text:
        if mark in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in ")]}":
            depth -= 1
    return deepest
