"""The fake upstream's right answers in the OpenAI chat format."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from aiohttp import web

from emafusion.types import content_text

Body: TypeAlias = Mapping[str, object]
Reply: TypeAlias = Callable[[list[Mapping[str, object]]], str]
Answerer: TypeAlias = Callable[[web.Request, Body, Reply], Awaitable[web.StreamResponse]]

LOGPROB = -0.25


def echo(messages: list[Mapping[str, object]]) -> str:
    """The last message's text, said back."""
    return f"echo: {content_text(messages[-1])}" if messages else "echo"


async def answer(request: web.Request, body: Body, reply: Reply) -> web.StreamResponse:
    """The response to `body`, streamed where it asks for that."""
    if body.get("stream"):
        return await streamed(request, events(body, reply))
    return web.json_response(completion(body, reply))


def completion(body: Body, reply: Reply) -> dict[str, object]:
    """The whole answer to `body`: tools are called with the question, log-probabilities told."""
    text = reply(_messages(body))
    message: dict[str, object] = {"role": "assistant", "content": text}
    choice: dict[str, object] = {"index": 0, "message": message, "finish_reason": "stop"}
    tools = _tool_calls(body, text)
    if tools:
        message |= {"content": None, "tool_calls": tools}
        choice["finish_reason"] = "tool_calls"
    if body.get("logprobs"):
        choice["logprobs"] = {"content": [_logprob(token) for token in tokens(text)]}
    return {**_head(body, "chat.completion"), "choices": [choice], "usage": usage(body, text)}


def events(body: Body, reply: Reply) -> list[str]:
    """The data of the events that stream the answer to `body`, ``[DONE]`` included."""
    text = reply(_messages(body))
    tools = _tool_calls(body, text)
    deltas: list[dict[str, object]] = [{"delta": {"role": "assistant", "content": ""}}]
    if tools:
        deltas.append({"delta": {"tool_calls": [{"index": 0, **tools[0]}]}})
    for token in () if tools else tokens(text):
        delta: dict[str, object] = {"delta": {"content": token}}
        if body.get("logprobs"):
            delta["logprobs"] = {"content": [_logprob(token)]}
        deltas.append(delta)
    head = _head(body, "chat.completion.chunk")
    bodies = [
        {**head, "choices": [{"index": 0, "finish_reason": None, **delta}]} for delta in deltas
    ]
    reason = "tool_calls" if tools else "stop"
    bodies.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    options = body.get("stream_options")
    if isinstance(options, Mapping) and options.get("include_usage"):
        bodies.append({**head, "choices": [], "usage": usage(body, text)})
    return [*(json.dumps(event, ensure_ascii=False) for event in bodies), "[DONE]"]


async def streamed(request: web.Request, data: list[str]) -> web.StreamResponse:
    """`data` as server-sent events."""
    response = await event_stream(request)
    for event in data:
        await response.write(f"data: {event}\n\n".encode())
    await response.write_eof()
    return response


async def event_stream(request: web.Request) -> web.StreamResponse:
    """An event stream, begun."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    return response


def failure(status: int, message: str, **headers: str) -> web.Response:
    """An error in the OpenAI shape."""
    error = {"message": message, "type": "error", "param": None, "code": None}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response({"error": error}, status=status, headers=named)


def usage(body: Body, text: str) -> dict[str, object]:
    """Tokens, counted as words."""
    prompt = sum(len(content_text(message).split()) + 1 for message in _messages(body))
    completion = len(tokens(text))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _head(body: Body, kind: str) -> dict[str, object]:
    # The unknown field stands for what vendors add: it must survive.
    return {
        "id": "chatcmpl-fake",
        "object": kind,
        "created": 1,
        "model": body.get("model"),
        "vendor_field": {"kept": True},
    }


def _messages(body: Body) -> list[Mapping[str, object]]:
    messages = body.get("messages")
    return messages if isinstance(messages, list) else []


def tokens(text: str) -> list[str]:
    """Words, each with the space before it."""
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


def _logprob(token: str) -> dict[str, object]:
    return {"token": token, "logprob": LOGPROB, "bytes": list(token.encode()), "top_logprobs": []}


def _tool_calls(body: Body, text: str) -> list[dict[str, object]]:
    tools = body.get("tools")
    if not isinstance(tools, list) or not tools:
        return []
    function = {"name": tools[0]["function"]["name"], "arguments": json.dumps({"text": text})}
    return [{"id": "call_1", "type": "function", "function": function}]
