"""Marks on a prompt's blocks: up to here a vendor shall keep it in its cache.

Knows two spellings. ``cache_control`` is the one that upstreams read. Marks that came in another
protocol than the chat's are carried in a block's ``extra_content`` until it is known who answers:
most upstreams refuse a field that they do not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from emafusion.types import Message, content_text

FIELD = "cache_control"
Block = Mapping[str, object]

_JOINTS = {"system": "\n\n", "assistant": "", "tool": "\n"}
"""What stands between the blocks of a message where it is one text again."""


def carried(mark: object) -> dict[str, object]:
    """The field that carries `mark` in a block."""
    return {"extra_content": {"anthropic": {FIELD: mark}}}


def spelt(messages: Sequence[Message], *, kept: bool) -> list[Message]:
    """`messages` with carried marks as upstreams read them, or, not `kept`, as if never marked."""
    return [_spelt(one, kept) if _carries(one) else one for one in messages]


def tools(given: object, *, kept: bool) -> object:
    """The tools of a request, their marks as :func:`spelt` has them."""
    if not isinstance(given, (list, tuple)):
        return given
    return [_block(tool, kept) for tool in given]


def unmarked(messages: Sequence[Message]) -> list[Message]:
    """`messages` without marks of either spelling: they move from turn to turn."""
    return [
        {**one, "content": [_without(part) for part in _parts(one)]} if _parts(one) else one
        for one in spelt(messages, kept=False)
    ]


def native(messages: Sequence[Message]) -> list[Message]:
    """`messages` as any-llm hands them on in Anthropic's format without losing their marks.

    It makes that format's blocks of tool calls, their results, pictures and files itself, and
    drops marks in doing so; blocks that have the format already it leaves alone.
    """
    if not any(_marked(one) for one in messages):
        return list(messages)
    system = [block for one in messages if one.get("role") == "system" for block in _blocks(one)]
    found: list[Message] = [{"role": "system", "content": system}] if system else []
    results: list[object] = []
    for one in messages:
        role = one.get("role")
        if role == "tool":
            if not results:
                found.append({"role": "user", "content": results})
            results.append(_result(one))
            continue
        results = []
        if role != "system":
            found.append(_native(one))
    return found


def native_tools(given: object) -> list[object] | None:
    """The tools of a request in Anthropic's format; ``None`` where none is marked."""
    offered = given if isinstance(given, (list, tuple)) else ()
    if not any(_mark(tool) is not None for tool in offered):
        return None
    return [_native_tool(tool) for tool in offered if isinstance(tool, Mapping)]


def _carried(block: object) -> bool:
    if not isinstance(block, Mapping) or "extra_content" not in block:
        return False
    extra = block["extra_content"]
    vendor = extra.get("anthropic") if isinstance(extra, Mapping) else None
    return isinstance(vendor, Mapping) and FIELD in vendor


def _mark(block: object) -> object:
    """The mark on `block` in either spelling; ``None`` where it has none."""
    if not isinstance(block, Mapping):
        return None
    if _carried(block):
        return block["extra_content"]["anthropic"][FIELD]
    return block.get(FIELD)


def _parts(message: Message) -> Sequence[object]:
    content = message.get("content")
    return content if isinstance(content, (list, tuple)) else ()


def _calls(message: Message) -> Sequence[object]:
    calls = message.get("tool_calls")
    return calls if isinstance(calls, (list, tuple)) else ()


def _carries(message: Message) -> bool:
    if isinstance(message.get("content"), str) and "tool_calls" not in message:
        return False  # nearly all of them, in every call
    return any(map(_carried, _parts(message))) or any(map(_carried, _calls(message)))


def _marked(message: Message) -> bool:
    blocks: Iterator[object] = iter((message, *_parts(message), *_calls(message)))
    return any(_mark(block) is not None for block in blocks)


def _without(block: object) -> object:
    """`block` without its mark."""
    if not isinstance(block, Mapping):
        return block
    gone = {FIELD, "extra_content"} if _carried(block) else {FIELD}
    return {name: value for name, value in block.items() if name not in gone}


