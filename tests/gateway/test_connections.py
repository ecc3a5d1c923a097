"""What a connection may send beside bodies, and how long it may dawdle."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from emafusion import gateway
from emafusion.gateway.heads import look
from emafusion.gateway.server import _server

from .parts import Script, Served, client_of, served, until

KEY = b"authorization: Bearer sesame\r\n"
HOST = b"host: localhost\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\n"
GET = b"GET /healthz HTTP/1.1\r\n"
LAST = GET + HOST + b"connection: close\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
BODY = json.dumps({"model": "small", "messages": [{"role": "user", "content": "Hi"}]}).encode()
CHUNK = b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
LENGTH = b"content-length: %d\r\n" % len(BODY)
OFFER = b"connection: keep-alive, Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"
STREAM = json.dumps({**json.loads(BODY), "model": "endless", "stream": True}).encode()


@pytest.fixture(scope="module")
def locked() -> Iterator[Served]:
    endless = Script(text=" ".join(["x" * 4000] * 10_000))
    slow = Script(wait_s=60)
    client = client_of({"small": Script(), "endless": endless, "slow": slow})
    with served(client, gateway.Settings(api_key="sesame")) as found:
        yield found


def statuses(port: int, *pieces: bytes) -> list[int]:
    """The statuses of the responses to `pieces`, sent one by one, and to a last request."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        with contextlib.suppress(ConnectionError):
            for piece in (*pieces, LAST):
                link.sendall(piece)
                time.sleep(0.02)
            while block := link.recv(65536):
                said += block
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", said)]


@pytest.mark.parametrize(
    ("head", "trailer", "status"),
    [
        (HOST, KEY, 401),
        (HOST + b"authorization: Bearer wrong\r\n", KEY, 401),
        (b"host: evil.example\r\n" + KEY, HOST, 421),
        (HOST + KEY, b"host: evil.example\r\nauthorization: Bearer wrong\r\n", 200),
    ],
)
def test_trailers_say_nothing_of_who_comes_in(
    locked: Served, head: bytes, trailer: bytes, status: int
) -> None:
    whole = POST + head + CHUNKED + b"\r\n" + CHUNK + trailer + b"\r\n"
    assert statuses(locked.port, whole) == [status, 200]


def test_trailers_do_not_reach_the_next_request(locked: Served) -> None:
    first = POST + HOST + KEY + CHUNKED + b"\r\n" + CHUNK + KEY + b"\r\n"
    assert statuses(locked.port, first + POST + HOST + LENGTH + b"\r\n" + BODY) == [200, 401, 200]


@pytest.mark.parametrize(
    "more",
    [
        b"x-more: " + b"x" * 60_000 + b"\r\n",
        b"x" * 60_000,
    ],
)
@pytest.mark.parametrize("key", [b"", KEY])
def test_trailers_are_bounded_like_heads(locked: Served, key: bytes, more: bytes) -> None:
    sent = 0
    with socket.create_connection(("127.0.0.1", locked.port), timeout=5) as link:
        link.sendall(POST + HOST + key + CHUNKED + b"\r\n" + CHUNK)
        with contextlib.suppress(ConnectionError):
            for _ in range(400):
                link.sendall(more)
                sent += len(more)
                time.sleep(0.002)
    assert sent < 400 * len(more), "the server took 24 MB of trailers"


def test_small_chunks_are_no_long_head(locked: Served) -> None:
    pieces = [b"1;%s\r\n%s\r\n" % (b"x" * 2000, BODY[i : i + 1]) for i in range(len(BODY))]
    head = POST + HOST + KEY + CHUNKED + b"\r\n"
    assert statuses(locked.port, head, *pieces, b"0\r\n\r\n") == [200, 200]


@pytest.mark.parametrize("name", [b"host", b"Authorization", b"x-api-key", b"origin"])
def test_who_comes_in_is_said_once(locked: Served, name: bytes) -> None:
    twice = (name + b": sesame\r\n") * 2
    others = b"".join(line for line in (HOST, KEY) if not line.startswith(name.lower()))
    assert statuses(locked.port, b"GET /v1/models HTTP/1.1\r\n" + others + twice + b"\r\n") == [
        400,
        200,
    ]


def test_another_protocol_that_is_offered_is_ignored(locked: Served) -> None:
    head = POST + HOST + KEY + LENGTH + OFFER + b"\r\n"
    asked = len(locked.script("small").calls)
    assert statuses(locked.port, head + BODY) == [200, 200]
    assert statuses(locked.port, head, BODY) == [200, 200]
    assert statuses(locked.port, head[:-40], head[-40:] + BODY[:9], BODY[9:]) == [200, 200]
    chunked = POST + HOST + KEY + CHUNKED + OFFER + b"\r\n"
    assert statuses(locked.port, chunked + CHUNK + b"\r\n") == [200, 200]
    assert len(locked.script("small").calls) == asked + 4


def test_a_body_is_no_request_of_its_own(locked: Served) -> None:
    inner = b"GET /v1/models HTTP/1.1\r\n" + HOST + KEY + b"\r\n"
    length = b"content-length: %d\r\n" % len(inner)
    assert statuses(locked.port, POST + HOST + KEY + length + OFFER + b"\r\n", inner) == [400, 200]


def test_offers_without_end_are_answered_one_by_one(locked: Served) -> None:
    assert statuses(locked.port, (GET + HOST + OFFER + b"\r\n") * 1500) == [200] * 1501


def test_there_are_no_tunnels(locked: Served) -> None:
    tunnel = b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + KEY + b"\r\n"
    assert statuses(locked.port, tunnel) == [405]


