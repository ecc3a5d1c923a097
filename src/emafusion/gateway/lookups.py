"""What can be asked without asking a model: the catalog, earlier decisions, our health."""

from __future__ import annotations

import datetime
import time
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from emafusion.client import Client
from emafusion.errors import UnknownDecisionError, UnknownModelError
from emafusion.gateway.body import OURS, nearest
from emafusion.gateway.callers import Caller
from emafusion.gateway.exchange import Exchange, caller_of, owns
from emafusion.gateway.replies import encode
from emafusion.gateway.terms import DEFAULT
from emafusion.types import Model, Outcome

Endpoint = Callable[[HttpRequest], Awaitable[Response]]
JSON = "application/json"


def models(exchange: Exchange) -> Endpoint:
    """``GET /v1/models``: the catalog, and the name that leaves the choice to us.

    Both OpenAI's and Anthropic's clients read it. A key that may not use a model does not see it.
    """
    began = int(time.time())

    async def answer(http: HttpRequest) -> Response:
        caller = caller_of(http.scope, "models")
        cards = list(_cards(exchange.client, caller, began).values())
        names = [card["id"] for card in cards] or [None]
        ends = {"has_more": False, "first_id": names[0], "last_id": names[-1]}
        return Response(encode({"object": "list", "data": cards, **ends}), media_type=JSON)

    return answer


def model(exchange: Exchange) -> Endpoint:
    """``GET /v1/models/{name}``."""
    began = int(time.time())

    async def answer(http: HttpRequest) -> Response:
        cards = _cards(exchange.client, caller_of(http.scope, "models"), began)
        name = http.path_params["name"]
        if name not in cards:
            hint = nearest(name, cards) or "; GET /v1/models lists them"
            raise UnknownModelError(f"there is no model {name[:200]!r}{hint}", "model")
        return Response(encode(cards[name]), media_type=JSON)

    return answer


def decision(exchange: Exchange) -> Endpoint:
    """``GET /v1/decisions/{id}``: everything that happened, and why, in words too."""

    async def answer(http: HttpRequest) -> Response:
        caller = caller_of(http.scope, "decisions")
        outcome = await decided(exchange.client, http.path_params["id"], caller)
        body = msgspec.to_builtins(outcome)
        return Response(encode({**body, "explanation": outcome.explain()}), media_type=JSON)

    return answer


async def decided(client: Client, name: str, caller: Caller) -> Outcome:
    """The decision `name`, if it is `caller`'s; raises :class:`UnknownDecisionError` otherwise."""
    outcome = await client.find(name)
    if outcome is None or not owns(caller, outcome.caller):
        raise UnknownDecisionError(f"there is no decision {name[:200]!r}")
    return outcome


async def health(_: HttpRequest) -> Response:
    """``GET /healthz``: this process answers."""
    return Response(b'{"status":"ok"}', media_type=JSON)


def _cards(client: Client, caller: Caller, began: int) -> dict[str, dict[str, object]]:
    policies = [
        f"{OURS}/{name}"
        for name in client.engine.named
        if caller.policies is None or name in caller.policies
    ]
    may = caller.policies
    usual = [OURS] if may is None or DEFAULT in may or len(may) == 1 else []
    ours = {name: _card(name, OURS, began) for name in (*usual, *policies)}
    catalog = {
        name: {**_card(name, each.provider, began), OURS: _abilities(each)}
        for name, each in client.engine.models.items()
        if caller.models is None or name in caller.models
    }
    return {**ours, **catalog}


def _card(name: str, owner: str, created: int) -> dict[str, object]:
    """A model as OpenAI's protocol describes it, and, in further fields, as Anthropic's does."""
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": owner,
        "type": "model",
        "display_name": name,
        "created_at": datetime.datetime.fromtimestamp(created, datetime.UTC).isoformat(),
    }


def _abilities(model: Model) -> dict[str, object]:
    return {
        "context_window": model.context_window,
        "max_output": model.max_output,
        "usd_per_mtok_in": model.usd_per_mtok_in,
        "usd_per_mtok_out": model.usd_per_mtok_out,
        "capabilities": sorted(model.capabilities),
        "visibility": model.visibility,
    }
