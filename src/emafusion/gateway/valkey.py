"""The connection to Valkey that workers share: bounded in time, and left alone while it is down.

Knows the client library and its failures. Knows no limit and no cache.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from emafusion.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

log = logging.getLogger("emafusion.gateway")

T = TypeVar("T")

TRIED = "emafusion:tried"
"""What is written to find out whether Valkey can be written."""
TRIED_S = 60
"""How long it stays, seconds."""


class Down(Exception):  # noqa: N818 - a state, not a mistake
    """Valkey does not answer, or not as it should."""


class Link:
    """One worker's connections to Valkey.

    After a failure it is not asked again for `retry_s` seconds, so that a Valkey that hangs costs
    one request in `retry_s` the wait of `timeout_s`, and not all of them.

    Parameters
    ----------
    url : str
        ``valkey://``, ``valkeys://`` (TLS) or ``unix://``, as the client library reads it. Never
        shown: it may hold a password.
    timeout_s : float
        How long connecting, and each command, may take.
    retry_s : float
        How long to leave it alone after a failure.
    most : int
        Connections, and so commands, at once; further ones wait their turn.
    tick : callable
        Seconds of a clock that never goes back.

    Raises
    ------
    MissingExtraError
        The client library is not installed.
    ConfigError
        The URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 0.5,
        retry_s: float = 1.0,
        most: int = 32,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = _client(url, timeout_s, most)
        self._turns = asyncio.Semaphore(most)
        self._retry_s = retry_s
        self._tick = tick
        self._rest_until = 0.0
        self._well = True

    async def ask(self, command: Callable[[Valkey], Awaitable[T]]) -> T:
        """What `command` brings; raises :class:`Down`, at once while Valkey is left alone."""
        from valkey.exceptions import ValkeyError

        # Whoever waits for a connection waits for the others' commands, and that is no failure.
        async with self._turns:
            if not self._well:
                if self._tick() < self._rest_until:
                    raise Down
                # One request finds out; the others of this moment go without.
                self._rest_until = self._tick() + self._retry_s
            try:
                found = await command(self._client)
            except (ValkeyError, OSError, TimeoutError) as failure:
                self._ail(failure)
                raise Down from failure
        if not self._well:
            self._well = True
            log.warning("Valkey answers again")
        return found

    @property
    def well(self) -> bool:
        """Whether it answered when it was last asked."""
        return self._well

    async def answers(self) -> bool:
        """Whether it can be written now, as everything it is used for needs; never raises."""
        try:
            await self.ask(lambda client: client.set(TRIED, b"", ex=TRIED_S))
        except Down:
            return False
        return True

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _ail(self, failure: Exception) -> None:
        if self._well:
            log.warning("Valkey does not answer (%s); going on without it", type(failure).__name__)
        self._well = False
        self._rest_until = self._tick() + self._retry_s


def _client(url: str, timeout_s: float, most: int) -> Valkey:
    try:
        from valkey.asyncio import ConnectionPool, Valkey
    except ImportError as missing:
        raise MissingExtraError("valkey", "valkey") from missing
    try:
        pool = ConnectionPool.from_url(
            url,
            max_connections=most,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )
    except ValueError as wrong:
        raise ConfigError(
            "the URL of Valkey must begin with valkey://, valkeys:// or unix://"
        ) from wrong
    return Valkey.from_pool(pool)
