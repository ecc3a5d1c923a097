"""How a serving process ends: told beforehand, and with nothing acknowledged lost."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emafusion.record import Store

from .parts import until
from .processes import Running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def started(**told: Any) -> Running:
        running.append(Running(tmp_path, **told))
        return running[-1]

    yield started
    for each in running:
        each.kill()


def refused(running: Running) -> bool:
    try:
        running.get("/healthz")
    except ConnectionError:
        return True
    return False


def test_readyz_fails_at_once_while_the_door_stays_open_for_the_grace(
    start: Callable[..., Running],
) -> None:
    running = start(grace_s=300.0)
    assert running.get("/readyz").status == 200
    running.signal(signal.SIGTERM)
    until(lambda: running.get("/readyz").status == 503)
    assert running.get("/readyz").json["status"] == "draining"
    assert running.get("/healthz").status == 200
    assert running.ask().text == "first"
    # A second signal ends the grace.
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert refused(running)


def test_the_grace_ends_by_itself(start: Callable[..., Running]) -> None:
    running = start(grace_s=0.5)
    begun = time.monotonic()
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert time.monotonic() - begun >= 0.5


def test_ctrl_c_needs_no_grace(start: Callable[..., Running]) -> None:
    running = start(grace_s=300.0)
    running.signal(signal.SIGINT)
    assert running.end() == 0


def test_requests_under_way_are_finished_and_late_ones_recorded_as_cancelled(
    start: Callable[..., Running],
) -> None:
    running = start(drain_s=4.0, grace_s=0.2)
    musing, silent = running.asking("musing"), running.asking("silent")
    until(lambda: "emafusion_requests_under_way 3.0" in running.get("/metrics").content.decode())
    running.signal(signal.SIGTERM)
    assert musing.answer.text == "first"
    assert silent.answer.status == 503
    assert running.end() == 0
    record = {
        outcome.plan.arrangement.models[0]: outcome.error
        for outcome in asyncio.run(Store(running.record).recent(10))
        if outcome.plan is not None
    }
    assert record == {"musing": None, "silent": "CancelledError"}
