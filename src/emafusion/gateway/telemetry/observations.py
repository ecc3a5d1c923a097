"""One HTTP request as operators see it: how it began and ended, and what was done for it.

Knows ASGI's messages and the clocks. What is made of an observation is its listeners' business.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emafusion.errors import EmafusionError
from emafusion.gateway.callers import ANYONE, Caller, Passage

NOWHERE = "other"
"""The route of a request for an address that does not exist."""
GONE = 499
"""The status of a request whose caller hung up before there was one, as proxies write it."""


class Observation:
    """What is known of one request; complete once ``took_s`` is set.

    Attributes
    ----------
    route : str
        The address's template, never the address itself.
    method, status
        As in HTTP; the status is 0 until the response begins.
    began_s : float
        Seconds since 1970.
    took_s, first_byte_s : float
        Seconds from the beginning to the end and to the first byte of a body; the latter is
        ``None`` where there was none.
    passage : Passage, optional
        The request on its way to the engine, if it got so far.
    failure : str
        The kind of error that ended it behind the gates, ``"Cancelled"`` where nobody waited any
        more; empty where nothing did.
    """

    __slots__ = (
        "_started",
        "began_s",
        "failure",
        "first_byte_s",
        "method",
        "passage",
        "route",
        "scope",
        "status",
        "took_s",
    )

    def __init__(self, route: str, scope: Scope) -> None:
        self.route = route
        self.scope = scope
        self.method: str = scope["method"]
        self.status = 0
        self.began_s = time.time()
        self.first_byte_s: float | None = None
        self.took_s = 0.0
        self.passage: Passage | None = None
        self.failure = ""
        self._started = time.perf_counter()

    @property
    def caller(self) -> Caller:
        """Who asked, as far as the guard found out."""
        found = self.scope.get("state", {}).get("caller")
        return found if isinstance(found, Caller) else ANYONE

    def sent(self, message: Message) -> None:
        """Take note of one message of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif self.first_byte_s is None and message.get("body"):
            self.first_byte_s = time.perf_counter() - self._started

    def end(self) -> None:
        """Take note that it is over."""
        self.took_s = time.perf_counter() - self._started
        self.status = self.status or GONE


class Listener(Protocol):
    """What is made of observations. It must be quick and must not fail: callers wait for it."""

    def began(self, seen: Observation) -> None:
        """A request has come; its route and its beginning are known."""
        ...

    def ended(self, seen: Observation) -> None:
        """It is over; all there is to know is known."""
        ...


_seen: ContextVar[Observation | None] = ContextVar("emafusion_observation", default=None)


class Watch:
    """The outermost layer of the application: tells listeners of every request there is.

    Parameters
    ----------
    app : ASGI application
        All the rest.
    routes : collection of str
        The templates of the addresses there are, such as ``/v1/decisions/{id}``.
    listeners : sequence of Listener
        Who is told, in this order.
    """

    def __init__(
        self, app: ASGIApp, routes: Collection[str], *, listeners: Sequence[Listener]
    ) -> None:
        self._app = app
        self._exact = {route: route for route in routes if "{" not in route}
        self._open = [(route.partition("{")[0], route) for route in routes if "{" in route]
        self._listeners = tuple(listeners)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, watched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = Observation(self._route(scope["path"]), scope)

        async def watched(message: Message) -> None:
            seen.sent(message)
            await send(message)

        for listener in self._listeners:
            listener.began(seen)
        token = _seen.set(seen)
        try:
            await self._app(scope, receive, watched)
        finally:
            _seen.reset(token)
            seen.end()
            for listener in self._listeners:
                listener.ended(seen)

    def _route(self, path: str) -> str:
        exact = self._exact.get(path)
        if exact is not None:
            return exact
        return next((route for start, route in self._open if path.startswith(start)), NOWHERE)


class Witness:
    """The first gate: tells the observation of a request what becomes of it behind the gates."""

    def open(self, passage: Passage) -> _Witnessed:
        """Held from before the engine is asked until the request's end."""
        return _Witnessed(passage)


class _Witnessed:
    __slots__ = ("_passage", "_seen")

    def __init__(self, passage: Passage) -> None:
        self._passage = passage
        self._seen = _seen.get()

    async def __aenter__(self) -> None:
        if self._seen is not None:
            self._seen.passage = self._passage

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None or self._seen is None:
            return
        if issubclass(kind, EmafusionError):
            self._seen.failure = kind.__name__
        else:
            # Our own mistakes are told by the log; to count, it is enough that there was one.
            self._seen.failure = "Cancelled" if not issubclass(kind, Exception) else "Unexpected"
