"""Upstreams that send without end, many at once: every caller is answered, memory stays bounded."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emafusion.testing.hostile import Hostile

from ..parts import Reply, until
from .conftest import settings
from .house import House, nano, opened
from .vendor import Vendor

AT_ONCE = 4
MOST_MB = 512
"""Beyond what the process takes at rest: four answers of 32 MiB, each in pieces, joined, decoded
and as text at the same time. Unbounded, three seconds of a flood are gigabytes."""
REFUSED = {"upstream_bad_response", "deadline_exceeded", "overloaded", "store_unreachable"}
FLOODS: Mapping[str, Collection[str | None]] = {
    "endless-body": REFUSED,
    "endless-events": REFUSED,
    "endless-chunks": REFUSED,
    "endless-heads": REFUSED,
    "continues": REFUSED,
    "bomb": REFUSED,
    "deep": REFUSED,
    "long-answer": {None, *REFUSED},
}


@pytest.fixture(scope="module")
def flood() -> Iterator[Hostile]:
    """The server, in a thread of its own."""
    found, loop = Hostile(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(found.__aenter__(), loop).result()
    yield found
    asyncio.run_coroutine_threadsafe(found.__aexit__(None, None, None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def shore(
    supplier: Vendor, flood: Hostile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """One process that may ask it."""
    models = "".join(
        f'[models."{name}"]\nprovider = "flood"\nusd_per_mtok_in = 1.0\nusd_per_mtok_out = 1.0\n'
        for name in FLOODS
    )
    more = (
        f'[gateway]\naccounts = "FOLDER/accounts.db"\n'
        f'[providers.flood]\ntype = "openai"\nbase_url = "{flood.base_url}"\n{models}'
    )
    with opened(tmp_path_factory.mktemp("shore"), settings(supplier, more)) as house:
        yield house


def test_floods_are_refused_within_bounds(shore: House) -> None:
    key = shore.key("ada")
    shore.cli("budget set key:ada 10 --per total")
    shore.refresh()
    assert shore.ask(key, "small").status == 200
    at_rest = _resident(shore, "VmRSS")

    def ask(told: tuple[str, bool]) -> tuple[str, str | None, float]:
        name, stream = told
        begun = time.monotonic()
        reply = shore.ask(key, name, stream=stream, knobs={"max_latency_s": 3.0})
        return name, _code(reply), time.monotonic() - begun

    asked = [(name, stream) for name in FLOODS for stream in (False, True)] * 2
    with ThreadPoolExecutor(AT_ONCE) as threads:
        said = list(threads.map(ask, asked))
    assert not [(name, code) for name, code, _ in said if code not in FLOODS[name]]
    assert max(took for _, _, took in said) < 30
    assert _resident(shore, "VmHWM") < at_rest + MOST_MB

    assert shore.ask(key, "small").status == 200
    until(lambda: shore.get("/readyz").status == 200)
    identity = shore.cli("keys show ada --json")["key"]["id"]
    recorded = sum(nano(one.cost_usd) for one in shore.outcomes().values())
    until(lambda: shore.spent(f"key:{identity}") == (recorded, 0))


def _code(reply: Reply) -> str | None:
    """The error that a reply is or ends with."""
    if reply.status != 200:
        return str(reply.error["code"])
    if not reply.headers["content-type"].startswith("text/event-stream"):
        return None
    last = reply.events[-1]
    return str(last["error"]["code"]) if isinstance(last, dict) else None


def _resident(house: House, which: str) -> float:
    """Memory of the process, MiB: ``VmRSS`` now, ``VmHWM`` at most."""
    told = Path(f"/proc/{house.process.pid}/status").read_text()
    [line] = [line for line in told.splitlines() if line.startswith(which)]
    return int(line.split()[1]) / 1024
