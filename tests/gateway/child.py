"""A process that serves scripted models until it is stopped; prints its address, then its end.

Run as ``python -m gateway.child RECORD DRAIN_S`` in the folder of the tests.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine

from emafusion import gateway
from emafusion.record import Store

from .parts import Script, client_of


async def beside() -> None:
    """Work that only the server's end ends."""
    try:
        await asyncio.Event().wait()
    finally:
        os.write(1, b"stopped\n")


def told(url: str) -> Coroutine[None, None, None]:
    os.write(1, f"{url}\n".encode())
    return beside()


def main(path: str, drain_s: str) -> None:
    scripts = {
        "small": Script(),
        "musing": Script(wait_s=1.0),
        "steady": Script(text="word " * 10, pace_s=0.05),
        "silent": Script(wait_s=60.0),
        "slow": Script(text="word " * 600, pace_s=0.1),
    }
    client = client_of(scripts, recorder=Store(path))
    gateway.run(client, port=0, settings=gateway.Settings(drain_s=float(drain_s)), ready=told)
    provider = client.engine.providers["scripted"]
    # One unbuffered write, so that it is seen even if the interpreter dies after it.
    os.write(1, b"closed\n" if getattr(provider, "closed", False) else b"left open\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
