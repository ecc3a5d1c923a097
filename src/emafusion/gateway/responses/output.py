"""An answer as the responses protocol's object, and its items one by one.

Knows that protocol's response and its items; not how they are streamed.
"""

from __future__ import annotations

from collections.abc import Mapping

from emafusion.gateway.pieces import REASONING, Blocks, Said
from emafusion.gateway.replies import account, choices_of
from emafusion.gateway.responses.asked import ResponsesAsked
from emafusion.types import Answer, Completion, Usage

_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}
_PREFIX = "resp_"


def response_id(decision_id: str) -> str:
    """The response's identifier: the decision's, under this protocol's prefix."""
    return _PREFIX + decision_id.removeprefix("dec_")


def begun(asked: ResponsesAsked, created: float, model: str) -> dict[str, object]:
    """A response of which nothing is known but what was asked."""
    return {
        "id": response_id(asked.request.id),
        "object": "response",
        "created_at": int(created),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "usage": None,
        **asked.echo,
    }


def completed(asked: ResponsesAsked, answer: Answer) -> dict[str, object]:
    """The whole response."""
    completion = answer.completion
    output: list[dict[str, object]] = []
    for step in Blocks(answer.model).rest(completion):
        if step.act == "begin":
            output.append(item_of(step.said, asked.request.id, len(output)))
        elif step.act == "add":
            extend(output[-1], step.said)
        else:
            finish(output[-1])
    return {**begun(asked, answer.outcome.created, answer.model), **ending(answer, output)}


def ending(answer: Answer, output: object) -> dict[str, object]:
    """The fields that are known at the end."""
    reason = _CUT.get(answer.completion.finish_reason)
    return {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "model": answer.model,
        "output": output,
        "usage": usage_body(answer.completion.usage),
        "emafusion": account(answer),
    }


def item_of(said: Said, decision_id: str, place: int) -> dict[str, object]:
    """The item that begins with `said`, with nothing in it yet."""
    name = f"{decision_id.removeprefix('dec_')}{place:02d}"
    if said.kind == "call":
        return {
            "id": f"fc_{name}",
            "type": "function_call",
            "status": "in_progress",
            "call_id": said.id,
            "name": said.name,
            "arguments": "",
        }
    if said.kind in {"reasoning", "signature"}:
        return {
            "id": f"rs_{name}",
            "type": "reasoning",
            "status": "in_progress",
            "summary": [],
            "content": [],
        }
    message = {"id": f"msg_{name}", "type": "message", "status": "in_progress"}
    return {**message, "role": "assistant", "content": []}


def part_of(said: Said) -> dict[str, object]:
    """The part of an item that `said` is, with nothing in it yet."""
    if said.kind == "text":
        return {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    if said.kind == "refusal":
        return {"type": "refusal", "refusal": ""}
    return {"type": "reasoning_text", "text": ""}


def extend(item: dict[str, object], said: Said) -> None:
    """Add what was `said` to `item`."""
    if said.kind == "call":
        item["arguments"] = f"{item['arguments']}{said.text}"
        return
    if said.kind == "signature":
        item["encrypted_content"] = f"{item.get('encrypted_content', '')}{said.text}"
        return
    content = item["content"]
    if isinstance(content, list):
        if not content:
            content.append(part_of(said))
        name = "refusal" if said.kind == "refusal" else "text"
        content[0][name] += said.text
        if said.kind == "text":
            content[0]["logprobs"].extend(said.logprobs)


def finish(item: dict[str, object]) -> None:
    """Nothing more comes for `item`."""
    item["status"] = "completed"


def usage_body(usage: Usage) -> dict[str, object]:
    """`usage` as this protocol spells it."""
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    kept = {"cache_write_tokens": written} if written else {}
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, **kept},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def turn_of(completion: Completion, *, thoughts: bool) -> dict[str, object]:
    """The answer as the chat's next turn; with `thoughts`, with its upstream's reasoning too."""
    message: dict[str, object] = {"role": "assistant", "content": completion.text}
    if completion.tool_calls:
        message |= {"content": completion.text or None, "tool_calls": list(completion.tool_calls)}
    choices = choices_of(completion.raw or {})
    told = choices[0].get("message") if choices and thoughts else None
    if isinstance(told, Mapping):
        message |= {name: told[name] for name in REASONING if told.get(name)}
    return message
