"""Program text in a reply. Knows fences and layout; neither parses nor runs the program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from emafusion.answers.kinds import Extracted

_FENCE: Final = "```"
_END: Final = re.compile(r"\n[ \t]*```")
_STARTS: Final = re.compile(
    r"^(?:def |class |import |from \w|async def |@\w|function |const |let |SELECT |#include)", re.M
)
_COMMENT: Final = re.compile(r"\s*(?:#|//)")


def extract(text: str) -> Extracted | None:
    """The program in a reply: its longest fenced block, else from its first line of code on."""
    span = program(text)
    canonical = key(span)
    return Extracted(kind="code", span=span, key=canonical) if canonical else None


def program(text: str) -> str:
    """The program text itself, fences and the prose before it removed."""
    longest = max(_blocks(text), key=len, default=None)
    if longest is not None:
        return longest
    start = _STARTS.search(text)
    return text[start.start() :] if start else text


def _blocks(text: str) -> Iterator[str]:
    """The fenced blocks of `text`, the last perhaps without an end; takes time linear in it."""
    opened = text.find(_FENCE)
    while opened >= 0:
        start = text.find("\n", opened) + 1
        if not start:
            return
        end = _END.search(text, start)
        yield text[start : end.start()] if end else text[start:]
        opened = text.find(_FENCE, end.end()) if end else -1


def key(span: str) -> str:
    """The lines that matter: no blank lines, comment lines, fences or trailing space."""
    lines = (line.rstrip().replace("\t", "    ") for line in span.splitlines())
    kept = [line for line in lines if line and "```" not in line and not _COMMENT.match(line)]
    return "\n".join(kept)
