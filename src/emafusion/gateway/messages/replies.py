"""An answer as the messages protocol has it, whole or as a stream of its events.

Knows that protocol's message, its blocks, and the order of its events: the message, its blocks one
after another (begin, pieces, end), what ended it, its end.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from emafusion.errors import EmafusionError
from emafusion.gateway.body import named
from emafusion.gateway.faults import Fault, fault_of
from emafusion.gateway.messages.asked import MessagesAsked
from emafusion.gateway.pieces import Blocks, Said, Step, said_by, said_in
from emafusion.gateway.replies import account, choices_of, encode
from emafusion.gateway.stream import COMMENT, progress
from emafusion.types import Answer, Chunk, Usage

_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_BLOCKS = {"text": "text", "refusal": "text", "reasoning": "thinking", "signature": "thinking"}
_EMPTY: dict[str, dict[str, object]] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}
_DELTAS = {
    "text": ("text_delta", "text"),
    "refusal": ("text_delta", "text"),
    "reasoning": ("thinking_delta", "thinking"),
    "signature": ("signature_delta", "signature"),
    "call": ("input_json_delta", "partial_json"),
}


def message_body(asked: MessagesAsked, answer: Answer) -> dict[str, object]:
    """The whole response."""
    content: list[dict[str, object]] = []
    for said in said_by(answer.completion):
        if said.kind == "call":
            content.append(_tool_use(said) | {"input": _given(said.text)})
            continue
        kind, field = _BLOCKS[said.kind], _DELTAS[said.kind][1]
        if not content or content[-1]["type"] != kind:
            content.append(dict(_EMPTY[kind]))
        content[-1][field] = str(content[-1][field]) + said.text
    return {
        **_head(answer.decision_id, answer.model),
        "content": content,
        **_ending(asked, answer),
        "usage": _usage(answer.completion.usage),
        "emafusion": account(answer),
    }


class Events:
    """One stream's events."""

    def __init__(self, asked: MessagesAsked) -> None:
        self._asked = asked
        self._model = named(asked)
        self._blocks = Blocks(self._model)
        self._begun = False
        self._index = -1

    def of(self, chunk: Chunk) -> bytes:
        """The events that `chunk` lets out, perhaps none yet."""
        if chunk.done is not None:
            return progress(chunk.done)
        return b"".join(map(self._told, self._blocks.take(said_in(chunk))))

    def last(self, answer: Answer) -> bytes:
        """The events that end the stream."""
        events = b"".join(map(self._told, self._blocks.rest(answer.completion)))
        delta = {
            "type": "message_delta",
            "delta": _ending(self._asked, answer),
            "usage": _usage(answer.completion.usage),
            "emafusion": account(answer),
        }
        return events + self._introduction() + _event(delta) + _event({"type": "message_stop"})

    def failed(self, failure: EmafusionError | Fault) -> bytes:
        """The event that tells a caller to whom we have spoken already."""
        fault = failure if isinstance(failure, Fault) else fault_of(failure)
        return _event(fault.message_body)

    def beat(self) -> bytes:
        """The protocol's own sign of life, once there is a message; until then a comment."""
        return _event({"type": "ping"}) if self._begun else COMMENT

    def _told(self, step: Step) -> bytes:
        """The event for one step of a block."""
        said = step.said
        if step.act == "end":
            return _event({"type": "content_block_stop", "index": self._index})
        if step.act == "begin":
            self._index += 1
            block = _tool_use(said) if said.kind == "call" else _EMPTY[_BLOCKS[said.kind]]
            body = {"type": "content_block_start", "index": self._index, "content_block": block}
            return self._introduction() + _event(body)
        kind, field = _DELTAS[said.kind]
        delta = {"type": kind, field: said.text}
        return _event({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _introduction(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        nothing = {"stop_reason": None, "stop_sequence": None, "usage": _usage(Usage())}
        message = {**_head(self._asked.request.id, self._model), "content": [], **nothing}
        return _event({"type": "message_start", "message": message}) + _event({"type": "ping"})


def _tool_use(said: Said) -> dict[str, object]:
    return {"type": "tool_use", "id": said.id, "name": said.name, "input": {}}


def _head(decision_id: str, model: str) -> dict[str, object]:
    return {"id": decision_id, "type": "message", "role": "assistant", "model": model}


def _ending(asked: MessagesAsked, answer: Answer) -> dict[str, object]:
    """Why the answer ended, and at which of the caller's sequences where the upstream tells."""
    choices = choices_of(answer.completion.raw or {})
    told = choices[0].get("stop_reason") if choices else None
    reason = _REASONS.get(answer.completion.finish_reason, "end_turn")
    if answer.completion.tool_calls and reason == "end_turn":
        reason = "tool_use"  # some upstreams say that they just stopped
    if isinstance(told, str) and told in asked.stops and reason == "end_turn":
        return {"stop_reason": "stop_sequence", "stop_sequence": told}
    return {"stop_reason": reason, "stop_sequence": None}


def _usage(usage: Usage) -> dict[str, object]:
    """Tokens as this protocol counts them: what a cache held or took is not among the input's."""
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    return {
        "input_tokens": usage.prompt_tokens
        - min(usage.cached_tokens + written, usage.prompt_tokens),
        "cache_creation_input_tokens": written,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }


def _given(arguments: str) -> object:
    """A call's arguments; where a model wrote no JSON object, its words under one name."""
    try:
        given = msgspec.json.decode(arguments or "{}")
    except (ValueError, RecursionError):
        given = None
    return given if isinstance(given, dict) else {"arguments": arguments}


def _event(body: Mapping[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(body["type"]).encode(), encode(body))
