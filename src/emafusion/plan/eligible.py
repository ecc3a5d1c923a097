"""Which models could serve a request at all: capabilities and context window.

Knows hard limits only. Whether a model would do well is not asked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emafusion.catalog import tokens
from emafusion.errors import ContextTooLongError, NoModelError
from emafusion.types import Model, Request

ROOM = 256
"""Tokens that must be left for the answer when the caller sets no bound."""


def eligible(request: Request, models: Sequence[Model]) -> list[Model]:
    """The models that have what `request` needs and room for it.

    Raises
    ------
    NoModelError
        No model has the capabilities.
    ContextTooLongError
        None of those that have them has room.
    """
    wanted = capabilities(request)
    capable = [model for model in models if wanted <= model.capabilities]
    if not capable:
        needs = ", ".join(sorted(wanted)) or "any capability"
        raise NoModelError(
            f"no permitted model offers {needs}; add one that does, or widen `models`", "models"
        )
    prompt = tokens.count_messages(request.messages)
    wished = request.max_tokens or ROOM
    fitting = [model for model in capable if _fits(prompt, wished, model)]
    if not fitting:
        widest = max(capable, key=lambda model: model.context_window)
        raise ContextTooLongError(
            f"the prompt takes about {prompt} tokens and the answer needs room; the widest "
            f"permitted model, {widest.name!r}, holds {widest.context_window}; shorten the prompt",
            "messages",
        )
    return fitting


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
    for message in request.messages:
        content = message.get("content")
        for part in content if isinstance(content, (list, tuple)) else ():
            kind = part.get("type") if isinstance(part, Mapping) else None
            wanted |= {"image_url": {"vision"}, "input_audio": {"audio"}}.get(str(kind), set())
    return frozenset(wanted)


def one_voice(request: Request) -> bool:
    """Whether only one model can speak: tools, several choices or raw log-probabilities."""
    params = request.params
    several = params.get("n")
    return bool(
        params.get("tools")
        or params.get("functions")
        or params.get("logprobs")
        or (isinstance(several, int) and several > 1)
    )


def _fits(prompt: int, wished: int, model: Model) -> bool:
    room = min(wished, model.max_output)
    if prompt + room >= model.context_window:
        return False
    # Even an empty one counts as a token; most models have none, and it need not be counted.
    return not model.system or prompt + tokens.count(model.system) + room <= model.context_window
