"""A conversation in mid-call as a model of another vendor can read it.

Between a model's calls and their results an upstream may put what it alone reads: reasoning,
sealed or not, signatures on calls, identifiers in a spelling of its own. Others refuse it. Knows
the chat protocol's own fields; all else of what a model said is left out, and calls are renamed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from emafusion.types import Message

KEPT = ("role", "name", "refusal", "function_call")
"""Fields of an assistant's message that everybody reads, beside its content and its calls."""

IDENTIFIER = 9
"""Characters of an identifier: letters and digits, as many as the strictest vendor takes."""


def handed_over(messages: Sequence[Message], after: str | None = None) -> list[Message]:
    """`messages` without what only the vendor can read that a model said.

    Up to the results of the call that `after` identifies, where that is given: what follows is the
    reader's own, and is left as it is.
    """
    end = len(messages) if after is None else _end(messages, after)
    return [*map(_readable, messages[:end]), *messages[end:]]


def identifiers(message: Message) -> tuple[str, ...]:
    """The identifiers of the calls in `message`."""
    return tuple(str(call.get("id")) for call in _calls(message))


def _end(messages: Sequence[Message], after: str) -> int:
    """The place behind the results of the call `after`; 0 where nobody made it."""
    found = 0
    for place, message in enumerate(messages):
        if after in identifiers(message):
            found = place + 1
    while 0 < found < len(messages) and messages[found].get("role") != "assistant":
        found += 1
    return found


def _readable(message: Message) -> Message:
    if message.get("role") == "tool":
        return {**message, "tool_call_id": _renamed(message.get("tool_call_id"))}
    if message.get("role") != "assistant":
        return message
    found: dict[str, object] = {name: message[name] for name in KEPT if name in message}
    calls = [_call(call) for call in _calls(message)]
    said = "".join(map(_text, _parts(message.get("content"))))
    found["content"] = said or (None if calls or "function_call" in found else "")
    return found | ({"tool_calls": calls} if calls else {})


def _call(call: Mapping[str, object]) -> Message:
    found = {name: call[name] for name in ("type", "function", "custom") if name in call}
    told = found.get("function")
    if isinstance(told, Mapping):
        found["function"] = {name: told.get(name) for name in ("name", "arguments")}
    return {"id": _renamed(call.get("id")), **found}


def _renamed(identifier: object) -> str:
    return hashlib.sha256(str(identifier).encode()).hexdigest()[:IDENTIFIER]


def _calls(message: Message) -> list[Mapping[str, object]]:
    calls = message.get("tool_calls")
    told = calls if isinstance(calls, (list, tuple)) else ()
    return [call for call in told if isinstance(call, Mapping)]


def _parts(content: object) -> Sequence[object]:
    return content if isinstance(content, (list, tuple)) else (content,)


def _text(part: object) -> str:
    """What `part` of a message says aloud."""
    if isinstance(part, Mapping) and part.get("type") in ("text", "refusal"):
        part = part.get(part["type"])
    return part if isinstance(part, str) else ""
