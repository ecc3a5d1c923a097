"""A process with everything that operators get, serving until it is stopped.

Run as ``python -m gateway.operating JSON`` in the folder of the tests. The JSON's ``answers`` names
a file whose text is what the model says; ``workers`` above 0 makes it a parent of that many.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from emafusion import gateway
from emafusion.client import Client
from emafusion.errors import ConfigError
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.operations import Operations
from emafusion.gateway.readiness import Readiness, recording
from emafusion.gateway.reload import Reload
from emafusion.gateway.server import bind, serve
from emafusion.gateway.signals import put_off
from emafusion.gateway.telemetry.accounting import Baseline
from emafusion.gateway.telemetry.metrics import Metrics
from emafusion.gateway.telemetry.observations import Witness
from emafusion.gateway.telemetry.sampler import Sampler
from emafusion.gateway.texts import Start, Texts
from emafusion.gateway.workers import COUNTS, Leash, Workers
from emafusion.record import Store

from .parts import Script, client_of


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is told."""

    record: str
    answers: str
    drain_s: float = 5.0
    grace_s: float = 0.0
    workers: int = 0
    starts: str = ""
    """A file that whoever is about to serve adds its number to, to be slow then."""


def built(told: Told) -> Client:
    """A client whose model says what the file says; an empty file is a mistake."""
    text = Path(told.answers).read_text()
    if not text:
        raise ConfigError(f"{told.answers!r} says nothing; write an answer in it")
    scripts = {
        "small": Script(text=text),
        "musing": Script(text=text, wait_s=1.0),
        "silent": Script(wait_s=60.0),
        "who": Script(text=str(os.getpid())),
    }
    return client_of(scripts, recorder=Store(told.record))


def worker(told: Told, bound: socket.socket, leash: Leash | None, folder: Path | None) -> None:
    """Serve at `bound`."""
    exchange = Exchange(built(told), (Witness(),))
    metrics = Metrics(Baseline(lambda: exchange.client.engine.models), folder=folder)
    reload = Reload(exchange, lambda: built(told), told=metrics.reloaded)
    checks = {"record": recording(lambda: exchange.client)}
    operations = Operations(
        readiness=Readiness(checks, fields=reload.fields),
        metrics=metrics,
        sampler=Sampler(metrics),
        listeners=(metrics,),
        reload=reload,
        grace_s=told.grace_s,
    )
    settings = gateway.Settings(drain_s=told.drain_s)
    serve(exchange, bound, settings=settings, operations=operations, leash=leash, ready=say)


def dawdle(told: Told) -> None:
    """Take a second to start, for tests that want to find it starting."""
    if told.starts:
        with Path(told.starts).open("a") as file:
            file.write(f"{os.getpid()} {os.getppid()}\n")
        time.sleep(1.0)


def say(url: str) -> None:
    os.write(1, f"{url}\n".encode())


def parent(told: Told, bound: socket.socket, environment: Mapping[str, str]) -> int:
    """Keep workers; say the address, and the parent's exit status."""
    inner = msgspec.structs.replace(told, workers=0)

    def command(listening: int, leash: int, _: Start) -> Sequence[str]:
        text = msgspec.json.encode(inner).decode()
        return [sys.executable, "-m", "gateway.operating", text, str(listening), str(leash)]

    kept = Workers(
        command,
        bound,
        count=told.workers,
        stop_s=told.drain_s + 5.0,
        environment=environment,
        texts=Texts("", lambda: ""),
    )
    return kept.run()


def main(text: str, listening: str = "", leash: str = "") -> int:
    told = msgspec.json.decode(text, type=Told)
    if listening:
        dawdle(told)
    put_off()
    if not listening and not told.workers:
        dawdle(told)
    environment = dict(os.environ)
    if told.workers:
        return parent(told, bind("127.0.0.1", 0), environment)
    bound = socket.socket(fileno=int(listening)) if listening else bind("127.0.0.1", 0)
    folder = environment.get(COUNTS)
    worker(
        told,
        bound,
        Leash(int(leash)) if leash else None,
        None if folder is None else Path(folder),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
