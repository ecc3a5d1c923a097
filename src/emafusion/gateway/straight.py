"""The addresses that are asked most, found without the router's walk.

Knows paths, and which responses stand for which failures. What is at an address is its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Failures = Mapping[type[Exception], Callable[[HttpRequest, Exception], Awaitable[Response]]]
"""The response for a failure, by its class; that of its nearest class counts."""


class Straight:
    """Passes a POST to one of `endpoints` on at once, and every other request to `app`.

    Their failures become responses by `failures`, as they do behind the router; what is not among
    them, and whatever fails once a response has begun, is raised.
    """

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, ASGIApp], failures: Failures) -> None:
        self._app = app
        self._endpoints = endpoints
        self._failures = failures
        self._kinds = tuple(failures)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        straight = scope["type"] == "http" and scope["method"] == "POST"
        endpoint = self._endpoints.get(scope["path"]) if straight else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await endpoint(scope, receive, watched)
        except self._kinds as failure:
            if began:
                raise
            kind = next(kind for kind in type(failure).__mro__ if kind in self._failures)
            response = await self._failures[kind](HttpRequest(scope), failure)
            await response(scope, receive, send)
