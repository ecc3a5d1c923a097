"""Serves the application from one process: binds, says so, and on a signal stops in good order.

Knows uvicorn, sockets and signals. It opens nothing to other machines unless it is told twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any

from emafusion.client import Client
from emafusion.errors import ConfigError, StoreError
from emafusion.gateway import garbage
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.operations import Operations
from emafusion.gateway.readiness import recording
from emafusion.gateway.routes import app
from emafusion.gateway.settings import LOOPBACK, Settings
from emafusion.gateway.signals import hear

if TYPE_CHECKING:
    import uvicorn

    from emafusion.gateway.workers import Leash

LOOK_TICKS = 10
"""How many of the server's ticks, a tenth of a second each, until connections are looked at."""
LATE_S = 0.1
"""How long a stopping server listens to connections that it has accepted, seconds."""
Ready = Callable[[str], Coroutine[None, None, None] | None]
"""Told the server's URL once it answers. What it returns, if anything, is done beside the serving,
and cancelled when that ends."""


def run(
    client: Client,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    settings: Settings | None = None,
    allow_remote: bool = False,
    ready: Ready | None = None,
) -> None:
    """Serve `client` until SIGINT or SIGTERM; requests under way are finished, then it is closed.

    Parameters
    ----------
    client : Client
        What :func:`emafusion.load` built.
    host, port
        The address to serve at; port 0 takes any that is free.
    settings : Settings, optional
        Its key and its bounds. Their ``hosts`` are set here, as by :func:`answering_to`.
    allow_remote : bool
        Serve other machines even without an API key.
    ready : callable, optional
        Told once the server answers; see :data:`Ready`.

    Raises
    ------
    ConfigError
        The address cannot be had, or is open to other machines without a key.
    """
    settings = answering_to(host, settings or Settings(), allow_remote=allow_remote)
    serve(client, bind(host, port), settings=settings, ready=ready)


