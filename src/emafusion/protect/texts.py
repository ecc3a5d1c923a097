"""Where in a request text stands, and the same request with other text in those places.

Knows the chat protocol's messages and parameters: names of roles and identifiers are no text, and
a tool call's arguments are JSON within a string. Knows nothing of what the text says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from emafusion.errors import RequestError
from emafusion.types import Request, replace

Change = Callable[[str], str]
NO_TEXT = frozenset({"role", "type", "id", "tool_call_id", "signature", "encrypted_content"})
"""Fields whose values the protocol, or a vendor, made."""
WRITTEN = frozenset({"text", "input_text", "output_text", "refusal", "thinking", "tool_result"})
"""Kinds of content parts that hold text and nothing else."""
DEEPEST = 64
LONG_NUMBER = 10**8
"""Numbers from which on one in a tool call's arguments may stand for a person or an account."""


def changed(request: Request, change: Change) -> Request:
    """`request` with `change` of every text in place of it, its caller's and session's names, too.

    Raises
    ------
    RequestError
        The request is nested too deep to be read.
    """
    messages = tuple(_fields(message, change) for message in request.messages)
    params = _fields(request.params, change)
    return replace(
        request,
        messages=messages,
        params=params,
        caller=change(request.caller),
        session=change(request.session),
    )


def texts(request: Request) -> list[str]:
    """Every text in `request`, each once."""
    found: dict[str, None] = {}

    def keep(text: str) -> str:
        found[text] = None
        return text

    changed(request, keep)
    return [text for text in found if text]


def unread(request: Request) -> bool:
    """Whether `request` has parts that are no text, or texts as tokens' numbers."""
    told = request.params.get("input")
    if isinstance(told, (list, tuple)) and not all(isinstance(one, str) for one in told):
        return True
    for message in request.messages:
        content = message.get("content")
        for part in content if isinstance(content, (list, tuple)) else ():
            if not isinstance(part, Mapping) or part.get("type", "text") not in WRITTEN:
                return True
        if message.get("audio") is not None:
            return True
    return False


def documents(request: Request) -> Iterator[str]:
    """What in `request` was fetched and not written by its caller: results of tools."""
    for message in request.messages:
        if message.get("role") in ("tool", "function"):
            content = message.get("content")
            parts = content if isinstance(content, (list, tuple)) else (content,)
            said = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
            yield from (text for text in said if isinstance(text, str))


def _fields(value: Mapping[str, object], change: Change) -> dict[str, object]:
    """A message's or the parameters' own fields, whose names are the protocol's."""
    return {
        name: item if name in NO_TEXT else _field(name, item, change, depth=0)
        for name, item in value.items()
    }


def _mapping(value: Mapping[str, object], change: Change, depth: int) -> dict[str, object]:
    return {
        change(name): item if name in NO_TEXT else _field(name, item, change, depth=depth + 1)
        for name, item in value.items()
    }


def _field(name: str, value: object, change: Change, *, depth: int) -> object:
    if name == "arguments" and isinstance(value, str):
        return _arguments(value, change, depth)
    return _value(value, change, depth)


def _value(value: object, change: Change, depth: int) -> object:
    if depth > DEEPEST:
        raise RequestError("the request is nested too deep", "messages")
    if isinstance(value, str):
        # What is encoded is no text: it counts as unread.
        return value if value.startswith("data:") else change(value)
    if isinstance(value, Mapping):
        return _mapping(value, change, depth)
    if isinstance(value, (list, tuple)):
        return [_value(item, change, depth + 1) for item in value]
    return value


def _arguments(written: str, change: Change, depth: int) -> str:
    """A tool call's arguments, JSON as before; what is none is a text like another."""
    try:
        given = json.loads(written)
    except (ValueError, RecursionError):
        return change(written)
    found = _numbered(_value(given, change, depth), change)
    return written if found == given else json.dumps(found, ensure_ascii=False)


def _numbered(value: object, change: Change) -> object:
    """`value` with a text in place of numbers that `change` would change as texts."""
    if isinstance(value, dict):
        return {name: _numbered(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_numbered(item, change) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= LONG_NUMBER:
        said = change(str(value))
        return value if said == str(value) else said
    return value
