"""Which texts of a request its caller did not write: what tools brought, files, pasted documents.

Knows the chat protocol's messages, blocks that other protocols have for documents, and the marks
that applications put around a document in a prompt. Knows nothing of what the texts say.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping

from emafusion.types import Request

BROUGHT = frozenset({"tool", "function"})
"""Roles whose messages are results of tools."""
DOCUMENTS = frozenset(
    ["document", "search_result", "tool_result", "web_search_tool_result", "file", "input_file"]
)
"""Kinds of parts that hold what somebody else wrote, whoever sends them."""
NO_TEXT = frozenset({"type", "id", "tool_call_id", "tool_use_id", "media_type", "signature"})
READ = re.compile(
    r"data:(?:text/[\w.+-]+|application/(?:[\w.+-]+\+)?(?:json|xml|yaml|x-yaml|javascript|rtf))"
    r"(?:;[\w-]+=[\w.-]+){0,3}(;base64)?,"
)
"""Data URLs whose bytes are text."""
LARGEST = 4_000_000
"""Characters of an encoded file that are decoded."""
DEEPEST = 32
OPENED = re.compile(
    r"^[ \t]*(?:<(?P<name>documents?|docs?|context|search_results?|results?|retrieved[\w-]*"
    r"|sources?"
    r"|passages?|articles?|attachments?|files?|web_?pages?|e?mails?|untrusted[\w-]*|transcript"
    r"|document_content|file_contents?|tool_results?|knowledge|excerpts?)(?: [^<>\n]{0,200})?>"
    r"|-{3,}[ ]?BEGIN (?P<said>DOCUMENT|CONTEXT|FILE|EMAIL|ATTACHMENT|ARTICLE"
    r"|TEXT)\b[^\n-]{0,80}-{3,})",
    re.MULTILINE | re.IGNORECASE,
)
"""Marks at the beginning of a line behind which a document stands."""


def documents(request: Request) -> Iterator[str]:
    """What in `request` somebody else wrote, a message's parts together.

    A document in a prompt is told by its marks, each at the beginning of a line; it ends with the
    last mark of its kind, so that it cannot end itself.
    """
    for message in request.messages:
        content = message.get("content")
        if str(message.get("role")) in BROUGHT:
            yield "\n".join(_strings(content, 0))
        elif isinstance(content, str):
            yield from _pasted(content)
        elif isinstance(content, (list, tuple)):
            yield from _parts(content)


def _parts(content: list[object] | tuple[object, ...]) -> Iterator[str]:
    for part in content:
        if not isinstance(part, Mapping):
            continue
        if str(part.get("type")) in DOCUMENTS:
            yield "\n".join(_strings(part, 0))
        elif isinstance(text := part.get("text"), str):
            yield from _pasted(text)


def _strings(value: object, depth: int) -> Iterator[str]:
    """Every text in `value`, those of files in it, too."""
    if isinstance(value, str):
        yield _decoded(value) if value.startswith("data:") else value
    elif depth < DEEPEST and isinstance(value, Mapping):
        for name, item in value.items():
            if name not in NO_TEXT:
                yield from _strings(item, depth + 1)
    elif depth < DEEPEST and isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item, depth + 1)


def _decoded(address: str) -> str:
    """The text in a data URL; nothing where its bytes are none."""
    head = READ.match(address[:200])
    if head is None:
        return ""
    data = address[head.end() : head.end() + LARGEST]
    if not head[1]:
        return data
    try:
        return base64.b64decode(data[: len(data) // 4 * 4]).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""


def _pasted(text: str) -> Iterator[str]:
    """The document in `text` between marks: from the first to the last of the first's kind."""
    if "<" not in text and "---" not in text:
        return
    opened = OPENED.search(text)
    if opened is None:
        return
    name, said = opened["name"], opened["said"]
    close = f"</{name}>" if name else f"END {said}"
    end = text.lower().rfind(close.lower(), opened.end())
    yield text[opened.end() : end if end >= 0 else len(text)]
