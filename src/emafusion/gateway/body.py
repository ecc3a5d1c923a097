"""From a request's bytes to an engine's :class:`~emafusion.types.Request`.

Knows the chat protocol's request: which fields are ours to read and what they must be. Every other
field is handed on as it came. What all protocols' bodies share is here too: how bytes are read,
bounded and checked, and which model and knobs they name.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct, field
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from emafusion.client import checked, identifier
from emafusion.errors import RequestError, UnknownModelError
from emafusion.gateway.callers import ANYONE, Caller
from emafusion.gateway.exchange import signed
from emafusion.gateway.faults import CROWDED, Fault
from emafusion.gateway.holding import Held
from emafusion.gateway.settings import Settings
from emafusion.types import DataClass, Knobs, Message, Request, replace

OURS = "emafusion"
"""The model's name that leaves the choice to the engine, and the body's field for our knobs."""

DEEPEST = 128
"""How deep a body may be nested: what is read must be written again, from deeper in the program."""
MOST_VALUES = 500_000
"""How many commas and opening brackets a body may have: each is about a token of some prompt, and
no model reads as many; decoded, each may take a hundred times its own byte."""
VALUE_BYTES = 100
LONG = 1 << 17
"""Bytes of a body that takes long to read: tens of milliseconds where every value is short."""

_READ = frozenset({"model", "messages", "stream", "stream_options", OURS})
_Positive = Annotated[int, Meta(ge=1)]
T = TypeVar("T")


class Refused(Exception):  # noqa: N818 - it carries the refusal
    """The request is refused for its form alone."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Asked(Struct, frozen=True, kw_only=True):
    """What a body asks for: ``direct`` where the caller named the model that shall answer.

    ``echo`` is what the reply repeats, ``earlier`` those messages that were masked before,
    ``stated`` the class of them.
    """

    request: Request
    direct: bool
    stream: bool
    include_usage: bool = False
    echo: Mapping[str, object] = field(default_factory=dict)
    earlier: tuple[Message, ...] = ()
    stated: tuple[DataClass, ...] = ()


class _Fields(Struct, frozen=True, kw_only=True):
    """The fields that must have the right type for us to go on; the rest is the upstream's."""

    model: str
    messages: list[dict[str, object]]
    stream: bool | None = None
    stream_options: dict[str, object] | None = None
    max_tokens: _Positive | None = None
    max_completion_tokens: _Positive | None = None
    n: _Positive | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[dict[str, object]] | None = None
    user: str | None = None
    emafusion: dict[str, object] | None = None


async def read(scope: Scope, receive: Receive, settings: Settings) -> bytes:
    """The whole body, which may take what there is room for in memory, also once it is decoded.

    Raises :class:`Refused` where it is too long, too slow or compressed, or has too many values.
    """
    most, timeout_s = settings.max_body_bytes, settings.body_timeout_s
    held: Held | None = scope.get("state", {}).get("held")
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.lower() != b"identity":
            raise Refused(Fault(status=415, message="send the body without a content-encoding"))
        if name == b"content-length" and value.isdigit() and int(value) > most:
            raise _too_long(most)
    try:
        async with asyncio.timeout(timeout_s):
            data = await _gathered(receive, most, held)
    except TimeoutError:
        message = f"the request's body did not come within {timeout_s:g} s"
        raise Refused(Fault(status=408, message=message, code="body_timeout")) from None
    # As many values at most: telling those within texts apart would cost more than it is worth.
    values = data.count(b",") + data.count(b"[") + data.count(b"{")
    if values > MOST_VALUES:
        message = f"the request's body has more than {MOST_VALUES:,} values"
        raise Refused(Fault(status=413, message=message, code="body_too_long"))
    if held is not None and not held.grow(values * VALUE_BYTES):
        raise Refused(CROWDED)
    return data


async def _gathered(receive: Receive, max_bytes: int, held: Held | None) -> bytes:
    size = 0
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > max_bytes:
            raise _too_long(max_bytes)
        if held is not None and not held.grow(len(parts[-1])):
            raise Refused(CROWDED)
        if not message.get("more_body", False):
            return b"".join(parts)


async def apart(data: bytes, work: Callable[[], T]) -> T:
    """What `work` makes of `data`: beside the loop where that would hold up everyone else."""
    return work() if len(data) <= LONG else await asyncio.to_thread(work)


def parse(data: bytes, models: Collection[str], *, caller: Caller = ANYONE) -> Asked:
    """What `data`, sent by `caller`, asks of `models`, the catalog's names.

    Raises
    ------
    RequestError
        It is no chat request; the message names the field.
    UnknownModelError
        It names a model that the catalog does not have.
    """
    body = json_of(data)
    fields = typed(body, _Fields)
    messages = checked(fields.messages)
    knobs, direct = addressed(fields.model, fields.emafusion, models)
    params = {name: value for name, value in body.items() if name not in _READ}
    options = dict(fields.stream_options or {})
    include_usage = options.pop("include_usage", None) is True
    if options and fields.stream:
        params["stream_options"] = options
    request = Request(
        id=identifier(),
        messages=messages,
        params=params,
        knobs=knobs,
        caller=signed(caller, fields.user or ""),
    )
    return Asked(
        request=request,
        direct=direct,
        stream=bool(fields.stream),
        include_usage=include_usage,
    )