def serve(
    client: Client | Exchange,
    bound: socket.socket,
    *,
    settings: Settings,
    ready: Ready | None = None,
    operations: Operations | None = None,
    leash: Leash | None = None,
) -> None:
    """Serve at a socket until SIGINT or SIGTERM; SIGHUP reloads, where there is what to reload.

    SIGTERM first makes ``/readyz`` say no for ``operations.grace_s``; then, as with SIGINT at once,
    the socket is closed and requests under way are finished.

    Parameters
    ----------
    client : Client or Exchange
        Who answers.
    bound : socket
        Where; closed in the end.
    settings : Settings
        The key and the bounds.
    ready : callable, optional
        As for :func:`run`.
    operations : Operations, optional
        What operators get.
    leash : Leash, optional
        What ties this process to the one that started it.

    Raises
    ------
    EmafusionError
        It cannot begin, such as for a database that is away; or not end in good order.
    """
    told = None if ready is None else lambda: ready(_url(bound))
    # The other half is for upstreams, databases and what else a request opens.
    most = min(settings.max_connections, _open_files() // 2)
    settings = replace(settings, max_connections=most)
    with contextlib.closing(bound):
        server = _server(client, settings, told=told, operations=operations, leash=leash)
        with _quiet_ending(), garbage.seldom():
            server.run(sockets=[bound])


def answering_to(host: str, settings: Settings, *, allow_remote: bool = False) -> Settings:
    """`settings` for serving at `host`: loopback answers to loopback names, others to every name.

    Raises :class:`ConfigError` where the address is open to other machines without a key.
    """
    local = _is_loopback(host)
    if not local and settings.api_key is None and not allow_remote:
        raise ConfigError(
            f"host {host!r} is open to other machines, and anyone there could spend your money: "
            "set an API key with --api-key-env NAME, or pass --allow-remote if you mean it"
        )
    return replace(settings, hosts=LOOPBACK | {host.lower()} if local else None)


def bind(host: str, port: int) -> socket.socket:
    """A socket at an address; raises :class:`ConfigError` where it cannot be had."""
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


def _server(
    client: Client | Exchange,
    settings: Settings,
    told: Callable[[], Coroutine[None, None, None] | None] | None,
    *,
    operations: Operations | None = None,
    leash: Leash | None = None,
) -> uvicorn.Server:
    import uvicorn

    exchange = client if isinstance(client, Exchange) else Exchange(client)
    doing = operations or Operations()

    class Server(uvicorn.Server):
        beside: asyncio.Task[None] | None = None
        closes_at: float | None = None
        life = contextlib.AsyncExitStack()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            self.life = await _begun(exchange, self.config.app)
            await super().startup(sockets)
            garbage.set_aside()
            if told is not None and (work := told()) is not None:
                self.beside = asyncio.create_task(work)
            if leash is not None:
                leash.hold(lost=self.stop)
            _reload_on_sighup(doing, leash)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            doing.drain()
            for each in self.servers:
                each.close()
            # Who was let in a moment ago has a question on its way: closing now would cut it off.
            await asyncio.sleep(LATE_S)
            if self.beside is not None:
                self.beside.cancel()
                await asyncio.wait([self.beside])
            await super().shutdown(sockets)
            if not self.force_exit:
                await self.life.aclose()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            doing.drain()
            if sig == signal.SIGTERM and self.closes_at is None and doing.grace_s > 0:
                self._captured_signals.append(sig)
                self.closes_at = time.monotonic() + doing.grace_s
            else:
                super().handle_exit(sig, frame)

        async def on_tick(self, counter: int) -> bool:
            if self.closes_at is not None and time.monotonic() >= self.closes_at:
                self.should_exit = True
            _look(self.server_state.connections, counter)
            return await super().on_tick(counter)

        def stop(self) -> None:
            doing.drain()
            self.should_exit = True

    return Server(_config(exchange, settings, doing))


async def _begun(exchange: Exchange, application: Any) -> contextlib.AsyncExitStack:
    """What ends the application's life; where that cannot begin, what was opened for it is closed.

    Uvicorn would log what is raised as a defect, and end the process without it.
    """
    life = contextlib.AsyncExitStack()
    async with contextlib.AsyncExitStack() as unless:
        unless.push_async_callback(_close, exchange)
        await exchange.client.warm()
        await _usable(recording(lambda: exchange.client)(), "[record] path")
        beginning = life.enter_async_context(application.router.lifespan_context(application))
        await _usable(beginning, "[gateway] accounts")
        unless.pop_all()
    return life


async def _usable(opening: Awaitable[object], setting: str) -> None:
    """Wait for a database; raises ``StoreError`` that says what to do where it cannot be used."""
    try:
        await opening
    except StoreError as error:
        do = f"see that it is whole and can be reached, or name another in {setting}"
        raise StoreError(f"{error}; {do}") from error


async def _close(exchange: Exchange) -> None:
    await exchange.client.aclose()
    if exchange.notes is not None:
        await exchange.notes.aclose()


def _config(exchange: Exchange, settings: Settings, operations: Operations) -> uvicorn.Config:
    import uvicorn

    application = app(exchange, settings, keeper=operations.keeper)
    operations.join(application)
    return uvicorn.Config(
        application,
        http=_protocol(settings),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=round(settings.keep_alive_s),
        timeout_graceful_shutdown=max(1, round(settings.drain_s)),
        h11_max_incomplete_event_size=settings.max_head_bytes,
    )


def _reload_on_sighup(operations: Operations, leash: Leash | None) -> None:
    """Have SIGHUP take up the configuration anew, and tell who started us when that is done."""
    reload = operations.reload
    main = threading.current_thread() is threading.main_thread()
    if reload is None or not main or sys.platform == "win32":
        return
    under_way: set[asyncio.Task[None]] = set()

    async def again() -> None:
        refused = "it failed; the log says why"
        try:
            refused = "" if await reload() else reload.refused or refused
        finally:
            if leash is not None:
                leash.tell(refused)

    def begin() -> None:
        task = asyncio.create_task(again())
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, begin)
    hear(signal.SIGHUP)


def _protocol(settings: Settings) -> type[asyncio.Protocol] | str:
    try:
        from emafusion.gateway.heads import bounded
    except ImportError:
        return "h11"
    return bounded(settings)


def _look(connections: Iterable[object], tick: int) -> None:
    """End connections that do not get on, where their protocol can tell: not at every tick."""
    if tick % LOOK_TICKS:
        return
    try:
        from emafusion.gateway.heads import look
    except ImportError:
        return
    look(connections, asyncio.get_running_loop().time())


def _open_files() -> int:
    """How many files this process may have open, after asking for as many as it may have."""
    try:
        import resource
    except ImportError:  # not on Windows, which has no such limit
        return sys.maxsize
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # Where the system has a lower limit of its own, or a filter, the soft one stays.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


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
