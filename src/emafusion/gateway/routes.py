"""The application: which path leads where, and what every failure looks like."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from emafusion.client import Client
from emafusion.errors import EmafusionError
from emafusion.gateway import lookups, openapi
from emafusion.gateway.body import Refused
from emafusion.gateway.callers import Gate, Keeper
from emafusion.gateway.chat import Chat
from emafusion.gateway.dialects import Conversation
from emafusion.gateway.embeddings import Embeddings
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.faults import Fault, fault_of
from emafusion.gateway.feedback import Opinions
from emafusion.gateway.guard import Guard, Traffic
from emafusion.gateway.messages import Counting, Messages
from emafusion.gateway.notes import Notes
from emafusion.gateway.presence import Gone
from emafusion.gateway.responses import Memory, Noted, Responses, Shelf, stored
from emafusion.gateway.settings import Settings
from emafusion.gateway.straight import Failures, Straight

log = logging.getLogger("emafusion.gateway")

POST = ("POST",)
CLOSING_S = 5.0
"""How long cancelled requests may take to record what they spent."""


def app(
    client: Client | Exchange,
    settings: Settings | None = None,
    *,
    gates: Sequence[Gate] = (),
    shelf: Shelf | None = None,
    keeper: Keeper | None = None,
) -> Starlette:
    """The gateway to `client`'s engine, for any ASGI server.

    It closes the client when the server stops, after the last request.

    Parameters
    ----------
    client : Client or Exchange
        What :func:`emafusion.load` built; or an exchange, which has gates of its own and whose
        client may change while serving.
    settings : Settings, optional
        Its key and its bounds; the defaults answer requests to loopback addresses alone.
    gates : sequence of Gate
        What every question passes on its way to the engine, in order.
    shelf : Shelf, optional
        Where ``/v1/responses`` keeps its responses, for a day; by default where workers leave notes
        for one another, else in memory, the last 64 MiB.
    keeper : Keeper, optional
        Who knows callers by their keys; open from before the first request until after the last.
    """
    settings = settings or Settings()
    identify = None if keeper is None else keeper.identify
    exchange = client if isinstance(client, Exchange) else Exchange(client, gates)
    traffic = Traffic()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        exchange.client.begin()
        async with contextlib.nullcontext() if keeper is None else keeper.open():
            yield
            if not await traffic.ebb(CLOSING_S):
                log.warning("stopped with %d requests still under way", traffic.under_way)
        await exchange.client.aclose()
        if exchange.notes is not None:
            await exchange.notes.aclose()

    routes = _routes(exchange, settings, shelf or _shelf(exchange.notes))
    posts = {one.path: one.endpoint for one in routes if one.methods == set(POST)}
    built = Starlette(
        routes=routes,
        middleware=[
            Middleware(Guard, settings, traffic, identify=identify),
            Middleware(Straight, posts, FAILURES),
        ],
        exception_handlers=FAILURES,
        lifespan=lifespan,
    )
    built.router.redirect_slashes = False
    return built


def _shelf(notes: Notes | None) -> Shelf:
    return Memory() if notes is None else Noted(notes)


def _routes(exchange: Exchange, settings: Settings, shelf: Shelf) -> list[Route]:
    """Every address; what is asked most often first."""
    return [
        Route("/v1/chat/completions", Conversation(Chat(), exchange, settings), methods=POST),
        Route("/v1/responses", Conversation(Responses(shelf), exchange, settings), methods=POST),
        Route("/v1/responses/{id}", stored(shelf), methods=("GET", "DELETE")),
        Route("/v1/messages", Conversation(Messages(), exchange, settings), methods=POST),
        Route("/v1/messages/count_tokens", Counting(exchange, settings), methods=POST),
        Route("/v1/embeddings", Embeddings(exchange, settings), methods=POST),
        Route("/v1/feedback", Opinions(exchange, settings), methods=POST),
        Route("/v1/models", lookups.models(exchange)),
        Route("/v1/models/{name:path}", lookups.model(exchange)),
        Route("/v1/decisions/{id}", lookups.decision(exchange)),
        Route("/healthz", lookups.health),
        Route(openapi.PATH, openapi.openapi),
    ]


async def _failed(http: HttpRequest, error: Exception) -> Response:
    if not isinstance(error, EmafusionError):
        raise error
    return fault_of(error).response(http.scope["path"])


async def _refused(http: HttpRequest, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    response = error.fault.response(http.scope["path"])
    # What of the body is still to come is not worth reading.
    response.headers["connection"] = "close"
    return response


async def _unrouted(http: HttpRequest, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    known = {
        404: f"there is nothing at {http.scope['path'][:200]!r}",
        405: f"{http.method} is not possible at {http.scope['path'][:200]!r}",
    }
    fault = Fault(status=error.status_code, message=known.get(error.status_code, error.detail))
    response = fault.response(http.scope["path"])
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def _nobody_left(_: HttpRequest, __: Exception) -> Response:
    """Client closed request: no one reads this, but a server wants a response."""
    return Response(status_code=499)


FAILURES: Final[Failures] = {
    EmafusionError: _failed,
    Refused: _refused,
    HTTPException: _unrouted,
    Gone: _nobody_left,
    ClientDisconnect: _nobody_left,
}
