"""The application: which path leads where, and what every failure looks like."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from emafusion.client import Client
from emafusion.errors import EmafusionError
from emafusion.gateway import chat, lookups
from emafusion.gateway.body import Refused
from emafusion.gateway.faults import Fault, fault_of
from emafusion.gateway.feedback import feedback
from emafusion.gateway.guard import Guard, Traffic
from emafusion.gateway.presence import Gone
from emafusion.gateway.settings import Settings

log = logging.getLogger("emafusion.gateway")

CLOSING_S = 5.0
"""How long cancelled requests may take to record what they spent."""


def app(client: Client, settings: Settings | None = None) -> Starlette:
    """The gateway to `client`'s engine, for any ASGI server.

    It closes `client` when the server stops, after the last request.

    Parameters
    ----------
    client : Client
        What :func:`emafusion.load` built.
    settings : Settings, optional
        Its key and its bounds; the defaults answer requests to loopback addresses alone.
    """
    settings = settings or Settings()
    traffic = Traffic()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        client.begin()
        yield
        if not await traffic.ebb(CLOSING_S):
            log.warning("stopped with %d requests still under way", traffic.under_way)
        await client.aclose()

    built = Starlette(
        routes=[
            Route("/v1/chat/completions", chat.completions(client, settings), methods=["POST"]),
            Route("/v1/feedback", feedback(client, settings), methods=["POST"]),
            Route("/v1/models", lookups.models(client)),
            Route("/v1/models/{name:path}", lookups.model(client)),
            Route("/v1/decisions/{id}", lookups.decision(client)),
            Route("/healthz", lookups.health),
        ],
        middleware=[Middleware(Guard, settings, traffic)],
        exception_handlers={
            EmafusionError: _failed,
            Refused: _refused,
            HTTPException: _unrouted,
            Gone: _nobody_left,
            ClientDisconnect: _nobody_left,
        },
        lifespan=lifespan,
    )
    built.router.redirect_slashes = False
    return built


async def _failed(_: HttpRequest, error: Exception) -> Response:
    if not isinstance(error, EmafusionError):
        raise error
    return fault_of(error).response()


async def _refused(_: HttpRequest, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    response = error.fault.response()
    # What of the body is still to come is not worth reading.
    response.headers["connection"] = "close"
    return response


async def _unrouted(http: HttpRequest, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    known = {
        404: f"there is nothing at {http.url.path[:200]!r}",
        405: f"{http.method} is not possible at {http.url.path[:200]!r}",
    }
    fault = Fault(status=error.status_code, message=known.get(error.status_code, error.detail))
    response = fault.response()
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def _nobody_left(_: HttpRequest, __: Exception) -> Response:
    """Client closed request: no one reads this, but a server wants a response."""
    return Response(status_code=499)
