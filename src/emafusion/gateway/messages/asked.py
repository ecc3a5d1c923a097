"""From a body of the messages protocol to an engine's request.

Knows that protocol's fields, and what each is called in the chat protocol. What has no counterpart
there is refused by name, never dropped, unless it only tunes how a vendor serves it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from emafusion.client import checked, identifier
from emafusion.errors import RequestError
from emafusion.gateway.body import Asked, addressed, json_of, offered, typed
from emafusion.gateway.callers import Caller
from emafusion.gateway.exchange import signed
from emafusion.gateway.messages.turns import Table, marked, turns_of
from emafusion.providers.marks import FIELD
from emafusion.providers.wire import THINKING
from emafusion.types import Message, Request

_SAME = ("temperature", "top_p", "top_k")
_READ = frozenset(
    {
        "model",
        "messages",
        "system",
        "max_tokens",
        "stream",
        "stop_sequences",
        "tools",
        "tool_choice",
        "metadata",
        "thinking",
        "output_config",
        "output_format",
        "service_tier",
        "cache_control",
        "inference_geo",
        "emafusion",
        *_SAME,
    }
)
_FOREIGN = ("container", "mcp_servers", "context_management", "fallbacks")
"""What only Anthropic's own servers can do."""


class MessagesAsked(Asked, frozen=True, kw_only=True):
    """What a body asks for, and the sequences it wants the answer to stop at."""

    stops: tuple[str, ...] = ()


class Prompt(Struct, frozen=True, kw_only=True):
    """The fields that make the prompt, and the model it is for."""

    model: str
    messages: list[Table]
    system: str | list[Table] | None = None
    tools: list[Table] | None = None
    tool_choice: Table | None = None
    cache_control: Table | None = None
    emafusion: dict[str, object] | None = None


class _Metadata(Struct, frozen=True, kw_only=True):
    user_id: str | None = None


class _Config(Struct, frozen=True, kw_only=True):
    effort: str | None = None
    format: Table | None = None


class _Thinking(Struct, frozen=True, kw_only=True):
    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Annotated[int, Meta(ge=1)] | None = None


class _Fields(Prompt, frozen=True, kw_only=True):
    """A whole body."""

    max_tokens: Annotated[int, Meta(ge=1)]
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: _Metadata | None = None
    thinking: _Thinking | None = None
    output_config: _Config | None = None
    output_format: Table | None = None


def parse(data: bytes, models: Collection[str], caller: Caller) -> MessagesAsked:
    """What `data`, sent by `caller`, asks of `models`.

    Raises
    ------
    RequestError
        It is no request of this protocol, or has no counterpart; the message names the field.
    UnknownModelError
        It names a model that the catalog does not have.
    """
    body = json_of(data)
    fields = typed(body, _Fields)
    knobs, direct = addressed(fields.model, fields.emafusion, models)
    user = fields.metadata.user_id if fields.metadata else None
    request = Request(
        id=identifier(),
        messages=conversation(fields, direct=direct),
        params=_params(body, fields, direct=direct),
        knobs=knobs,
        caller=signed(caller, user or ""),
    )
    return MessagesAsked(
        request=request,
        direct=direct,
        stream=bool(fields.stream),
        stops=tuple(fields.stop_sequences or ()),
    )


def conversation(prompt: Prompt, *, direct: bool) -> tuple[Message, ...]:
    """The prompt as a chat; `direct` where the caller named who answers, who may read reasoning."""
    messages = prompt.messages
    if prompt.cache_control is not None and messages:
        messages = [*messages[:-1], _ending_marked(messages[-1], prompt.cache_control)]
    return checked(turns_of(prompt.system, messages, thoughts=direct))


def _ending_marked(message: Table, mark: Table) -> Table:
    """`message` with `mark` on its last block: what a mark on the whole body stands for."""
    content = message.get("content")
    blocks: list[object] = [{"type": "text", "text": content}] if isinstance(content, str) else []
    if isinstance(content, list):
        blocks = list(content)
    if blocks and isinstance(blocks[-1], dict):
        blocks[-1] = {FIELD: mark, **blocks[-1]}
    return {**message, "content": blocks} if blocks else message


def _params(body: Mapping[str, object], fields: _Fields, *, direct: bool) -> dict[str, object]:
    """The chat protocol's further fields."""
    for name in _FOREIGN:
        if body.get(name):
            raise RequestError(f"{name!r} needs Anthropic's own servers; leave it out", name)
    params: dict[str, object] = {n: v for n, v in body.items() if n not in _READ | {*_FOREIGN}}
    params |= {name: body[name] for name in _SAME if body.get(name) is not None}
    params["max_tokens"] = fields.max_tokens
    if fields.stop_sequences:
        params["stop"] = fields.stop_sequences
    if fields.metadata is not None and fields.metadata.user_id:
        params["user"] = fields.metadata.user_id
    if fields.tools:
        params["tools"] = [_tool(tool, place) for place, tool in enumerate(fields.tools)]
    params |= offered(_choice(fields.tool_choice), fields.tools)
    params |= _shape(fields)
    effort = _effort(fields)
    if direct and effort is not None:
        params["reasoning_effort"] = effort
    if direct and fields.thinking is not None:
        params[THINKING] = body["thinking"]
    return params


def _tool(tool: Table, place: int) -> Table:
    if tool.get("type", "custom") not in ("custom", None):
        raise RequestError(
            f"tool {tool['type']!r} runs on Anthropic's own servers; only tools with an "
            "input_schema, which you run, can be used here",
            f"tools[{place}].type",
        )
    if not isinstance(tool.get("name"), str):
        raise RequestError(f"tools[{place}] needs a name", f"tools[{place}].name")
    function: Table = {"name": tool["name"], "parameters": tool.get("input_schema") or {}}
    function |= {name: tool[name] for name in ("description", "strict") if name in tool}
    return {"type": "function", "function": function, **marked(tool, f"tools[{place}]")}


def _choice(choice: Table | None) -> Table:
    """Which of the tools may or must be called, and whether several at once."""
    if choice is None:
        return {}
    kind = choice.get("type")
    words = {"auto": "auto", "any": "required", "none": "none"}
    told: object = words.get(kind) if isinstance(kind, str) else None
    if kind == "tool" and isinstance(choice.get("name"), str):
        told = {"type": "function", "function": {"name": choice["name"]}}
    if told is None:
        raise RequestError(
            "tool_choice has a type of 'auto', 'any', 'none', or 'tool' with a name", "tool_choice"
        )
    alone = choice.get("disable_parallel_tool_use") is True
    return {"tool_choice": told} | ({"parallel_tool_calls": False} if alone else {})


def _shape(fields: _Fields) -> Table:
    """The form that the answer must have."""
    wanted = fields.output_config.format if fields.output_config else None
    shape = wanted or fields.output_format
    if shape is None:
        return {}
    if shape.get("type") != "json_schema" or not isinstance(shape.get("schema"), dict):
        raise RequestError("the output's format is 'json_schema' with a schema", "output_config")
    schema = {"name": "answer", "schema": shape["schema"], "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _effort(fields: _Fields) -> str | None:
    """How long to think first, in the chat protocol's words."""
    if fields.output_config is not None and fields.output_config.effort is not None:
        return fields.output_config.effort
    thinking = fields.thinking
    if thinking is None or thinking.type != "enabled":
        return None
    budget = thinking.budget_tokens or 0
    return "low" if budget < 4096 else "medium" if budget < 16384 else "high"
