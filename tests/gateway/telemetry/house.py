"""A server with everything that operators get, over scripted models."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence

import uvicorn

from emafusion import gateway
from emafusion.client import Client
from emafusion.gateway.callers import Gate
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.operations import Operations
from emafusion.gateway.telemetry.observations import Witness

from ..parts import Served, until


@contextlib.contextmanager
def operated(
    client: Client, operations: Operations, gates: Sequence[Gate] = (), key: str | None = None
) -> Iterator[Served]:
    """The gateway to `client` with its `operations`, listening on a port of its own."""
    exchange = Exchange(client, (Witness(), *gates))
    with opened(exchange, operations, key) as found:
        yield found


@contextlib.contextmanager
def opened(exchange: Exchange, operations: Operations, key: str | None = None) -> Iterator[Served]:
    """The gateway through `exchange`."""
    app = gateway.app(exchange, gateway.Settings(api_key=key))
    operations.join(app)
    config = uvicorn.Config(app, port=0, ws="none", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(f"http://127.0.0.1:{port}", port, exchange.client, server)
    finally:
        server.should_exit = True
        thread.join()


def asking(text: str = "Hi", *, model: str = "emafusion", **fields: object) -> Mapping[str, object]:
    """A chat request's body."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}