def addressed(
    model: str, block: Mapping[str, object] | None, models: Collection[str]
) -> tuple[Knobs, bool]:
    """The knobs for `model` and the body's `block` of them, and whether `model` is the catalog's.

    If so, it alone may answer; else the choice is the engine's, by the policy behind its name.
    """
    knobs = knobs_of(block or {}, models)
    ours, _, policy = model.partition("/")
    if ours == OURS and policy and model not in models:
        return replace(knobs, policy=policy), False
    if model == OURS:
        return knobs, False
    return _only(model, knobs, models), True


def offered(choice: Mapping[str, object], tools: object) -> Mapping[str, object]:
    """A `choice` among `tools`, which says nothing where there are none.

    Raises :class:`RequestError` where one of none must be called.
    """
    if tools:
        return choice
    if choice.get("tool_choice", "none") not in ("auto", "none"):
        raise RequestError("tool_choice asks for a call, but there are no tools", "tool_choice")
    return {}


def named(asked: Asked) -> str:
    """The model as the caller named it, before it is known who answers."""
    models = asked.request.knobs.models
    return models[0] if asked.direct and models else OURS


def knobs_of(block: Mapping[str, object], models: Collection[str]) -> Knobs:
    """The knobs in a body's ``emafusion`` field; an unknown one is an error, never ignored."""
    names = Knobs.__struct_fields__
    for name in block:
        if name not in names:
            hint = nearest(name, names) or f"; the knobs are {', '.join(names)}"
            raise RequestError(f"unknown knob {name!r}{hint}", f"{OURS}.{name}")
    knobs = typed(block, Knobs, where=f"{OURS}.")
    if knobs.models is None:
        return knobs
    if not knobs.models:
        raise RequestError("'models' names no model; leave it out to allow all", f"{OURS}.models")
    for name in knobs.models:
        if name not in models:
            raise _unknown(name, models, f"{OURS}.models")
    return knobs


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint at the one of `names` that `name` may have meant; empty where none is near."""
    found = difflib.get_close_matches(name[:80], list(names), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _only(name: str, knobs: Knobs, models: Collection[str]) -> Knobs:
    """`knobs` for the one model the caller named."""
    if name not in models:
        raise _unknown(name, [*models, OURS], "model")
    if knobs.models not in {None, (name,)} or knobs.arrangement not in {"auto", "single"}:
        raise RequestError(
            f"'models' and 'arrangement' leave a choice, but model {name!r} does not; "
            f"set model to {OURS!r}",
            OURS,
        )
    return replace(knobs, models=(name,), arrangement="single")


def _unknown(name: str, models: Iterable[str], param: str) -> UnknownModelError:
    hint = nearest(name, models) or "; GET /v1/models lists them"
    return UnknownModelError(f"there is no model {name[:200]!r}{hint}", param)


def json_of(data: bytes) -> dict[str, object]:
    """The JSON object in `data`; raises :class:`RequestError` where there is none."""
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError as wrong:
        raise RequestError(f"the body is not JSON: {wrong}") from wrong
    except UnicodeDecodeError as wrong:
        raise RequestError("the body is not UTF-8") from wrong
    except RecursionError:
        raise RequestError("the body is nested too deeply") from None
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object")
    # Few bodies have as many brackets; only those can be as deep.
    if data.count(b"{") + data.count(b"[") > DEEPEST and _is_deep(body):
        raise RequestError(f"the body is nested too deeply: more than {DEEPEST} levels")
    return body


def _is_deep(value: dict[str, object]) -> bool:
    level: list[dict[str, object] | list[object]] = [value]
    for _ in range(DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [v for values in inner for v in values if isinstance(v, (dict, list))]
        if not level:
            return False
    return True


def typed(value: object, kind: type[T], *, where: str = "") -> T:
    """`value` as a `kind`; raises :class:`RequestError`, naming the field, where it is none."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as wrong:
        message = str(wrong)
        path = re.search(r" - at `\$\.?(.*)`$", message)
        missing = re.search(r"required field `(\w+)`", message)
        field = (path.group(1) if path else "") or (missing.group(1) if missing else "")
        what = message[: path.start()] if path else message
        named = f"{where}{field}"
        raise RequestError(f"{named}: {what}" if named else what, named or None) from wrong


def _too_long(max_bytes: int) -> Refused:
    message = f"the request's body is longer than {max_bytes} bytes"
    return Refused(Fault(status=413, message=message, code="body_too_long"))
