"""An :class:`~emafusion.types.Answer` as the chat protocol's response: its body and its headers.

Knows the protocol's response. What an upstream sent beyond that is kept as it came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from emafusion.execute.parts import shown
from emafusion.providers.wire import is_table
from emafusion.types import Answer, Completion, Piece, Plan, Usage


def encode(value: object) -> bytes:
    """`value` as JSON; half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_whole(value))


def completion_body(answer: Answer, *, direct: bool) -> dict[str, object]:
    """The response body for `answer`.

    A model that was asked by name speaks for itself: its upstream's body, with the catalog's name
    for it. An answer we chose has our identifier and the name of the model that gave it.
    """
    completion = answer.completion
    raw = completion.raw or {}
    ours: dict[str, object] = {
        "id": answer.decision_id,
        "object": "chat.completion",
        "created": int(answer.outcome.created),
    }
    body = {**ours, **raw} if direct else {**raw, **ours}
    if not direct:
        body.pop("system_fingerprint", None)
    body["model"] = answer.model
    if not choices_of(raw):
        body["choices"] = [choice_of(completion)]
    if not isinstance(raw.get("usage"), Mapping):
        body["usage"] = usage_body(completion.usage)
    body["emafusion"] = account(answer)
    return body


def choices_of(raw: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    """The choices in an upstream's body or chunk; empty where it has none that can be read."""
    choices = raw.get("choices")
    if not isinstance(choices, (list, tuple)):
        return ()
    return [choice for choice in choices if is_table(choice)]


def choice_of(completion: Completion) -> dict[str, object]:
    """The one choice of a completion whose provider speaks another wire format."""
    message: dict[str, object] = {"role": "assistant", "content": completion.text}
    if completion.tool_calls:
        message["tool_calls"] = completion.tool_calls
        message["content"] = completion.text or None
    return {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": completion.finish_reason,
    }


def usage_body(usage: Usage) -> dict[str, object]:
    """`usage` as the protocol spells it."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def account(answer: Answer) -> dict[str, object]:
    """What was done for `answer`, all calls included: the body's ``emafusion`` field."""
    asked = dict.fromkeys(step.model for step in answer.outcome.steps)
    found: dict[str, object] = {
        "decision_id": answer.decision_id,
        "model": answer.model,
        "confidence": answer.confidence,
        "cost_usd": answer.cost_usd,
        "latency_s": answer.latency_s,
        "plan": planned(answer.plan),
        "models": list(asked),
    }
    if answer.outcome.parts:
        found["parts"] = [_part(piece) for piece in answer.outcome.parts]
    return found


def _part(piece: Piece) -> dict[str, object]:
    """What became of one part of a composite prompt; ``error`` is null where it was answered."""
    return {
        "label": shown(piece.label),
        "model": piece.model or None,
        "confidence": piece.confidence,
        "error": piece.error,
    }


def planned(plan: Plan) -> str:
    """The plan's arrangement in words."""
    return str(plan.arrangement)


def headers_of(answer: Answer) -> dict[str, str]:
    """What was done for `answer`, in brief."""
    found = {
        **decided(answer.decision_id),
        "x-emafusion-model": header_value(answer.model),
        "x-emafusion-confidence": f"{answer.confidence:.4f}",
        "x-emafusion-cost-usd": f"{answer.cost_usd:.9f}",
        "x-emafusion-plan": header_value(planned(answer.plan)),
        "x-emafusion-latency-ms": f"{1000 * answer.latency_s:.1f}",
    }
    failed = sum(piece.error is not None for piece in answer.outcome.parts)
    if failed:
        found["x-emafusion-failed-parts"] = str(failed)
    return found


def decided(decision_id: str) -> dict[str, str]:
    """The headers that name a decision: ours, and those in which OpenAI's and Anthropic's look."""
    return dict.fromkeys(("x-emafusion-decision", "x-request-id", "request-id"), decision_id)


def header_value(text: str) -> str:
    """`text` as a header can carry it: one line of Latin-1, at most 1,000 characters of it."""
    plain = text.replace("→", "->")[:1000]
    if plain.isascii() and plain.isprintable():
        return plain
    return "".join(c if c.isprintable() and c <= "\xff" else "?" for c in plain)


def _whole(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {str(_whole(key)): _whole(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole(item) for item in value]
    return value
