"""Texts to vectors at an OpenAI-compatible address: what a provider that can do so shares.

It knows the embeddings format; it does not know prices, or what the vectors are for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Protocol, runtime_checkable

import msgspec

from emafusion.errors import BadResponseError
from emafusion.providers import wire
from emafusion.providers.deadline import deadline_errors
from emafusion.providers.endpoint import Endpoint
from emafusion.providers.refusals import refusal_in
from emafusion.providers.retry import Allowance, retried
from emafusion.types import Call, Usage
from emafusion.types.values import Value


class Embedding(Value, frozen=True, kw_only=True):
    """What an upstream made of a call's ``input``: its response body as it came, and its tokens."""

    raw: Mapping[str, object]
    usage: Usage


@runtime_checkable
class Embedder(Protocol):
    """A provider that turns texts into vectors, too."""

    async def embed(self, call: Call) -> Embedding:
        """The vectors for the ``input`` in `call`'s parameters; raises a ``ProviderError``."""
        ...


async def embedded(
    endpoint: Endpoint, call: Call, *, attempts: int, allowance: Allowance | None = None
) -> Embedding:
    """Ask `endpoint` for vectors: ``call.params`` is the body, handed on untouched.

    Raises
    ------
    ProviderError
        As :meth:`emafusion.protocols.Provider.complete`.
    """
    body = {name: value for name, value in call.params.items() if name != "model"}
    data = wire.encoded({**body, "model": call.model.upstream}, call)
    with deadline_errors(call):
        async with asyncio.timeout(call.timeout_s):
            return await retried(
                partial(_asked, endpoint, call, data),
                attempts=attempts,
                within_s=call.timeout_s,
                allowance=allowance,
            )


async def _asked(endpoint: Endpoint, call: Call, data: bytes) -> Embedding:
    response = await endpoint.post("embeddings", data, call)
    try:
        body = await endpoint.body(response, call)
    except BaseException:
        response.close()
        raise
    response.release()
    try:
        raw = msgspec.json.decode(body, type=dict[str, object])
    except (ValueError, RecursionError) as error:
        raise _bad(call, f"no JSON object: {error}") from None
    if raw.get("error") is not None and not raw.get("data"):
        raise refusal_in(raw, call.model, secrets=endpoint.secrets)
    if not isinstance(raw.get("data"), list):
        raise _bad(call, "the body has no list 'data'")
    return Embedding(raw=raw, usage=_usage(raw, call))


def estimated(call: Call) -> Usage:
    """The tokens of what `call` asks for: a quarter of its characters, and those told as such."""
    given = call.params.get("input")
    texts = given if isinstance(given, list) else [given]
    return Usage(prompt_tokens=sum(map(_tokens_in, texts)), counted=False)


def _tokens_in(text: object) -> int:
    if isinstance(text, str):
        return wire.tokens_in(text)
    return len(text) if isinstance(text, list) else 1


def _usage(raw: Mapping[str, object], call: Call) -> Usage:
    """The tokens that `raw` reports; where it reports none, an estimate."""
    told = raw.get("usage")
    if isinstance(told, Mapping):
        known = wire.usage_of({"usage": {"completion_tokens": 0, **told}})
        if known is not None:
            return Usage(prompt_tokens=known.prompt_tokens)
    return estimated(call)


def _bad(call: Call, problem: str) -> BadResponseError:
    return BadResponseError(
        f"the upstream of {call.model.name!r} does not speak the embeddings format: {problem}",
        call.model.name,
    )
