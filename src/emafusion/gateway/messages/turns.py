"""A conversation of the messages protocol as the chat protocol has it.

Knows both protocols' messages and the blocks in them: texts, pictures, documents, tool calls, their
results and reasoning, and the marks on them that say what a cache shall keep.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from emafusion.errors import RequestError
from emafusion.providers.marks import FIELD, carried

Table: TypeAlias = dict[str, object]


def turns_of(
    system: str | Sequence[Table] | None, messages: Sequence[Table], *, thoughts: bool
) -> list[Table]:
    """The chat that `messages` and the `system` prompt amount to.

    With `thoughts`, earlier reasoning is handed on, which only the model it came from can read.

    Raises
    ------
    RequestError
        A block is malformed, or of a kind that no chat model reads.
    """
    found: list[Table] = []
    if system:
        found.append({"role": "system", "content": _system(system)})
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        role, content = message.get("role"), message.get("content")
        if role not in ("user", "assistant", "system"):
            raise RequestError(f"{where} has a role of 'user' or 'assistant'", where)
        if isinstance(content, str):
            found.append({"role": role, "content": content})
        elif not isinstance(content, list):
            raise RequestError(f"{where}.content must be a string or a list of blocks", where)
        elif role == "assistant":
            found.append(_assistant(_blocks(content, where), thoughts=thoughts))
        else:
            found.extend(_user(_blocks(content, where), str(role)))
    return found


Block: TypeAlias = tuple[Table, str]
"""A block and where in the body it is."""


def _blocks(content: Sequence[object], where: str) -> list[Block]:
    found = []
    for place, block in enumerate(content):
        here = f"{where}.content[{place}]"
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise RequestError(f"{here} must be a block with a type", here)
        found.append((block, here))
    return found


def marked(block: Table, where: str) -> Table:
    """The field for a block's mark that a cache shall keep the prompt up to it; else none."""
    mark = block.get(FIELD)
    if mark is None:
        return {}
    if not isinstance(mark, dict):
        raise RequestError(f"{where}.{FIELD} must be an object", f"{where}.{FIELD}")
    return carried(mark)


def _system(given: str | Sequence[Table]) -> object:
    text = _texts(given, "system")
    parts = [] if isinstance(given, str) else _text_parts(_blocks(given, "system"))
    return parts if _any_marked(parts) else text


def _text_parts(blocks: Sequence[Block]) -> list[Table]:
    return [
        {"type": "text", "text": _text(block, where)} | marked(block, where)
        for block, where in blocks
    ]


def _any_marked(parts: Sequence[Table]) -> bool:
    return any("extra_content" in part for part in parts)


def _assistant(blocks: Sequence[Block], *, thoughts: bool) -> Table:
    texts: list[Block] = []
    calls: list[Table] = []
    message: Table = {"role": "assistant"}
    for block, where in blocks:
        match block["type"]:
            case "text":
                texts.append((block, where))
            case "tool_use":
                calls.append(_call(block, where))
            case "thinking":
                message |= _thinking(block) if thoughts else {}
            case "redacted_thinking":
                pass  # sealed: nobody but its author's servers can read it
            case other:
                raise _unreadable(other, where)
    parts = _text_parts(texts)
    text = "".join(str(part["text"]) for part in parts)
    message["content"] = parts if _any_marked(parts) else text or (None if calls else "")
    return message | ({"tool_calls": calls} if calls else {})


def _call(block: Table, where: str) -> Table:
    name, given = block.get("name"), block.get("input", {})
    if not isinstance(name, str) or not isinstance(block.get("id"), str):
        raise RequestError(f"{where} needs an id and a name", where)
    arguments = msgspec.json.encode(given).decode()
    return {
        "id": block["id"],
        "type": "function",
        "function": {"name": name, "arguments": arguments},
        **marked(block, where),
    }


def _thinking(block: Table) -> Table:
    """Reasoning as the upstream that said it reads it again."""
    text, signature = block.get("thinking"), block.get("signature")
    if not isinstance(text, str):
        return {}
    if not signature:
        return {"reasoning_content": text}
    return {
        "reasoning": {"content": text},
        "extra_content": {"anthropic": {"signature": signature}},
    }


