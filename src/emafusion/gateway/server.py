"""Serves the application from one process: binds, says so, and on a signal stops in good order.

Knows uvicorn, sockets and signals. It opens nothing to other machines unless it is told twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

from emafusion.client import Client
from emafusion.errors import ConfigError
from emafusion.gateway.routes import app
from emafusion.gateway.settings import LOOPBACK, Settings

if TYPE_CHECKING:
    import uvicorn


def run(
    client: Client,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    settings: Settings | None = None,
    allow_remote: bool = False,
    ready: Callable[[str], Coroutine[None, None, None] | None] | None = None,
) -> None:
    """Serve `client` until SIGINT or SIGTERM; requests under way are finished, then it is closed.

    Parameters
    ----------
    client : Client
        What :func:`emafusion.load` built.
    host, port
        The address to serve at; port 0 takes any that is free.
    settings : Settings, optional
        Its key and its bounds. Their ``hosts`` are set here: a loopback address answers to
        loopback names alone, any other address to every name.
    allow_remote : bool
        Serve other machines even without an API key.
    ready : callable, optional
        Told the server's URL once it answers. What it returns, if anything, is done beside the
        serving, and cancelled when that ends.

    Raises
    ------
    ConfigError
        The address cannot be had, or is open to other machines without a key.
    """
    settings = settings or Settings()
    local = _is_loopback(host)
    if not local and settings.api_key is None and not allow_remote:
        raise ConfigError(
            f"host {host!r} is open to other machines, and anyone there could spend your money: "
            "set an API key with --api-key-env NAME, or pass --allow-remote if you mean it"
        )
    settings = replace(settings, hosts=LOOPBACK | {host.lower()} if local else None)
    with contextlib.closing(_bind(host, port)) as bound:
        server = _server(client, settings, told=lambda: ready(_url(bound)) if ready else None)
        with _quiet_ending():
            server.run(sockets=[bound])


def _server(
    client: Client, settings: Settings, told: Callable[[], Coroutine[None, None, None] | None]
) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        beside: asyncio.Task[None] | None = None

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await client.warm()
            await super().startup(sockets)
            work = told()
            if work is not None:
                self.beside = asyncio.create_task(work)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            if self.beside is not None:
                self.beside.cancel()
                await asyncio.wait([self.beside])
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app(client, settings),
        http=_protocol(settings.max_head_bytes),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.drain_s)),
        h11_max_incomplete_event_size=settings.max_head_bytes,
    )
    return Server(config)


def _protocol(max_head_bytes: int) -> type[asyncio.Protocol] | str:
    try:
        from emafusion.gateway.heads import bounded
    except ImportError:
        return "h11"
    return bounded(max_head_bytes)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        raise ConfigError(
            f"cannot serve at {host!r} port {port}: {error}; choose another with --host or --port"
        ) from error
    return bound


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def _quiet_ending() -> Iterator[None]:
    """Let a signal end the process without a traceback: uvicorn raises it again when it is done."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    try:
        before = {each: signal.signal(each, leave) for each in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals are someone else's
        before = {}
    try:
        yield
    except SystemExit as ended:
        if ended.code != 0:
            raise
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
