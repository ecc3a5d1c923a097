"""The serving process: where it listens, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emafusion import gateway
from emafusion.errors import ConfigError, RejectedError
from emafusion.gateway.server import _server
from emafusion.protocols import Port
from emafusion.record import Store
from emafusion.types import Labels, Request

from .parts import Script, client_of, until

TESTS = Path(__file__).parent.parent


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_other_machines_are_not_served_without_a_key(host: str) -> None:
    with pytest.raises(ConfigError, match="--api-key-env NAME"):
        gateway.run(client_of({"small": Script()}), host=host, port=0)


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("127.0.0.1", 70_000)])
def test_an_address_that_cannot_be_had_is_named(host: str, port: int) -> None:
    settings = gateway.Settings(api_key="k")
    with pytest.raises(ConfigError, match=f"{host!r} port {port}"):
        gateway.run(client_of({"small": Script()}), host=host, port=port, settings=settings)


class Counting:
    """A classifier that remembers what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def understand(self, request: Request, port: Port) -> Labels:
        self.asked.append(request.text)
        with pytest.raises(RejectedError):
            await port.complete("small", request.messages, purpose="label")
        return Labels(axes={})


def test_a_server_warms_up_before_the_first_request_and_asks_no_model() -> None:
    classifier, small = Counting(), Script()
    asked_before: list[int] = []

    def told() -> None:
        asked_before.append(len(classifier.asked))
        server.should_exit = True

    client = client_of({"small": small}, classifier=classifier)
    server = _server(client, gateway.Settings(), told=told)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server.run(sockets=[bound])
    assert asked_before == [1]
    assert small.calls == []


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}.*--port"):
            gateway.run(client_of({"small": Script()}), port=port)


class Child:
    """The serving process."""

    def __init__(self, record: Path, drain_s: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway.child", str(record), str(drain_s)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=TESTS,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.process.communicate()[1]

    def ask(self, model: str, **fields: Any) -> Asking:
        """A request in a thread of its own."""
        return Asking(self.url, {"model": model, **fields})

    def end(self) -> tuple[int, str, str]:
        """Its exit status, output and errors."""
        out, errors = self.process.communicate(timeout=15)
        return self.process.returncode, out, errors


class Asking(threading.Thread):
    """One request under way."""

    def __init__(self, url: str, body: dict[str, Any]) -> None:
        super().__init__()
        messages = [{"role": "user", "content": "Hi"}]
        self._data = json.dumps({"messages": messages, **body}).encode()
        self._address = url.removeprefix("http://")
        self.sent = False
        self.status = 0
        self.content = b""
        self.start()

    def run(self) -> None:
        link = http.client.HTTPConnection(self._address, timeout=15)
        with contextlib.closing(link):
            link.request("POST", "/v1/chat/completions", body=self._data)
            self.sent = True
            response = link.getresponse()
            self.status = response.status
            for line in response:
                self.content += line


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[float], Child]]:
    children: list[Child] = []

    def started(drain_s: float) -> Child:
        children.append(Child(tmp_path / "record.db", drain_s))
        return children[-1]

    yield started
    for child in children:
        if child.process.poll() is None:
            child.process.kill()
            child.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_under_way_finish(
    start: Callable[[float], Child], tmp_path: Path, number: int
) -> None:
    child = start(10.0)
    whole = child.ask("musing")
    until(lambda: whole.sent)
    streamed = child.ask("steady", stream=True)
    until(lambda: streamed.content)
    child.process.send_signal(number)
    whole.join()
    streamed.join()
    assert (whole.status, streamed.status) == (200, 200)
    assert streamed.content.endswith(b"data: [DONE]\n\n")
    status, out, errors = child.end()
    assert (status, out) == (0, "stopped\nclosed\n")
    assert "Traceback" not in errors
    record = asyncio.run(Store(tmp_path / "record.db").recent(10))
    assert sorted(outcome.model for outcome in record) == ["musing", "steady"]


def test_a_request_that_does_not_finish_is_told_and_what_it_spent_recorded(
    start: Callable[[float], Child], tmp_path: Path
) -> None:
    child = start(1.0)
    silent = child.ask("silent")
    slow = child.ask("slow", stream=True)
    until(lambda: slow.content)
    child.process.send_signal(signal.SIGTERM)
    silent.join()
    slow.join()
    assert silent.status == 503
    assert json.loads(silent.content)["error"]["code"] == "stopping"
    assert b'"code":"stopping"' in slow.content.splitlines()[-2]
    status, out, errors = child.end()
    assert (status, out) == (0, "stopped\nclosed\n")
    assert "Traceback" not in errors
    record = {o.plan.arrangement.models[0]: o for o in _recorded(tmp_path)}
    assert record["silent"].error == record["slow"].error == "CancelledError"
    assert record["slow"].cost_usd > 0


def _recorded(folder: Path) -> Any:
    return asyncio.run(Store(folder / "record.db").recent(10))
