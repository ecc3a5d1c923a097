"""The fake upstream's right answers in Anthropic's messages format."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import web

from emafusion.testing import chat
from emafusion.testing.chat import Body, Reply

OVERLOADED = "overloaded"
"""The model that is refused in Anthropic's own error shape: at once, or amid a stream."""

CACHING = "caching"
"""The model whose prompts are read from a cache and written to it; counted beside the input."""


async def answer(request: web.Request, body: Body, reply: Reply) -> web.StreamResponse:
    """The response to `body`, streamed where it asks for that."""
    if body.get("model") == OVERLOADED and not body.get("stream"):
        return failure(529, "overloaded_error", "Overloaded")
    messages = body.get("messages")
    text = reply(messages if isinstance(messages, list) else [])
    if body.get("stream"):
        return await _streamed(request, body, text)
    return web.json_response(_message(body, text, content=[{"type": "text", "text": text}]))


def failure(status: int, kind: str, message: str) -> web.Response:
    """An error in Anthropic's shape."""
    error = {"type": kind, "message": message}
    return web.json_response({"type": "error", "error": error}, status=status)


def _message(body: Body, text: str, *, content: list[dict[str, object]]) -> dict[str, object]:
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": content,
        "stop_reason": "end_turn" if content else None,
        "stop_sequence": None,
        "usage": _usage(body, text),
    }


async def _streamed(request: web.Request, body: Body, text: str) -> web.StreamResponse:
    response = await chat.event_stream(request)
    block = {"type": "text", "text": ""}
    events: list[dict[str, object]] = [
        {"type": "message_start", "message": _message(body, "", content=[])},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
    ]
    for token in chat.tokens(text):
        delta = {"type": "text_delta", "text": token}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    end: Mapping[str, object] = {"stop_reason": "end_turn", "stop_sequence": None}
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": _usage(body, text)},
        {"type": "message_stop"},
    ]
    if body.get("model") == OVERLOADED:
        error = {"type": "overloaded_error", "message": "Overloaded"}
        events[4:] = [{"type": "error", "error": error}]
    for event in events:
        data = json.dumps(event)
        await response.write(f"event: {event['type']}\ndata: {data}\n\n".encode())
    return response


def _usage(body: Body, text: str) -> dict[str, object]:
    counted = chat.usage(body, text)
    used: dict[str, object] = {
        "input_tokens": counted["prompt_tokens"],
        "output_tokens": counted["completion_tokens"],
    }
    if body.get("model") == CACHING:
        used |= {"cache_read_input_tokens": 700, "cache_creation_input_tokens": 300}
        used["cache_creation"] = {
            "ephemeral_5m_input_tokens": 100,
            "ephemeral_1h_input_tokens": 200,
        }
    return used
