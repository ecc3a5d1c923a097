"""An engine's chunks as the chat protocol's events (server-sent, one JSON object each).

Knows the order clients rely on: a choice's role, its content, its finish, then the usage where it
was asked for, then the end. Chunks that carry their upstream's own event are handed on whole, and
as they are where the caller named the model. The event that finishes is held until the engine has
recorded the outcome, and tells what it cost. That a part of a composite prompt is done before its
turn is told in a comment.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from emafusion.errors import EmafusionError
from emafusion.gateway.body import Asked, named
from emafusion.gateway.faults import Fault, fault_of
from emafusion.gateway.replies import account, choice_of, choices_of, encode, usage_body
from emafusion.gateway.stream import COMMENT, progress
from emafusion.types import Answer, Chunk

DONE = b"data: [DONE]\n\n"


class Events:
    """One stream's events, made of what the engine yields for `asked`."""

    def __init__(self, asked: Asked) -> None:
        self._direct = asked.direct
        self._include_usage = asked.include_usage
        self._head: dict[str, object] = {
            "id": asked.request.id,
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": named(asked),
        }
        self._introduced: set[int] = set()
        self._finished = False
        self._held: list[dict[str, object]] = []
        self._used: dict[str, object] = {}

    def of(self, chunk: Chunk) -> bytes:
        """The events that `chunk` lets out, perhaps none yet."""
        if chunk.done is not None:
            return progress(chunk.done)
        raw = chunk.raw or {}
        choices = choices_of(raw)
        if choices:
            return self._passed(raw, choices)
        self._note_usage(raw)
        if self._direct and "choices" in raw and "usage" not in raw:
            # Some vendors begin so: what they have to say of the prompt.
            return _event(self._body(raw, ()))
        events = b""
        if chunk.text:
            events = self._passed({}, [{"index": 0, "delta": {"content": chunk.text}}])
        if chunk.finish_reason and not self._finished:
            end = {"index": 0, "delta": {}, "finish_reason": chunk.finish_reason}
            events += self._passed({}, [end])
        return events

    def last(self, answer: Answer) -> bytes:
        """The events that end the stream."""
        events = b"" if self._finished else self._unstreamed(answer)
        if self._include_usage:
            usage = usage_body(answer.completion.usage)
            used = self._body(self._used, [])
            self._held.append({**used, "usage": self._used.get("usage") or usage})
        end = self._held[-1]
        end["emafusion"] = account(answer)
        if not self._direct:
            end["model"] = answer.model
        return events + b"".join(map(_event, self._held)) + DONE

    def beat(self) -> bytes:
        """A comment: the protocol has no event for it."""
        return COMMENT

    def failed(self, failure: EmafusionError | Fault) -> bytes:
        """The event that tells a caller to whom we have spoken already."""
        fault = failure if isinstance(failure, Fault) else fault_of(failure)
        return _event(fault.body)

    def _passed(self, raw: Mapping[str, object], choices: Sequence[Mapping[str, object]]) -> bytes:
        """The upstream's own event, led by each choice's role."""
        events = b""
        for choice in choices:
            events += self._introduction(choice)
        self._note_usage(raw)
        if any(choice.get("finish_reason") for choice in choices):
            self._finished = True
            self._held.append(self._body(raw, choices))
            return events
        return events + _event(self._body(raw, choices))

    def _note_usage(self, raw: Mapping[str, object]) -> None:
        if isinstance(raw.get("usage"), Mapping):
            self._used = dict(raw)

    def _introduction(self, choice: Mapping[str, object]) -> bytes:
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        if index in self._introduced:
            return b""
        self._introduced.add(index)
        delta = choice.get("delta")
        if isinstance(delta, Mapping) and delta.get("role"):
            return b""
        first = {"index": index, "delta": {"role": "assistant", "content": ""}}
        return _event(self._body({}, [first]))

    def _body(
        self, raw: Mapping[str, object], choices: Sequence[Mapping[str, object]]
    ) -> dict[str, object]:
        head = self._head
        body = {**head, **raw, "model": head["model"]} if self._direct else {**raw, **head}
        body["choices"] = choices if raw and self._direct else [_formal(each) for each in choices]
        body.pop("usage", None)
        if self._include_usage:
            body["usage"] = None
        return body

    def _unstreamed(self, answer: Answer) -> bytes:
        """What a judged draft holds beyond the text that the engine has yielded of it."""
        choices = choices_of(answer.completion.raw or {}) or [choice_of(answer.completion)]
        events = b""
        for index, choice in enumerate(choices):
            message = choice.get("message")
            delta = dict(message) if isinstance(message, Mapping) else {}
            told = {"role", "content"} if index == 0 else {"role"}
            delta = {name: value for name, value in delta.items() if name not in told and value}
            if "tool_calls" in delta:
                delta["tool_calls"] = _numbered(delta["tool_calls"])
            piece: dict[str, object] = {"index": index, "delta": delta}
            if choice.get("logprobs"):
                piece["logprobs"] = choice["logprobs"]
            if delta or "logprobs" in piece:
                events += self._passed({}, [piece])
            reason = choice.get("finish_reason") or answer.completion.finish_reason
            events += self._passed({}, [{"index": index, "delta": {}, "finish_reason": reason}])
        return events


def _formal(choice: Mapping[str, object]) -> Mapping[str, object]:
    """`choice` with the field that the protocol never leaves out."""
    return choice if "finish_reason" in choice else {**choice, "finish_reason": None}


def _numbered(calls: object) -> list[object]:
    """A whole message's tool calls as a delta has them: each with its position."""
    if not isinstance(calls, (list, tuple)):
        return []
    return [
        {"index": index, **call} if isinstance(call, Mapping) else call
        for index, call in enumerate(calls)
    ]


def _event(body: Mapping[str, object]) -> bytes:
    return b"data: " + encode(body) + b"\n\n"
