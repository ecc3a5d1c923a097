"""A caller who hangs up is no longer worked for, and what was spent is on record."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from emafusion.record import Memory
from emafusion.types import Outcome

from .parts import Script, Served, client_of, served, until

ASK: list[Any] = [{"role": "user", "content": "Hi"}]


class Known(Memory):
    """A record that can be read from another thread."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[Outcome] = []

    async def record(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@pytest.fixture
def slow() -> Script:
    return Script(text="word " * 500, wait_s=0.0, pace_s=0.01)


@pytest.fixture
def record() -> Known:
    return Known()


@pytest.fixture
def house(slow: Script, record: Known) -> Iterator[Served]:
    scripts = {"slow": slow, "silent": Script(wait_s=60.0)}
    with served(client_of(scripts, recorder=record)) as found:
        yield found


def hang_up(
    house: Served, body: dict[str, Any], *, after: bytes | None, until_stalled: bool = False
) -> None:
    """Send `body`, read until `after` came (``None``: until the model is asked), and leave."""
    script = house.script(body["model"])
    data = json.dumps({"messages": ASK, **body}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
    head += b"content-length: %d\r\n\r\n" % len(data)
    with socket.create_connection(("127.0.0.1", house.port), timeout=5) as link:
        link.sendall(head + data)
        heard = b""
        while after is not None and after not in heard:
            heard += link.recv(4096)
        if after is None:
            until(lambda: script.calls)
        spoken = -1
        while until_stalled and spoken != script.spoken:
            spoken = script.spoken
            time.sleep(0.3)


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_nobody_waits_for_is_cancelled(
    house: Served, record: Known, stream: bool
) -> None:
    hang_up(house, {"model": "silent", "stream": stream}, after=None)
    until(lambda: house.script("silent").cancelled)
    until(lambda: record.outcomes)
    [outcome] = record.outcomes
    assert outcome.error == "CancelledError"
    assert [step.error for step in outcome.steps] == ["cancelled"]


def test_what_was_streamed_until_then_is_paid(house: Served, record: Known, slow: Script) -> None:
    hang_up(house, {"model": "slow", "stream": True}, after=b"word")
    until(lambda: slow.cancelled)
    until(lambda: record.outcomes)
    [outcome] = record.outcomes
    assert outcome.cost_usd > 0
    assert 0 < outcome.steps[0].usage.completion_tokens < 400
    assert "word" in outcome.steps[0].text


def test_a_reader_too_slow_for_its_stream_that_leaves_is_noticed(
    house: Served, record: Known, slow: Script
) -> None:
    slow.text = " ".join(["x" * 100_000] * 200)
    slow.pace_s = 0.0
    hang_up(house, {"model": "slow", "stream": True}, after=b"xxx", until_stalled=True)
    assert slow.spoken < 200
    until(lambda: slow.cancelled)
    until(lambda: record.outcomes)
    assert record.outcomes[0].cost_usd > 0


def test_the_server_goes_on(house: Served, slow: Script) -> None:
    for _ in range(3):
        hang_up(house, {"model": "slow", "stream": True}, after=b"word")
    until(lambda: slow.cancelled == 3)
    slow.text = "Paris."
    assert house.ask({"model": "slow", "messages": ASK}).status == 200
