"""When a process says that requests should be sent to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from emafusion.errors import ConfigError, StoreError
from emafusion.gateway.operations import Operations
from emafusion.gateway.readiness import Readiness, answering, recording
from emafusion.record import Memory, Store

from .parts import Refusing, Script, client_of
from .telemetry.house import operated


class Switch:
    """A check that can be made to fail."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure

    async def __call__(self) -> None:
        if self.failure is not None:
            raise self.failure


def test_it_is_ready_once_every_check_was_made() -> None:
    first, second = Switch(), Switch(ConfigError("no policy"))
    readiness = Readiness({"first": first, "second": second})
    assert not readiness.ready
    assert not asyncio.run(readiness.look())
    second.failure = None
    assert asyncio.run(readiness.look())


def test_a_draining_process_is_not_ready_whatever_its_checks_say() -> None:
    readiness = Readiness({})
    assert readiness.ready
    Operations(readiness=readiness).drain()
    assert not readiness.ready


def test_a_check_that_hangs_is_a_failure() -> None:
    async def hanging() -> None:
        await asyncio.Event().wait()

    readiness = Readiness({"database": hanging})
    assert not asyncio.run(readiness.look())


@pytest.fixture
def switch() -> Switch:
    return Switch()


@pytest.fixture
def readiness(switch: Switch) -> Iterator[Readiness]:
    yield Readiness({"database": switch}, fields=lambda: {"policy": "p7"})


def test_readyz_tells_what_is_wrong_and_needs_no_work(switch: Switch, readiness: Readiness) -> None:
    with operated(client_of({"small": Script()}), Operations(readiness=readiness)) as house:
        reply = house.get("/readyz")
        assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
        assert reply.json == {"status": "ready", "checks": {"database": "ok"}, "policy": "p7"}
        switch.failure = StoreError("cannot write '/var/lib/secret.db'")
        # Asking makes no check: what was found last is told.
        assert house.get("/readyz").status == 200
        asyncio.run(readiness.look())
        reply = house.get("/readyz")
        assert reply.status == 503
        assert reply.json["status"] == "not ready"
        assert "secret" not in reply.content.decode()
        readiness.draining = True
        assert house.get("/readyz").json["status"] == "draining"
        assert house.get("/healthz").status == 200


async def test_checks_are_made_again_and_again(switch: Switch, readiness: Readiness) -> None:
    async with readiness.running(0.01):
        assert readiness.ready
        switch.failure = StoreError("gone")
        await asyncio.sleep(0.1)
        assert not readiness.ready
        switch.failure = None
        await asyncio.sleep(0.1)
        assert readiness.ready


async def test_the_record_must_be_writable(tmp_path: Path) -> None:
    store = Store(tmp_path / "record.db")
    client = client_of({"small": Script()}, recorder=store)
    readiness = Readiness({"record": recording(lambda: client)})
    assert await readiness.look()
    broken = client_of({"small": Script()}, recorder=Store(tmp_path / "no" / "record.db"))
    (tmp_path / "no").write_text("a file where a folder should be")
    unready = Readiness({"record": recording(lambda: broken)})
    assert not await unready.look()
    await client.aclose()
    await broken.aclose()


@pytest.mark.parametrize(("failure", "ready"), [(None, True), (StoreError("gone"), False)])
async def test_a_record_that_cannot_be_tried_is_read(
    failure: StoreError | None, ready: bool
) -> None:
    recorder = Memory() if failure is None else Refusing(failure)
    async with contextlib.aclosing(client_of({"small": Script()}, recorder=recorder)) as client:
        assert await Readiness({"record": recording(lambda: client)}).look() is ready


async def test_a_model_must_be_left_that_may_be_asked() -> None:
    states = {"small": "open", "large": "closed"}
    async with contextlib.aclosing(client_of({"small": Script(), "large": Script()})) as client:
        readiness = Readiness({"models": answering(lambda: client, lambda: states)})
        assert await readiness.look()
        states["large"] = "half-open"
        assert await readiness.look()
        states["large"] = "open"
        assert not await readiness.look()
        del states["small"]
        assert await readiness.look()
