"""The outermost layer: who may come in, and that nothing gets out but an answer.

Knows a request's headers and whether its response has begun. Knows no route.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emafusion.gateway.faults import STOPPING, UNEXPECTED, Fault
from emafusion.gateway.settings import Settings

log = logging.getLogger("emafusion.gateway")

OPEN_PATHS = frozenset({"/healthz"})
"""What a caller without a key may ask for."""


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
    """Refuses callers that may not come in, and answers for whatever fails behind it."""

    def __init__(self, app: ASGIApp, settings: Settings, traffic: Traffic) -> None:
        self._app = app
        self._hosts = settings.hosts
        self._key = None if settings.api_key is None else _digest(settings.api_key.encode())
        self._traffic = traffic

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

        fault: Fault | None = self._refusal(scope)
        self._traffic.under_way += 1
        try:
            if fault is None:
                await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            fault = STOPPING
        except Exception:
            # The one place that may catch everything: the log learns why, the caller does not.
            log.exception("a request failed unexpectedly")
            fault = UNEXPECTED
        finally:
            self._traffic.under_way -= 1
        # Where a response has begun the server closes the connection: an answer that broke off
        # must not look complete.
        if fault is not None and not began:
            await fault.response()(scope, receive, send)

    def _refusal(self, scope: Scope) -> Fault | None:
        host = origin = authorization = b""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"authorization":
                authorization = value
        return self._misdirected(host, origin) or self._unknown(scope["path"], authorization)

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

    def _unknown(self, path: str, authorization: bytes) -> Fault | None:
        if self._key is None or path in OPEN_PATHS:
            return None
        scheme, _, key = authorization.partition(b" ")
        known = hmac.compare_digest(_digest(key.strip()), self._key)
        if known and scheme.lower() == b"bearer":
            return None
        return Fault(
            status=401,
            message="give this server's API key as 'Authorization: Bearer KEY'",
            code="invalid_api_key",
        )


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _hostname(address: bytes) -> str | None:
    """The name in an address, without its port; ``None`` where it is no address."""
    try:
        return urlsplit(address.decode("latin-1")).hostname
    except ValueError:
        return None
