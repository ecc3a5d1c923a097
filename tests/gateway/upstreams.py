"""What an upstream of the OpenAI protocol says, with fields nobody here has heard of."""

from __future__ import annotations

from typing import Any

_TOKEN = {"token": "Hi", "logprob": -0.25, "bytes": [72, 105], "top_logprobs": []}
_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "watts": 3}

BODY: dict[str, Any] = {
    "id": "cmpl-upstream",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "upstream-name-2025-01-01",
    "system_fingerprint": "fp_1",
    "novelty": {"kept": True},
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi", "mood": "bright"},
            "logprobs": {"content": [_TOKEN]},
            "finish_reason": "length",
        },
        {
            "index": 1,
            "message": {"role": "assistant", "content": "Ho"},
            "finish_reason": "stop",
        },
    ],
    "usage": _USAGE,
}


def chunk(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """One of an upstream's stream events."""
    return {
        "id": "cmpl-upstream",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "upstream-name-2025-01-01",
        "system_fingerprint": "fp_1",
        "choices": list(choices),
        **fields,
    }


def piece(delta: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """One choice of a stream event."""
    return {"index": 0, "delta": delta, "finish_reason": None, **fields}


CHUNKS = [
    chunk(piece({"role": "assistant", "content": ""})),
    chunk(piece({"content": "Hi"}, logprobs={"content": [_TOKEN]}), novelty=1),
    chunk(piece({"mood": "bright"})),
    chunk(piece({}, finish_reason="length")),
    chunk(usage=_USAGE),
]

CALLS: list[Any] = [
    {"id": "call_a", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
    {"id": "call_b", "type": "function", "function": {"name": "sub", "arguments": '{"b": 2}'}},
]

TOOL_BODY: dict[str, Any] = {
    **BODY,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": None, "tool_calls": CALLS},
            "finish_reason": "tool_calls",
        }
    ],
}


def _call(index: int, arguments: str, **fields: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **fields.pop("function", {})}
    return {"tool_calls": [{"index": index, "function": function, **fields}]}


TOOL_CHUNKS = [
    chunk(piece({"role": "assistant", "content": None})),
    chunk(piece(_call(0, "", id="call_a", type="function", function={"name": "add"}))),
    chunk(piece(_call(0, '{"a"'))),
    chunk(piece(_call(0, ": 1}"))),
    chunk(piece(_call(1, '{"b": 2}', id="call_b", type="function", function={"name": "sub"}))),
    chunk(piece({}, finish_reason="tool_calls")),
    chunk(usage=_USAGE),
]

_SEAL = {"extra_content": {"anthropic": {"signature": "seal"}}}

THINKING_BODY: dict[str, Any] = {
    **BODY,
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Paris.",
                "reasoning": {"content": "Hm."},
                **_SEAL,
            },
            "finish_reason": "stop",
        }
    ],
}

THINKING_CHUNKS = [
    chunk(piece({"role": "assistant", "reasoning": {"content": ""}})),
    chunk(piece({"reasoning": {"content": "Hm."}})),
    chunk(piece(_SEAL)),
    chunk(piece({"content": "Paris."})),
    chunk(piece({}, finish_reason="stop")),
    chunk(usage=_USAGE),
]

WEAVING_CHUNKS = [
    chunk(piece(_call(0, "{", id="call_a", type="function", function={"name": "add"}))),
    chunk(piece(_call(1, "{", id="call_b", type="function", function={"name": "sub"}))),
    chunk(piece(_call(0, "}"))),
    chunk(piece(_call(1, "}"))),
    chunk(piece({}, finish_reason="tool_calls")),
]

EVERYTHING_CHUNKS = [
    chunk(piece({"role": "assistant", "content": ""})),
    chunk(piece({"reasoning_content": "Hm "})),
    chunk(piece({"reasoning_content": "so."})),
    chunk(piece({"content": "A"}, logprobs={"content": [_TOKEN]})),
    chunk(piece({"refusal": "No."})),
    *TOOL_CHUNKS[1:],
]
"""Reasoning, a text with its log-probabilities, a refusal, and two calls."""
