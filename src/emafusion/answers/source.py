"""Program text in a reply. Knows fences and layout; neither parses nor runs the program."""

from __future__ import annotations

import re
from typing import Final

from emafusion.answers.kinds import Extracted

_FENCE: Final = re.compile(r"```[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
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
    blocks: list[str] = [block for _, block in _FENCE.findall(text)] if "```" in text else []
    if blocks:
        return max(blocks, key=len)
    start = _STARTS.search(text)
    return text[start.start() :] if start else text


def key(span: str) -> str:
    """The lines that matter: no blank lines, comment lines, fences or trailing space."""
    lines = (line.rstrip().replace("\t", "    ") for line in span.splitlines())
    kept = [line for line in lines if line and "```" not in line and not _COMMENT.match(line)]
    return "\n".join(kept)