def _user(blocks: Sequence[Block], role: str) -> Iterator[Table]:
    """Tool results, each a message of its own, and then what the user says to them."""
    parts: list[Table] = []
    for block, where in blocks:
        if block["type"] != "tool_result":
            parts.append(_part(block, where))
            continue
        if not isinstance(block.get("tool_use_id"), str):
            raise RequestError(f"{where} needs a tool_use_id", where)
        content, others = _result(block, where)
        yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": content}
        parts.extend(others)
    if not parts:
        return
    if len(parts) == 1 and parts[0]["type"] == "text" and not _any_marked(parts):
        yield {"role": role, "content": parts[0]["text"]}
    else:
        yield {"role": role, "content": parts}


def _result(block: Table, where: str) -> tuple[object, list[Table]]:
    """A tool's result as text, and what of it is no text: that the user shows in its stead."""
    content = block.get("content") or ""
    failed = "Error: " if block.get("is_error") is True else ""
    if not isinstance(content, (str, list)):
        raise RequestError(f"{where}.content must be a string or a list of blocks", where)
    inner = [] if isinstance(content, str) else _blocks(content, where)
    parts = [_part(one, here) for one, here in inner]
    told = [part for part in parts if part["type"] == "text"]
    text = content if isinstance(content, str) else "\n".join(str(one["text"]) for one in told)
    # A mark within the result is as good as one on it.
    marks = [marked(one, here) for one, here in [*inner, (block, where)]]
    mark = next(filter(None, reversed(marks)), None)
    whole: object = failed + text
    return (
        whole if mark is None else [{"type": "text", "text": whole, **mark}],
        [part for part in parts if part["type"] != "text"],
    )


def _part(block: Table, where: str) -> Table:
    return _unmarked_part(block, where) | marked(block, where)


def _unmarked_part(block: Table, where: str) -> Table:
    match block["type"]:
        case "text":
            return {"type": "text", "text": _text(block, where)}
        case "image":
            return {"type": "image_url", "image_url": {"url": _address(block, where)}}
        case "document":
            return _document(block, where)
        case "search_result":
            said = _texts(block.get("content"), f"{where}.content")
            return _framed("search_result", block, said)
        case other:
            raise _unreadable(other, where)


def _document(block: Table, where: str) -> Table:
    source = block.get("source")
    kind = source.get("type") if isinstance(source, dict) else None
    if isinstance(source, dict) and kind == "text" and isinstance(source.get("data"), str):
        return _framed("document", block, source["data"])
    if isinstance(source, dict) and kind == "content":
        content = source.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        return _framed("document", block, _texts(blocks, f"{where}.source.content"))
    if kind == "url":
        raise RequestError(f"{where}: send a document's bytes (base64), not its address", where)
    title = block.get("title")
    name = title if isinstance(title, str) and title else "document.pdf"
    return {"type": "file", "file": {"filename": name, "file_data": _address(block, where)}}


def _framed(name: str, block: Table, said: str) -> Table:
    """A part with `said` between marks, by which all can tell that its sender did not write it."""
    told = (block.get(key) for key in ("title", "source", "context"))
    heads = "".join(f"{one}\n" for one in told if isinstance(one, str) and one)
    return {"type": "text", "text": f"<{name}>\n{heads}{said}\n</{name}>"}


def _address(block: Table, where: str) -> str:
    """The address of a picture or document, or its bytes in the form of one."""
    source = block.get("source")
    if isinstance(source, dict):
        data, kind = source.get("data"), source.get("media_type")
        if source.get("type") == "url" and isinstance(source.get("url"), str):
            return str(source["url"])
        if source.get("type") == "base64" and isinstance(data, str) and isinstance(kind, str):
            return f"data:{kind};base64,{data}"
    raise RequestError(f"{where} needs a source: base64 with a media_type, or a url", where)


def _texts(blocks: object, where: str) -> str:
    if isinstance(blocks, str):
        return blocks
    if not isinstance(blocks, list):
        raise RequestError(f"{where} must be a string or a list of blocks", where)
    return "\n\n".join(_text(block, here) for block, here in _blocks(blocks, where))


def _text(block: Table, where: str) -> str:
    text = block.get("text")
    if not isinstance(text, str):
        raise RequestError(f"{where} must be a block of text", where)
    return text


def _unreadable(kind: object, where: str) -> RequestError:
    return RequestError(
        f"{where} is of type {str(kind)[:60]!r}, which models of other vendors cannot read", where
    )
