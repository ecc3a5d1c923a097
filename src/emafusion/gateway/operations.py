"""What operators need of a server: readiness, reloads, metrics, logs and traces, in one piece.

Knows which of them there are and when each begins and ends; none from inside.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from emafusion.gateway.callers import Keeper
from emafusion.gateway.exchange import caller_of
from emafusion.gateway.readiness import Readiness
from emafusion.gateway.reload import Reload
from emafusion.gateway.telemetry.metrics import CONTENT_TYPE, Metrics
from emafusion.gateway.telemetry.observations import Listener, Watch
from emafusion.gateway.telemetry.sampler import Sampler


class Operations(Struct, frozen=True, kw_only=True):
    """What there is; each part may be missing.

    ``keeper`` knows callers by their keys; ``listeners`` are told of every request, in this order.
    ``watched`` is a file whose change is a reason to reload. ``grace_s`` is how long the server
    goes on accepting requests after a SIGTERM, seconds: whoever sends them needs that long to learn
    from ``/readyz`` that it should not. ``closing`` is done when the server has ended, in threads.
    """

    keeper: Keeper | None = None
    readiness: Readiness = field(default_factory=lambda: Readiness({}))
    listeners: tuple[Listener, ...] = ()
    metrics: Metrics | None = None
    sampler: Sampler | None = None
    reload: Reload | None = None
    watched: Path | None = None
    grace_s: float = 0.0
    closing: tuple[Callable[[], None], ...] = ()

    def join(self, app: Starlette) -> None:
        """Add what there is to `app`, which must not have served yet."""
        app.router.routes.append(Route("/readyz", self.readiness.answer))
        if self.metrics is not None:
            app.router.routes.append(Route("/metrics", _exposing(self.metrics)))
        if self.listeners:
            paths = [route.path for route in app.router.routes if isinstance(route, Route)]
            app.add_middleware(Watch, routes=paths, listeners=self.listeners)
        inner = app.router.lifespan_context

        @contextlib.asynccontextmanager
        async def lifespan(each: Starlette) -> AsyncIterator[Mapping[str, Any]]:
            async with inner(each) as state, self.running():
                yield state or {}

        app.router.lifespan_context = lifespan

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """A block beside which everything goes on: the server's life."""
        async with contextlib.AsyncExitStack() as stack:
            if self.reload is not None:
                await stack.enter_async_context(self.reload.running(self.watched))
            await stack.enter_async_context(self.readiness.running())
            if self.sampler is not None:
                await stack.enter_async_context(self.sampler.running())
            yield
        for close in self.closing:
            await asyncio.to_thread(close)

    def drain(self) -> None:
        """Say from now on that nothing more should be sent here."""
        self.readiness.draining = True


def _exposing(metrics: Metrics) -> Callable[[HttpRequest], Awaitable[Response]]:
    """``GET /metrics``: what was counted."""

    async def answer(http: HttpRequest) -> Response:
        caller_of(http.scope, "metrics")
        metrics.flush()
        # Of several workers it is read from their files, which takes a while.
        text = await asyncio.to_thread(metrics.exposition)
        return Response(text, headers={"content-type": CONTENT_TYPE})

    return answer
