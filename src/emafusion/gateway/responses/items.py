"""A conversation's items of the responses protocol as the chat protocol's messages.

Knows both protocols' messages, their parts, tool calls and their results, and reasoning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from emafusion.errors import RequestError

Table: TypeAlias = dict[str, object]

_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


def turns_of(items: str | Sequence[Table], *, thoughts: bool) -> list[Table]:
    """The chat that `items` amount to.

    With `thoughts`, earlier reasoning is handed on, which only the model it came from can read.

    Raises
    ------
    RequestError
        An item is malformed, or of a kind that no chat model reads.
    """
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    found: list[Table] = []
    thought: Table = {}
    for place, item in enumerate(items):
        where = f"input[{place}]"
        kind = item.get("type") or ("message" if "role" in item else None)
        if kind == "reasoning":
            thought = _reasoning(item) if thoughts else {}
        elif kind == "function_call":
            _add_call(found, _call(item, where), thought)
            thought = {}
        elif kind == "function_call_output":
            found.extend(_result(item, where))
        elif kind == "message":
            found.append(_message(item, where) | thought)
            thought = {}
        else:
            raise RequestError(
                f"{where} is of type {str(kind)[:60]!r}; items can be messages, reasoning, "
                "function_call and function_call_output",
                where,
            )
    return found


def _message(item: Table, where: str) -> Table:
    role, content = item.get("role"), item.get("content")
    if not isinstance(role, str) or role not in _ROLES:
        raise RequestError(f"{where} has a role of {', '.join(_ROLES)}", where)
    if isinstance(content, str):
        return {"role": _ROLES[role], "content": content}
    if not isinstance(content, list):
        raise RequestError(f"{where}.content must be a string or a list of parts", where)
    parts = [_part(part, f"{where}.content[{n}]") for n, part in enumerate(content)]
    other = next((n for n, part in enumerate(parts) if part["type"] != "text"), None)
    if role == "assistant" and other is not None:
        here = f"{where}.content[{other}]"
        raise RequestError(f"{here}: an assistant's message has output_text and refusals", here)
    if other is None and (role == "assistant" or len(parts) < 2):
        return {"role": _ROLES[role], "content": "".join(str(part["text"]) for part in parts)}
    return {"role": _ROLES[role], "content": parts}


def _part(part: object, where: str) -> Table:
    """One part of a message."""
    if not isinstance(part, dict):
        raise RequestError(f"{where} must be an object", where)
    match part.get("type"):
        case "input_text" | "output_text" | "text":
            return {"type": "text", "text": _string(part, "text", where)}
        case "refusal":
            return {"type": "text", "text": _string(part, "refusal", where)}
        case "input_image" if part.get("image_url"):
            image: Table = {"url": _string(part, "image_url", where)}
            if part.get("detail"):
                image["detail"] = part["detail"]
            return {"type": "image_url", "image_url": image}
        case "input_file" if not part.get("file_url"):
            names = ("file_data", "file_id", "filename")
            return {"type": "file", "file": {n: part[n] for n in names if part.get(n)}}
        case "input_audio":
            return {"type": "input_audio", "input_audio": part.get("input_audio")}
    raise RequestError(
        f"{where} is of type {str(part.get('type'))[:60]!r}; parts can be input_text, output_text, "
        "refusal, input_image with an image_url, input_file with its file_data, and input_audio",
        where,
    )


def _call(item: Table, where: str) -> Table:
    function = {name: _string(item, name, where) for name in ("name", "arguments")}
    return {"id": _string(item, "call_id", where), "type": "function", "function": function}


def _add_call(found: list[Table], call: Table, thought: Table) -> None:
    """Calls made together are one message's, together with what was said before them."""
    last = found[-1] if found else {}
    if last.get("role") != "assistant" or thought:
        last = {"role": "assistant", "content": None, **thought}
        found.append(last)
    calls = last.setdefault("tool_calls", [])
    if isinstance(calls, list):
        calls.append(call)


def _result(item: Table, where: str) -> list[Table]:
    """A call's result; what of it is no text the user shows in its stead."""
    output = item.get("output")
    result: Table = {"role": "tool", "tool_call_id": _string(item, "call_id", where)}
    if isinstance(output, str):
        return [{**result, "content": output}]
    if not isinstance(output, list):
        raise RequestError(f"{where}.output must be a string or a list of parts", where)
    parts = [_part(part, f"{where}.output[{n}]") for n, part in enumerate(output)]
    texts = "\n".join(str(part["text"]) for part in parts if part["type"] == "text")
    others = [part for part in parts if part["type"] != "text"]
    shown: list[Table] = [{"role": "user", "content": others}] if others else []
    return [{**result, "content": texts}, *shown]


def _reasoning(item: Table) -> Table:
    """Reasoning as the upstream that said it reads it again."""
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    text = "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
    seal = item.get("encrypted_content")
    if isinstance(seal, str) and seal:
        extra = {"anthropic": {"signature": seal}}
        return {"reasoning": {"content": text}, "extra_content": extra}
    return {"reasoning_content": text} if text else {}


def _string(item: Table, name: str, where: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise RequestError(f"{where} needs a string {name!r}", f"{where}.{name}")
    return value
