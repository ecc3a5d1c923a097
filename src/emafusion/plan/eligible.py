"""Which models could serve a request at all: capabilities and context window.

Knows hard limits only. Whether a model would do well is not asked here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from emafusion.catalog import tokens
from emafusion.errors import ContextTooLongError, NoModelError
from emafusion.types import Model, Request

ROOM = 256
"""Tokens that must be left for the answer when the caller sets no bound."""

PARTS: Final[Mapping[str, frozenset[str]]] = {
    "image_url": frozenset({"vision"}),
    "file": frozenset({"vision"}),
    "input_audio": frozenset({"audio"}),
}
"""What parts of messages take. Vendors read a file as its text and as pictures of its pages."""

SHOWN = 8
"""Models that a message names, at most."""


def named(request: Request) -> bool:
    """Whether the caller named the one model that shall answer."""
    knobs = request.knobs
    return knobs.arrangement == "single" and len(set(knobs.models or ())) == 1


def settled(request: Request, offered: Collection[Model], left: Collection[Model]) -> bool:
    """Whether it is decided who answers first, `left` of the models that were `offered`.

    There is no other, or the turn of one of them is not over.
    """
    if request.knobs.arrangement != "single":
        return False
    held = request.turn is not None and any(one.name == request.turn.model for one in left)
    return held or len(offered) == 1


def eligible(request: Request, models: Sequence[Model]) -> list[Model]:
    """The models that have what `request` needs and room for it.

    Those that are said to have it; where none of them has room, those of which nobody said what
    they have. A model that the caller named is asked whatever is said of it, and so is one that
    goes on with a turn of its own: their upstreams know better.

    Raises
    ------
    NoModelError
        Every model is said not to have the capabilities.
    ContextTooLongError
        None of the others has room.
    """
    prompt = tokens.count_messages(request.messages)
    wished = request.max_tokens or ROOM
    able = _able(request, models)
    for group in able:
        fitting = [model for model in group if _fits(prompt, wished, model)]
        if fitting:
            return fitting
    widest = max((one for group in able for one in group), key=lambda one: one.context_window)
    raise ContextTooLongError(
        f"the prompt takes about {prompt} tokens and the answer needs room; the widest "
        f"permitted model, {widest.name!r}, holds {widest.context_window}; shorten the prompt",
        "messages",
    )


def capabilities(request: Request) -> frozenset[str]:
    """What a model must offer to serve `request`: of tools, json, vision, audio, logprobs."""
    wanted = set()
    params = request.params
    if params.get("tools") or params.get("functions"):
        wanted.add("tools")
    shape = params.get("response_format")
    if isinstance(shape, Mapping) and shape.get("type") in ("json_object", "json_schema"):
        wanted.add("json")
    if params.get("logprobs"):
        wanted.add("logprobs")
    modalities = params.get("modalities")
    if isinstance(modalities, (list, tuple)) and "audio" in modalities:
        wanted.add("audio")
    for message in request.messages:
        content = message.get("content")
        for part in content if isinstance(content, (list, tuple)) else ():
            kind = part.get("type") if isinstance(part, Mapping) else None
            wanted |= PARTS.get(str(kind), frozenset())
    return frozenset(wanted)


def _able(request: Request, models: Sequence[Model]) -> list[list[Model]]:
    """Those of `models` that are said to offer what is wanted, and those that may; not empty."""
    if named(request):
        return [list(models)]
    wanted = capabilities(request)
    keeps = request.turn.model if request.turn is not None else ""
    sure = [one for one in models if wanted <= one.capabilities or one.name == keeps]
    unsaid = [one for one in models if not one.declared and one not in sure]
    if sure or unsaid:
        return [sure, unsaid]
    needs = ", ".join(map(repr, sorted(wanted)))
    who = ", ".join(repr(one.name) for one in models[:SHOWN]) + ", …" * (len(models) > SHOWN)
    raise NoModelError(
        f"the request needs {needs}, which the setting 'capabilities' does not have for any "
        f"permitted model ({who}); add it under [models.NAME] of one that offers it, or permit "
        "another model",
        "models",
    )


def _fits(prompt: int, wished: int, model: Model) -> bool:
    room = min(wished, model.max_output)
    if prompt + room >= model.context_window:
        return False
    # Even an empty one counts as a token; most models have none, and it need not be counted.
    return not model.system or prompt + tokens.count(model.system) + room <= model.context_window
