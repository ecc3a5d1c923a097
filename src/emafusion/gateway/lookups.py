"""What can be asked without asking a model: the catalog, earlier decisions, our health."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from emafusion.client import Client
from emafusion.errors import UnknownDecisionError, UnknownModelError
from emafusion.gateway.body import OURS, nearest
from emafusion.gateway.replies import encode
from emafusion.types import Model

Endpoint = Callable[[HttpRequest], Awaitable[Response]]
JSON = "application/json"


def models(client: Client) -> Endpoint:
    """``GET /v1/models``: the catalog, and the name that leaves the choice to us."""
    cards = list(_cards(client).values())
    body = encode({"object": "list", "data": cards})

    async def answer(_: HttpRequest) -> Response:
        return Response(body, media_type=JSON)

    return answer


def model(client: Client) -> Endpoint:
    """``GET /v1/models/{name}``."""
    cards = _cards(client)

    async def answer(http: HttpRequest) -> Response:
        name = http.path_params["name"]
        if name not in cards:
            hint = nearest(name, cards) or "; GET /v1/models lists them"
            raise UnknownModelError(f"there is no model {name[:200]!r}{hint}", "model")
        return Response(encode(cards[name]), media_type=JSON)

    return answer


def decision(client: Client) -> Endpoint:
    """``GET /v1/decisions/{id}``: everything that happened, and why, in words too."""

    async def answer(http: HttpRequest) -> Response:
        name = http.path_params["id"]
        outcome = await client.find(name)
        if outcome is None:
            raise UnknownDecisionError(f"there is no decision {name[:200]!r}")
        body = msgspec.to_builtins(outcome)
        return Response(encode({**body, "explanation": outcome.explain()}), media_type=JSON)

    return answer


async def health(_: HttpRequest) -> Response:
    """``GET /healthz``: this process answers."""
    return Response(b'{"status":"ok"}', media_type=JSON)


def _cards(client: Client) -> dict[str, dict[str, object]]:
    created = int(time.time())
    ours: dict[str, object] = {
        "id": OURS,
        "object": "model",
        "created": created,
        "owned_by": OURS,
    }
    catalog = {name: _card(each, created) for name, each in client.engine.models.items()}
    return {OURS: ours, **catalog}


def _card(model: Model, created: int) -> dict[str, object]:
    return {
        "id": model.name,
        "object": "model",
        "created": created,
        "owned_by": model.provider,
        OURS: {
            "context_window": model.context_window,
            "max_output": model.max_output,
            "usd_per_mtok_in": model.usd_per_mtok_in,
            "usd_per_mtok_out": model.usd_per_mtok_out,
            "capabilities": sorted(model.capabilities),
            "visibility": model.visibility,
        },
    }
