"""The outermost layer: who comes in, and that nothing gets out but an answer.

Knows a request's headers and whether its response has begun. Knows no route; what a caller may do
once it is in, the routes and the gates say.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emafusion.errors import EmafusionError
from emafusion.gateway.callers import ANYONE, Caller, Identify
from emafusion.gateway.faults import STOPPING, UNEXPECTED, Fault, fault_of
from emafusion.gateway.holding import Held, Holding
from emafusion.gateway.settings import Settings

log = logging.getLogger("emafusion.gateway")

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""What a caller without a key may ask for."""
ONCE = frozenset({b"host", b"origin", b"authorization", b"x-api-key"})
"""The headers that say who comes in; the last is how Anthropic's clients say it."""
SHARE = 0.75
"""How much of the room for bodies one tenant may have."""


class Traffic:
    """How many requests are under way."""

    def __init__(self) -> None:
        self.under_way = 0

    async def ebb(self, timeout_s: float) -> bool:
        """Wait until none is under way; whether that came within `timeout_s` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.under_way:  # noqa: ASYNC110 - once in a server's life
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return False
        return True


class Guard:
    """Refuses callers that may not come in, and answers for whatever fails behind it.

    Who comes in stands in the scope's state as ``caller``. Where `identify` is given callers need a
    key it knows, or the settings' own, whose holder may do everything; where neither is, anyone is
    let in.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        traffic: Traffic,
        *,
        identify: Identify | None = None,
    ) -> None:
        self._app = app
        self._hosts = settings.hosts
        self._key = None if settings.api_key is None else _digest(settings.api_key.encode())
        self._traffic = traffic
        self._identify = identify
        # Without keys everyone is one tenant, which may have all the room.
        share = 1.0 if identify is None else SHARE
        self._holding = Holding(settings.max_held_bytes, share=share)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        fault: Fault | None = None
        held = scope.setdefault("state", {})["held"] = Held(self._holding)
        self._traffic.under_way += 1
        try:
            fault = await self._refusal(scope)
            if fault is None:
                await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            fault = STOPPING
        except Exception:
            # The one place that may catch everything: the log learns why, the caller does not.
            log.exception("a request failed unexpectedly")
            fault = UNEXPECTED
        finally:
            held.release()
            self._traffic.under_way -= 1
        # Where a response has begun the server closes the connection: an answer that broke off
        # must not look complete.
        if fault is not None and not began:
            await fault.response(scope["path"])(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Fault | None:
        """Why `scope` may not come in; ``None``, and its caller known, where it may."""
        found: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name not in ONCE:
                continue
            if name in found:  # a proxy before us may have looked at the other one
                return Fault(status=400, message=f"more than one {name.decode()!r} header was sent")
            found[name] = value
        fault = self._misdirected(found.get(b"host", b""), found.get(b"origin", b""))
        if fault is not None or scope["path"] in OPEN_PATHS:
            return fault
        try:
            token = _token(found.get(b"authorization", b""), found.get(b"x-api-key", b""))
            caller = await self._caller(token)
        except EmafusionError as error:
            return fault_of(error)
        if caller is None:
            return UNKNOWN
        scope["state"]["caller"] = caller
        scope["state"]["held"].tenant = caller.tenant
        return None

    async def _caller(self, token: bytes) -> Caller | None:
        if self._key is None and self._identify is None:
            return ANYONE
        if self._key is not None and hmac.compare_digest(_digest(token), self._key):
            return ANYONE
        if self._identify is None or not token:
            return None
        return await self._identify(token.decode("latin-1"))

    def _misdirected(self, host: bytes, origin: bytes) -> Fault | None:
        """A web page can make its visitor's browser call loopback; it cannot hide that it did."""
        if self._hosts is None:
            return None
        if _hostname(b"//" + host) not in self._hosts:
            return Fault(
                status=421,
                message="this server answers to its own address only, not to the Host sent; "
                f"use one of: {', '.join(sorted(self._hosts))}",
                code="unknown_host",
            )
        if origin and _hostname(origin) not in self._hosts:
            return Fault(
                status=403,
                message="this server takes no requests from web pages of other sites",
                code="foreign_origin",
            )
        return None


UNKNOWN = Fault(
    status=401,
    message="give a key of this server's as 'Authorization: Bearer KEY'",
    code="invalid_api_key",
)


def _token(authorization: bytes, own: bytes) -> bytes:
    """The key that a request brings; empty where there is none."""
    scheme, _, key = authorization.partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else own.strip()


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _hostname(address: bytes) -> str | None:
    """The name in an address, without its port; ``None`` where it is no address."""
    try:
        return urlsplit(address.decode("latin-1")).hostname
    except ValueError:
        return None