def later(house: Served, seconds: float) -> None:
    """Have the server look at its connections as if `seconds` had passed."""
    loop, done = house.server.servers[0].get_loop(), threading.Event()

    def now() -> None:
        look(house.server.server_state.connections, loop.time() + seconds)
        done.set()

    loop.call_soon_threadsafe(now)
    assert done.wait(5)


@pytest.mark.parametrize(("sent", "told"), [(b"", b""), (GET + b"x-more: ", b"HTTP/1.1 408 ")])
def test_a_head_that_does_not_come_ends_the_connection(
    locked: Served, sent: bytes, told: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", locked.port), timeout=5) as link:
        link.sendall(sent)
        until(lambda: len(locked.server.server_state.connections) > 0)
        time.sleep(0.05)
        later(locked, 29.0)
        link.settimeout(0.05)
        with pytest.raises(TimeoutError):
            link.recv(1)
        link.settimeout(5)
        later(locked, 31.0)
        assert link.recv(13) == told[:13]


@pytest.mark.parametrize(
    ("first", "then", "waits_s"),
    [
        (POST + HOST + LENGTH + b"\r\n", b"x", 30.0),
        (POST + HOST + CHUNKED + b"\r\n", b"5\r\nab", 30.0),
        (GET + HOST + LENGTH + b"\r\n", b"x", 30.0),
        (POST + HOST + LENGTH + b"\r\n", BODY, 75.0),
        (GET + HOST + b"\r\n", b"\r\n", 75.0),
    ],
)
def test_a_connection_is_not_kept_for_a_body_that_was_not_wanted(
    locked: Served, first: bytes, then: bytes, waits_s: float
) -> None:
    until(lambda: not links(locked))
    with socket.create_connection(("127.0.0.1", locked.port), timeout=5) as link:
        link.sendall(first)
        assert link.recv(65536).startswith(b"HTTP/1.1 ")
        link.sendall(then)
        until(lambda: all(one.timeout_keep_alive_task is None for one in links(locked)))
        later(locked, waits_s - 1.0)
        link.settimeout(0.05)
        with pytest.raises(TimeoutError):
            link.recv(1)
        link.settimeout(5)
        later(locked, waits_s + 1.0)
        assert link.recv(1) == b""


@pytest.mark.parametrize("name", ["endless", "slow"])
def test_who_leaves_behind_a_pipelined_request_is_missed(
    locked: Served, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    script = locked.script(name)
    before = script.cancelled
    stream = name == "endless"
    body = json.dumps({**json.loads(BODY), "model": name, "stream": stream}).encode()
    length = b"content-length: %d\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", locked.port), timeout=5) as link:
        begun = len(script.calls)
        link.sendall(POST + HOST + KEY + length + b"\r\n" + body + GET + HOST + b"\r\n")
        until(lambda: len(script.calls) > begun)
    until(lambda: script.cancelled == before + 1)
    until(lambda: not links(locked))
    assert not caplog.records


def test_a_caller_that_reads_nothing_is_left(locked: Served) -> None:
    endless = locked.script("endless")
    until(lambda: not links(locked))
    before = endless.cancelled
    length = b"content-length: %d\r\n" % len(STREAM)
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.connect(("127.0.0.1", locked.port))
        link.sendall(POST + HOST + KEY + length + b"\r\n" + STREAM)
        until(lambda: any(one.flow.write_paused for one in links(locked)))
        later(locked, 0.0)
        time.sleep(0.2)
        spoken = endless.spoken
        later(locked, 59.0)
        assert endless.cancelled == before
        later(locked, 61.0)
        until(lambda: endless.cancelled == before + 1)
        assert endless.spoken == spoken
        until(lambda: not links(locked))


def test_a_caller_that_reads_slowly_is_not(locked: Served) -> None:
    endless = locked.script("endless")
    before = endless.cancelled
    length = b"content-length: %d\r\n" % len(STREAM)
    with socket.create_connection(("127.0.0.1", locked.port), timeout=5) as link:
        link.sendall(POST + HOST + KEY + length + b"\r\n" + STREAM)
        until(lambda: any(one.flow.write_paused for one in links(locked)))
        for step in range(1, 5):
            later(locked, 50.0 * step)
            spoken = endless.spoken
            while endless.spoken == spoken:
                link.recv(2**20)
        assert endless.cancelled == before
    until(lambda: endless.cancelled == before + 1)


def links(house: Served) -> list[Any]:
    return list(house.server.server_state.connections)


def test_more_connections_than_may_be_are_refused() -> None:
    few = gateway.Settings(max_connections=2)
    with served(client_of({"small": Script()}), few) as house, contextlib.ExitStack() as open_:
        for _ in range(2):
            open_.enter_context(socket.create_connection(("127.0.0.1", house.port), timeout=5))
        until(lambda: len(links(house)) == 2)
        with socket.create_connection(("127.0.0.1", house.port), timeout=5) as third:
            assert third.recv(13) == b"HTTP/1.1 503 "
        open_.close()
        until(lambda: not links(house))
        assert house.get("/healthz").status == 200


def test_a_server_looks_at_its_connections() -> None:
    said: list[bytes] = []

    def told() -> None:
        threading.Thread(target=dawdle).start()

    def dawdle() -> None:
        with socket.create_connection(bound.getsockname(), timeout=5) as link:
            said.append(link.recv(1))
        server.should_exit = True

    hasty = gateway.Settings(head_timeout_s=0.1)
    server = _server(client_of({"small": Script()}), hasty, told=told)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server.run(sockets=[bound])
    assert said == [b""]


def test_a_server_may_open_as_many_files_as_it_is_allowed() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    script = f"""
import resource
from emafusion.gateway.server import _open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
assert _open_files() == {hard}
assert resource.getrlimit(resource.RLIMIT_NOFILE) == ({hard}, {hard})
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
