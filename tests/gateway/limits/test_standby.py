"""Valkey goes and comes back: what callers see meanwhile, and that it is used again."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from emafusion.errors import ConfigError, OverloadedError
from emafusion.gateway.limits import (
    Allowance,
    LocalBuckets,
    Rate,
    RateGate,
    SharedBuckets,
    Standby,
)
from emafusion.gateway.limits.standby import WhenDown
from emafusion.gateway.valkey import Link

from ..valkeys import Server
from .parts import passage
from .test_gate import let_in

RATES = (Allowance(holder="key:one", rates=(Rate(unit="requests", amount=8, period_s=3600),)),)


@pytest.fixture
def own() -> Iterator[Server]:
    """A Valkey for this test alone."""
    with tempfile.TemporaryDirectory(prefix="ema-") as folder:
        server = Server(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
async def link(own: Server) -> AsyncIterator[Link]:
    found = Link(own.url, timeout_s=0.2, retry_s=0.1)
    yield found
    await found.aclose()


def gate_of(link: Link, when_down: WhenDown, *, workers: int = 1) -> RateGate:
    buckets = Standby(
        SharedBuckets(link), LocalBuckets(time.monotonic), when_down=when_down, workers=workers
    )
    return RateGate(buckets, lambda caller: RATES)


async def test_two_workers_share_one_rate(own: Server, link: Link) -> None:
    other = Link(own.url)
    gates = gate_of(link, "open"), gate_of(other, "open")
    found = await asyncio.gather(*(let_in(gate, 10) for gate in gates))
    assert sum(found) == 8
    await other.aclose()


async def test_a_crowd_waits_its_turn_and_is_counted_right(own: Server) -> None:
    """That many requests come at once is no failure of Valkey's."""
    link = Link(own.url, timeout_s=5.0, most=4)
    found = await asyncio.gather(*(let_in(gate_of(link, "open"), 1) for _ in range(400)))
    assert sum(found) == 8
    await link.aclose()


async def test_open_lets_callers_in_up_to_the_rate_each_worker(own: Server, link: Link) -> None:
    gate = gate_of(link, "open", workers=4)
    assert await let_in(gate, 5) == 5
    own.stop()
    assert await let_in(gate, 20) == 8


async def test_share_lets_in_no_more_than_the_rate_in_all(own: Server, link: Link) -> None:
    own.stop()
    gates = [gate_of(link, "share", workers=4) for _ in range(4)]
    assert [await let_in(gate, 20) for gate in gates] == [2, 2, 2, 2]


async def test_closed_lets_nobody_in(own: Server, link: Link) -> None:
    own.stop()
    gate = gate_of(link, "closed")
    with pytest.raises(OverloadedError) as told:
        async with gate.open(passage()):
            pass
    assert told.value.retry_after_s == 1.0


async def test_it_is_used_again_once_it_is_back(own: Server, link: Link) -> None:
    gate = gate_of(link, "closed")
    own.stop()
    with pytest.raises(OverloadedError):
        await let_in(gate, 1)
    own.start()
    await asyncio.sleep(0.15)
    assert await let_in(gate, 20) == 8


async def test_a_hanging_valkey_costs_one_wait_not_one_each(own: Server) -> None:
    link = Link(own.url, timeout_s=0.5, retry_s=600.0)
    gate = gate_of(link, "open")
    await let_in(gate, 1)
    own.pause(600_000)
    began = time.monotonic()
    # One each were 60 s.
    assert await let_in(gate, 120) == 8
    assert time.monotonic() - began < 20.0
    await link.aclose()


async def test_whether_it_answers_is_known_without_requests(own: Server, link: Link) -> None:
    assert await link.answers()
    own.stop()
    assert not await link.answers()
    own.start()
    await asyncio.sleep(0.15)
    assert await link.answers()


async def test_one_that_cannot_be_written_does_not_answer(own: Server, link: Link) -> None:
    """Rates and answers are written: that it can be read is no use."""
    await link.ask(lambda client: client.replicaof("127.0.0.1", 1))
    assert not await link.answers()


async def test_going_away_between_taking_and_settling_fails_nothing(
    own: Server, link: Link
) -> None:
    tokens = (Allowance(holder="key:one", rates=(Rate(unit="tokens", amount=9999),)),)
    buckets = Standby(SharedBuckets(link), LocalBuckets(time.monotonic))
    async with RateGate(buckets, lambda caller: tokens).open(passage()):
        own.stop()


async def test_levels_expire(own: Server, link: Link) -> None:
    brief = (Allowance(holder="key:one", rates=(Rate(unit="requests", amount=50, period_s=1.0),)),)
    gate = RateGate(SharedBuckets(link), lambda caller: brief)
    await let_in(gate, 5)
    assert await link.ask(lambda client: client.dbsize()) == 1
    await asyncio.sleep(0.25)
    assert await link.ask(lambda client: client.dbsize()) == 0


async def test_a_valkey_that_was_set_back_does_not_lock_callers_out(
    own: Server, link: Link
) -> None:
    """A bucket last seen in the future is as it was then."""
    gate = gate_of(link, "closed")
    ahead = time.time() + 86_400
    name = "emafusion:rate:key:one:requests:3600"
    kept = f"{ahead + 1800:.6f} {ahead:.6f}"
    await link.ask(lambda client: client.set(name, kept))
    assert await let_in(gate, 10) == 4


def test_a_url_of_something_else_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError) as told:
        Link("http://user:secret@host")
    assert "secret" not in str(told.value)
