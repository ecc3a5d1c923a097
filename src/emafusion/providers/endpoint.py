"""One HTTP address: pooled connections, its key, and what can go wrong on the way.

It knows aiohttp; it does not know what is said over the connections. The key appears in no message
and in no representation; the address in no message, for callers read those: the log has it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from emafusion.errors import BadResponseError, ConfigError, ProviderError, UnavailableError
from emafusion.providers.ending import BrokenOff
from emafusion.providers.outgoing import HEADERS
from emafusion.providers.redact import places, redacted
from emafusion.providers.refusals import refusal
from emafusion.types import Call

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

log = logging.getLogger("emafusion.providers")

_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where the words of a class's name part."""
CONNECTIONS = 512
LARGEST_BODY = 32 << 20
LARGEST_VECTORS = 64 << 20
"""Of embeddings: 2,048 vectors of 3,072 numbers are 34 MiB."""
LARGEST_ERROR = 64 << 10
LARGEST_HELD = 256 << 20
"""Bytes of whole answers that may be read from one address at a time."""


class Endpoint:
    """An address to post calls to.

    Parameters
    ----------
    base_url : str
        The address up to and including its version, such as ``http://127.0.0.1:8000/v1``.
    api_key : str, optional
        Sent as a bearer token.
    headers : mapping of str to str, optional
        Sent with every request.
    connect_timeout_s : float
        Seconds to wait for a connection.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None,
        headers: Mapping[str, str] | None,
        connect_timeout_s: float,
    ) -> None:
        self.base_url = _checked_url(base_url)
        self.connect_timeout_s = connect_timeout_s
        # Nothing compressed is asked for: what one message unpacks to would have no bound.
        self._headers = {
            "User-Agent": "emafusion",
            "Content-Type": "application/json",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
        }
        self._headers |= headers or {}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        for name, value in self._headers.items():
            if not value.isprintable():
                raise ConfigError(f"the header {name!r} or the api_key has a line break in it")
        self.secrets = (api_key, *(headers or {}).values(), *places(self.base_url))
        self._held = 0
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, ClientSession] = (
            WeakKeyDictionary()
        )

    def __repr__(self) -> str:
        return f"Endpoint({redacted(self.base_url)!r})"

    def warm(self) -> None:
        """Load the HTTP library and make the running loop's pool: a third of a second, once."""
        self._session()

    async def post(self, path: str, data: bytes, call: Call) -> ClientResponse:
        """The response to `data`, its status 200 and its body unread; any other status raises."""
        turned: list[bool] = []
        asyncio.get_running_loop().call_soon(turned.append, True)
        with ConnectionErrors(call):
            response = await self._session().post(
                f"{self.base_url}/{path}",
                data=data,
                headers=HEADERS.get() or None,
                allow_redirects=False,
            )
        try:
            if not turned:
                # The loop has not turned since, so it was there before the question was sent.
                raise BrokenOff(
                    f"the upstream of {call.model.name!r} had answered before it was asked",
                    call.model.name,
                    begun=False,
                )
            _check_plain(response, call)
            if response.status == 200:
                return response
            body = await self._complaint(response, call)
        except BaseException:
            response.close()
            raise
        response.release()
        raise refusal(
            response.status,
            body,
            model=call.model,
            headers=response.headers,
            secrets=self.secrets,
        )

    async def body(self, response: ClientResponse, call: Call) -> bytes:
        """All of `response`; raises where it is too long, alone or with others that are read now.

        Many long answers at once would together need more memory than each is allowed.
        """
        mine = 0
        pieces: list[bytes] = []
        try:
            async for block in blocks(response, call):
                pieces.append(block)
                mine += len(block)
                self._held += len(block)
                if self._held > LARGEST_HELD:
                    raise BadResponseError(
                        f"the upstream of {call.model.name!r} sends more at once than "
                        f"{LARGEST_HELD >> 20} MiB in all; the rest was not read",
                        call.model.name,
                    )
            return b"".join(pieces)
        finally:
            self._held -= mine

    async def status(self, path: str) -> int | None:
        """The status of a ``GET``, ``None`` where there is no answer."""
        import aiohttp

        try:
            async with self._session().get(
                f"{self.base_url}/{path}", allow_redirects=False
            ) as response:
                return response.status
        except (aiohttp.ClientError, OSError):
            return None

    async def aclose(self) -> None:
        """Close every pooled connection."""
        here = asyncio.get_running_loop()
        sessions = dict(self._sessions)
        self._sessions.clear()
        for loop, session in sessions.items():
            if loop is here:
                await session.close()
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(session.close(), loop))
            else:
                # Its loop is gone, and its sockets with it.
                session.detach()

    def _session(self) -> ClientSession:
        """The running loop's pool of connections."""
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            session = self._sessions[loop] = self._opened()
        return session

    def _opened(self) -> ClientSession:
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

        return ClientSession(
            connector=TCPConnector(limit=CONNECTIONS),
            timeout=ClientTimeout(total=None, sock_connect=self.connect_timeout_s),
            headers=self._headers,
            proxy=_proxy(self.base_url),
            auto_decompress=False,
            # What one caller's answer sets must not be sent with another's question.
            cookie_jar=DummyCookieJar(),
        )

    async def _complaint(self, response: ClientResponse, call: Call) -> bytes:
        """As much of an error's body as a message needs."""
        body = b""
        async for block in blocks(response, call):
            body += block
            if len(body) > LARGEST_ERROR:
                break
        return body[:LARGEST_ERROR]


