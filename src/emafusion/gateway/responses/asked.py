"""From a body of the responses protocol to an engine's request.

Knows that protocol's fields, and what each is called in the chat protocol. What has no counterpart
there is refused by name, never dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

from msgspec import Meta, Struct, field

from emafusion.client import checked, identifier
from emafusion.errors import RequestError
from emafusion.gateway.body import Asked, addressed, offered, typed
from emafusion.gateway.callers import Caller
from emafusion.gateway.exchange import signed
from emafusion.gateway.responses.items import Table, turns_of
from emafusion.gateway.responses.shelf import Kept
from emafusion.types import Request, replace

_Positive = Annotated[int, Meta(ge=1)]
_FOREIGN = ("background", "conversation", "prompt")
"""What only OpenAI's own servers can do."""
_SAME = (
    "temperature",
    "top_p",
    "parallel_tool_calls",
    "service_tier",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
)
_LOGPROBS = "message.output_text.logprobs"


class _Text(Struct, frozen=True, kw_only=True):
    format: Table | None = None
    verbosity: str | None = None


class _Reasoning(Struct, frozen=True, kw_only=True):
    effort: str | None = None


class Fields(Struct, frozen=True, kw_only=True):
    """The fields that are ours to read."""

    model: str
    input: str | list[Table] = ""
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    tools: list[Table] | None = None
    tool_choice: str | Table | None = None
    max_output_tokens: _Positive | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    text: _Text = field(default_factory=_Text)
    reasoning: _Reasoning | None = None
    include: list[str] | None = None
    metadata: Table | None = None
    user: str | None = None
    truncation: str | None = None
    emafusion: dict[str, object] | None = None


class ResponsesAsked(Asked, frozen=True, kw_only=True):
    """What a body asks for.

    ``tenant`` is whose it is, ``store`` whether it is kept; ``instructed`` whether its first
    message is no turn of the conversation but its instructions.
    """

    instructed: bool
    tenant: str
    store: bool


def fields_of(body: Mapping[str, object]) -> Fields:
    """The fields in `body`; raises :class:`RequestError` for those that cannot be served."""
    for name in _FOREIGN:
        if body.get(name):
            raise RequestError(f"{name!r} needs OpenAI's own servers; leave it out", name)
    return typed({name: value for name, value in body.items() if value is not None}, Fields)


def asked_of(
    body: Mapping[str, object],
    fields: Fields,
    *,
    kept: Kept | None = None,
    models: Collection[str],
    caller: Caller,
) -> ResponsesAsked:
    """What `fields` of `body` ask of `models`, after the turns that were `kept`.

    Raises
    ------
    RequestError
        It is no request of this protocol, or has no counterpart; the message names the field.
    UnknownModelError
        It names a model that the catalog does not have.
    """
    knobs, direct = addressed(fields.model, fields.emafusion, models)
    before = () if kept is None else kept.turns
    if kept is not None and kept.private:
        knobs = replace(knobs, private=True)
    turns = (*before, *turns_of(fields.input, thoughts=direct))
    system = [{"role": "system", "content": fields.instructions}] if fields.instructions else []
    if not turns:
        raise RequestError("input is empty; ask something", "input")
    request = Request(
        id=identifier(),
        messages=checked([*system, *turns]),
        params=_params(body, fields, direct=direct),
        knobs=knobs,
        caller=signed(caller, fields.user or ""),
    )
    return ResponsesAsked(
        request=request,
        direct=direct,
        stream=bool(fields.stream),
        instructed=bool(system),
        earlier=before,
        stated=() if kept is None else kept.stated,
        echo=_echo(body, fields),
        tenant=caller.tenant,
        store=fields.store is not False,
    )


def _params(body: Mapping[str, object], fields: Fields, *, direct: bool) -> dict[str, object]:
    """The chat protocol's further fields."""
    unknown = body.keys() - _KNOWN
    params: dict[str, object] = {name: body[name] for name in body if name in unknown}
    params |= {name: body[name] for name in _SAME if body.get(name) is not None}
    if fields.max_output_tokens is not None:
        params["max_completion_tokens"] = fields.max_output_tokens
    if fields.top_logprobs or _LOGPROBS in (fields.include or ()):
        params |= {"logprobs": True, "top_logprobs": fields.top_logprobs or 0}
    if fields.stream and isinstance(body.get("stream_options"), dict):
        params["stream_options"] = body["stream_options"]
    if fields.tools:
        params["tools"] = [_tool(tool, place) for place, tool in enumerate(fields.tools)]
    params |= offered(_choice(fields.tool_choice), fields.tools)
    shape = _shape(fields.text.format)
    if shape is not None:
        params["response_format"] = shape
    if direct and fields.text.verbosity is not None:
        params["verbosity"] = fields.text.verbosity
    if direct and fields.reasoning is not None and fields.reasoning.effort is not None:
        params["reasoning_effort"] = fields.reasoning.effort
    return params


_KNOWN = frozenset(
    {
        *Fields.__struct_fields__,
        *_FOREIGN,
        *_SAME,
        "max_tool_calls",
        "stream_options",
    }
)


def _tool(tool: Table, place: int) -> Table:
    where = f"tools[{place}]"
    if tool.get("type") != "function":
        raise RequestError(
            f"{where} is of type {str(tool.get('type'))[:60]!r}; only functions, which you run, "
            "can be used here",
            f"{where}.type",
        )
    if not isinstance(tool.get("name"), str):
        raise RequestError(f"{where} needs a name", f"{where}.name")
    return {"type": "function", "function": {n: v for n, v in tool.items() if n != "type"}}


def _choice(choice: str | Table | None) -> Table:
    if choice is None:
        return {}
    if isinstance(choice, str):
        return {"tool_choice": choice}
    if choice.get("type") != "function" or not isinstance(choice.get("name"), str):
        raise RequestError(
            "tool_choice is 'auto', 'none', 'required', or a function with a name", "tool_choice"
        )
    return {"tool_choice": {"type": "function", "function": {"name": choice["name"]}}}


def _shape(form: Table | None) -> Table | None:
    """The form that the answer must have."""
    kind = None if form is None else form.get("type")
    if form is None or kind == "text":
        return None
    if kind == "json_object":
        return {"type": kind}
    if kind != "json_schema" or not isinstance(form.get("schema"), dict):
        raise RequestError(
            "text.format is 'text', 'json_object', or 'json_schema' with a schema", "text.format"
        )
    schema = {name: value for name, value in form.items() if name != "type"}
    return {"type": kind, "json_schema": {"name": "answer", **schema}}


def _echo(body: Mapping[str, object], fields: Fields) -> dict[str, object]:
    """What a response repeats of its request, with the protocol's defaults."""
    return {
        "background": False,
        "instructions": fields.instructions,
        "max_output_tokens": fields.max_output_tokens,
        "max_tool_calls": body.get("max_tool_calls"),
        "metadata": fields.metadata or {},
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": fields.previous_response_id,
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": body.get("service_tier") or "default",
        "store": fields.store is not False,
        "temperature": fields.temperature,
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": fields.tool_choice or "auto",
        "tools": fields.tools or [],
        "top_logprobs": fields.top_logprobs or 0,
        "top_p": fields.top_p,
        "truncation": fields.truncation or "disabled",
        "user": fields.user,
    }
