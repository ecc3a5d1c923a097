"""``POST /v1/embeddings``: texts to vectors, by a configured model that the caller names.

Knows the protocol's body and what of it is ours to read. Nothing is chosen here: vectors of
different models have nothing in common.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from msgspec import Struct
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emafusion.catalog import bounds
from emafusion.client import Client, identifier
from emafusion.errors import (
    BadResponseError,
    BudgetError,
    DeadlineError,
    EmafusionError,
    ProviderError,
    RequestError,
)
from emafusion.gateway.body import OURS, addressed, json_of, read, typed
from emafusion.gateway.callers import Caller, Passage
from emafusion.gateway.dialects import refusal
from emafusion.gateway.exchange import Exchange, caller_of, signed
from emafusion.gateway.presence import Presence
from emafusion.gateway.replies import decided, encode, header_value
from emafusion.gateway.settings import Settings
from emafusion.gateway.shielding import classes, untold
from emafusion.providers.embedding import Embedder, Embedding, estimated
from emafusion.providers.ending import BrokenOff
from emafusion.record.withheld import recordable
from emafusion.types import Call, Forecast, Labels, Model, Outcome, Request, Step, Usage, replace

TIMEOUT_S = 120.0
MAYBE_BILLED = (BadResponseError, DeadlineError, BrokenOff)
"""Failures after which the upstream may have counted the input nevertheless."""


class _Fields(Struct, frozen=True, kw_only=True):
    """The fields that must have the right type for us to go on; the rest is the upstream's."""

    model: str
    input: str | list[str | int | list[int]]
    encoding_format: str | None = None
    dimensions: int | None = None
    user: str | None = None
    emafusion: dict[str, object] | None = None


class Embeddings:
    """The endpoint; every request is gated, priced and on record like a chat."""

    def __init__(self, exchange: Exchange, settings: Settings) -> None:
        self._exchange = exchange
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        caller = caller_of(scope, "embeddings")
        body = json_of(await read(scope, receive, self._settings))
        request = _request(body, self._exchange.client, caller)
        # A cache of answers has no part in this: a chat may look the same to it.
        stated = classes(scope["headers"], caller)
        passage = Passage(request=request, caller=caller, cache_control="no-store", stated=stated)
        scope.setdefault("state", {})["passage"] = passage
        try:
            async with Presence(receive), self._exchange.open(passage) as client:
                found = await _embedded(passage, client)
        except EmafusionError as failure:
            await refusal(failure, passage, scope["path"])(scope, receive, send)
            return
        name = (passage.request.knobs.models or ("",))[0]
        headers = {
            **decided(request.id),
            "x-emafusion-model": header_value(name),
            "x-emafusion-cost-usd": f"{passage.spent_usd:.9f}",
            **passage.reply_headers,
        }
        answer = encode({**found.raw, "model": name})
        await Response(answer, headers=headers, media_type="application/json")(scope, receive, send)


def _request(body: Mapping[str, object], client: Client, caller: Caller) -> Request:
    """The request that `body` amounts to: its texts as a user's, its fields untouched."""
    fields = typed(body, _Fields)
    if fields.model == OURS:
        raise RequestError("name the model: vectors of different models do not compare", "model")
    if not fields.input:
        raise RequestError("input is empty; give at least one text", "input")
    knobs, _ = addressed(fields.model, fields.emafusion, client.engine.models)
    texts = [fields.input] if isinstance(fields.input, str) else fields.input
    # A blank line between them: inputs are no rows of one column.
    words = "\n\n".join(each if isinstance(each, str) else str(each) for each in texts)
    return Request(
        id=identifier(),
        messages=({"role": "user", "content": words},),
        params={name: value for name, value in body.items() if name not in {"model", OURS}},
        knobs=knobs,
        caller=signed(caller, fields.user or ""),
    )


async def _embedded(passage: Passage, client: Client) -> Embedding:
    """Ask the model; what came of it is on record before anybody hears of it."""
    request, engine = passage.request, client.engine
    [model] = engine.cleared(request)
    provider = engine.providers[model.provider]
    if not isinstance(provider, Embedder):
        raise RequestError(f"the provider of {model.name!r} makes no embeddings", "model")
    bound = _check_affordable(request, model)
    limit = request.knobs.max_latency_s or TIMEOUT_S
    call = Call(
        model=model,
        messages=request.messages,
        params=request.params,
        timeout_s=min(limit, TIMEOUT_S),
        purpose="embed",
        untold=untold(passage),
    )
    began = time.monotonic()
    # Until it is known otherwise, it was read and may be billed.
    usage = estimated(call)
    error: str | None = "cancelled"
    try:
        found = await provider.embed(call)
        usage, error = found.usage, None
    except ProviderError as failure:
        error = f"{type(failure).__name__}: {failure}"
        usage = usage if isinstance(failure, MAYBE_BILLED) else Usage()
        raise
    finally:
        cost = model.cost(usage)
        step = Step(
            model=model.name,
            purpose="embed",
            cost_usd=cost,
            latency_s=time.monotonic() - began,
            usage=usage,
            error=error,
            unsettled_usd=max(bound - cost, 0.0) if error == "cancelled" else 0.0,
        )
        passage.outcome = recordable(_outcome(request, step))
        await asyncio.shield(engine.stages.recorder.record(passage.outcome))
    return found


def _check_affordable(request: Request, model: Model) -> float:
    """The most that it can cost, US dollars; raises where that is more than it may."""
    limit = request.knobs.max_cost_usd
    # Its parameters hold the texts that its message repeats.
    usd = bounds.asking_usd(model, bounds.Prompt(replace(request, messages=())))
    if limit is not None and usd > limit:
        raise BudgetError(f"asking {model.name!r} could exceed max_cost_usd={limit:g}")
    return usd


def _outcome(request: Request, step: Step) -> Outcome:
    """The record of one call for vectors."""
    return Outcome(
        decision_id=request.id,
        created=time.time() - step.latency_s,
        prompt=request.text,
        labels=Labels(axes={}),
        forecast=Forecast(estimates=()),
        plan=None,
        steps=(step,),
        verdicts=(),
        model="" if step.error else step.model,
        text="",
        confidence=0.0,
        cost_usd=step.cost_usd,
        latency_s=step.latency_s,
        error=step.error,
        caller=request.caller,
        protection=request.protection,
    )