def _block(block: object, kept: bool) -> object:
    """`block` with its carried mark as upstreams read it, if it is `kept`."""
    if not _carried(block):
        return block
    bare = _without(block)
    return {**bare, FIELD: _mark(block)} if kept and isinstance(bare, dict) else bare


def _spelt(message: Message, kept: bool) -> Message:
    changed: dict[str, object] = dict(message)
    if _parts(message):
        changed["content"] = [_block(part, kept) for part in _parts(message)]
        changed["content"] = changed["content"] if kept else _plain(changed)
    if _calls(message):
        # Nobody reads a mark on a call in this format.
        changed["tool_calls"] = [_block(call, kept=False) for call in _calls(message)]
    return changed


def _plain(message: Message) -> object:
    """A message's content as it is where nothing in it was ever marked."""
    parts, role = _parts(message), str(message.get("role"))
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    told = [text for text in texts if isinstance(text, str)]
    if len(told) < len(parts) or (len(parts) > 1 and role not in _JOINTS):
        return list(parts)
    return _JOINTS.get(role, "").join(told)


def _blocks(message: Message) -> list[object]:
    """A message's content as blocks of Anthropic's format; pictures without a mark as they are."""
    parts = _parts(message)
    if parts:
        return [_native_block(part) for part in parts]
    text = content_text(message)
    mark = _mark(message)
    return [{"type": "text", "text": text} | ({FIELD: mark} if mark else {})] if text else []


def _native_block(part: object) -> object:
    mark = _mark(part)
    if mark is None or not isinstance(part, Mapping):
        return part
    file, image = part.get("file"), part.get("image_url")
    if isinstance(image, Mapping):
        return {"type": "image", "source": _source(image.get("url")), FIELD: mark}
    if isinstance(file, Mapping):
        return {"type": "document", "source": _source(file.get("file_data")), FIELD: mark}
    return _block(part, kept=True)


def _source(address: object) -> dict[str, object]:
    """Where a picture's or a file's bytes are: here, or at an address."""
    head, _, data = str(address).partition(";base64,")
    if data and head.startswith("data:"):
        return {"type": "base64", "media_type": head.removeprefix("data:"), "data": data}
    return {"type": "url", "url": address}


def _result(message: Message) -> Block:
    """A tool's result; a mark on its text is the whole result's."""
    marks = [_mark(block) for block in (message, *_parts(message)) if _mark(block) is not None]
    content = message.get("content")
    return {
        "type": "tool_result",
        "tool_use_id": message.get("tool_call_id", ""),
        "content": [_without(part) for part in _parts(message)] or content,
    } | ({FIELD: marks[-1]} if marks else {})


def _native(message: Message) -> Message:
    calls = _calls(message)
    if not calls and not _marked(message):
        return message
    kept = {name: value for name, value in message.items() if name not in {"tool_calls", FIELD}}
    return {**kept, "content": [*_blocks(message), *map(_use, calls)]}


def _use(call: object) -> object:
    """A tool call as that format has it."""
    if not isinstance(call, Mapping) or not isinstance(call.get("function"), Mapping):
        return call
    told, mark = call["function"], _mark(call)
    try:
        given = msgspec.json.decode(told.get("arguments") or "{}")
    except (ValueError, RecursionError):
        given = None
    use = {"type": "tool_use", "id": call.get("id"), "name": told.get("name")}
    use["input"] = given if isinstance(given, dict) else {"arguments": told.get("arguments")}
    return use | ({FIELD: mark} if mark else {})


def _native_tool(tool: Block) -> dict[str, object]:
    function, mark = tool.get("function"), _mark(tool)
    told = function if isinstance(function, Mapping) else {}
    schema = told.get("parameters")
    found: dict[str, object] = {
        name: told[name] for name in ("name", "description", "strict") if name in told
    }
    empty = {"type": "object", "properties": {}}
    found["input_schema"] = {**empty, **(schema if isinstance(schema, Mapping) else {})}
    return found | ({FIELD: mark} if mark else {})