class Patience:
    """Until when an upstream's next word is waited for, in the loop's time.

    Until the `deadline`; once the answer has begun, never longer than `stall_s` seconds since it
    last went on. A sign of life that is no part of the answer does not count.
    """

    def __init__(self, deadline: float, stall_s: float) -> None:
        self._deadline = deadline
        self._stall_s = stall_s
        self._heard = math.inf
        self._now = asyncio.get_running_loop().time

    def heard(self) -> None:
        """The answer went on."""
        self._heard = self._now()

    @property
    def until(self) -> float:
        """The end of the wait."""
        return min(self._deadline, self._heard + self._stall_s)

    @property
    def stalled(self) -> bool:
        """Whether it is the answer that stopped, with time left."""
        return self.until < self._deadline


async def blocks(
    response: ClientResponse, call: Call, *, patience: Patience | None = None
) -> AsyncGenerator[bytes]:
    """The bytes of `response` as they come, 32 MiB at most, of embeddings 64.

    `patience` bounds the waits for the upstream (``TimeoutError`` at the deadline, a
    :class:`~emafusion.providers.ending.BrokenOff` when it stalls): never the time that the consumer
    takes, which is not the upstream's fault.
    """
    size = 0
    most = LARGEST_VECTORS if call.purpose == "embed" else LARGEST_BODY
    while True:
        block = await _block(response, call, patience)
        if not block:
            return
        size += len(block)
        if size > most:
            raise BadResponseError(
                f"the upstream of {call.model.name!r} sent more than {most >> 20} MiB; "
                f"the rest was not read",
                call.model.name,
            )
        yield block


async def _block(response: ClientResponse, call: Call, patience: Patience | None) -> bytes:
    with ConnectionErrors(call, begun=True):
        if patience is None:
            return await response.content.readany()
        try:
            async with asyncio.timeout_at(patience.until):
                return await response.content.readany()
        except TimeoutError:
            if not patience.stalled:
                raise
    raise BrokenOff(f"{call.model.name!r} stopped in the middle of its answer", call.model.name)


class ConnectionErrors:
    """A block in which what may happen to a connection is raised as an error of ours.

    `begun` once the upstream answers on it. A class, since every call has three such blocks and a
    generator takes longer.
    """

    __slots__ = ("_begun", "_call")

    def __init__(self, call: Call, *, begun: bool = False) -> None:
        self._call = call
        self._begun = begun

    def __enter__(self) -> None:
        """Nothing has happened yet."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            found = _translated(error, self._call.model.name, begun=self._begun)
            if found is not None:
                raise found from None


def _translated(error: Exception, name: str, *, begun: bool) -> ProviderError | None:
    """`error` as ours, ``None`` where it is none of a connection."""
    import aiohttp

    match error:
        case aiohttp.ClientResponseError():
            return BadResponseError(
                f"the upstream of {name!r} does not speak HTTP as it should "
                f"({redacted(error.message)[:80]!r})",
                name,
            )
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return UnavailableError(_lost(name, error), name)
        case aiohttp.ClientPayloadError():
            return BrokenOff(_lost(name, error), name)
        case TimeoutError():
            return None
        case aiohttp.ClientError() | OSError():
            return BrokenOff(_lost(name, error), name, begun=begun)
    return None


def _lost(name: str, error: Exception) -> str:
    """What callers are told of a lost connection: its kind, without where it led."""
    log.warning("no connection to the upstream of %r: %s", name, redacted(str(error)))
    return f"no connection to the upstream of {name!r}: {_kind(error)}"


def _kind(error: Exception) -> str:
    """Why a connection failed, in the system's words where it has any."""
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    words = _WORDS.sub(" ", type(error).__name__).lower()
    return words.removeprefix("client ").removesuffix(" error")


def _check_plain(response: ClientResponse, call: Call) -> None:
    """Refuse a compressed body, which was not asked for."""
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise BadResponseError(
            f"the upstream of {call.model.name!r} sent a body in the encoding {coding[:40]!r}, "
            f"although it was asked for none",
            call.model.name,
        )


def _proxy(url: str) -> str | None:
    """The proxy that the system or the environment names for `url` (``HTTPS_PROXY``, ``NO_PROXY``).

    Looked up once for a pool: for every call it would cost more time than the rest of the call.
    """
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    if proxy_bypass(parts.hostname or "") or proxy_bypass(address):
        return None
    return getproxies().get(parts.scheme)


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:  # such as half a pair of brackets
        known = False
    if not known:
        raise ConfigError(
            f"the base_url {redacted(url)!r} is no address; write one such as "
            f"'http://127.0.0.1:8000/v1'"
        )
    return url.rstrip("/").removesuffix("/chat/completions")
