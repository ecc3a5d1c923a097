"""What the gateway costs: CPU per request, latency and memory of one worker, beside its peers.

A mock upstream, the gateway and the load are three processes on the loopback address, inside a
network namespace of their own where that can be made; the gateway has a core to itself. Each is
asked in a closed loop for its CPU time (of its whole process tree, user and system), then at a
fixed rate for its latency while streams are open; ``upstream`` is the mock asked directly. Every
prompt differs from every other. Linux only: CPU time is read from ``/proc``.

Run ``python benchmarks/gateway.py [--quick] [--peers VENV]``; figures go to
``benchmarks/out/gateway.json``. Latencies are milliseconds, memory MiB, growth a share.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import gateway_policy
from gateway_systems import (
    PEERS,
    AbsentError,
    Asked,
    Server,
    answering,
    emafusion,
    floor,
    free_port,
    ours,
    peer,
    process,
)

HERE = Path(__file__).parent
OUT = HERE / "out" / "gateway.json"
Row = dict[str, float]
LONGEST_S = 900.0
"""Seconds that one load may take."""
OTHER_CORE = (os.cpu_count() or 1) - 1
"""Where all runs but what is measured, which has core 0."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="for the growth of memory")
    parser.add_argument("--sample", type=int, default=5000, help="in each closed loop")
    parser.add_argument("--callers", type=int, default=16, help="in the closed loop")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second, open loop")
    parser.add_argument("--streams", type=int, default=100, help="open in the open loop")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the open loop")
    parser.add_argument("--quick", action="store_true", help="a minute's look")
    parser.add_argument("--only", help="systems whose name has this in it")
    parser.add_argument("--policy", type=Path, help="by default one fitted here")
    parser.add_argument("--peers", type=Path, default=HERE / "out" / "peers", help="their venv")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    if given.quick:
        given.requests, given.sample = 0, min(given.sample, 2000)
        given.seconds = min(given.seconds, 5.0)
    if not Path("/proc/self/stat").exists() or shutil.which("taskset") is None:
        sys.exit("this benchmark needs Linux: /proc and taskset")
    isolated()
    policy = given.policy or gateway_policy.made()
    rows = dict(measured(given, policy.absolute()))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    load = [round(one, 1) for one in os.getloadavg()]
    told = {name: getattr(given, name) for name in ("requests", "sample", "rate", "streams")}
    report = {"cpus": os.cpu_count(), "loadavg": load, **told, "systems": rows}
    given.out.write_text(json.dumps(report, indent=1) + "\n")


def isolated() -> None:
    """Go on in a network namespace where nothing but this benchmark can be reached, if possible."""
    if "BENCH_ISOLATED" in os.environ:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            up = struct.pack("16sh14x", b"lo", 1)
            fcntl.ioctl(one, 0x8914, up)  # SIOCSIFFLAGS, IFF_UP
        return
    unshare = shutil.which("unshare")
    probe = [unshare or "false", "-rn", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode == 0 and unshare:
        os.environ["BENCH_ISOLATED"] = "1"
        os.execv(unshare, [unshare, "-rn", sys.executable, *sys.argv])


def measured(given: argparse.Namespace, policy: Path) -> Iterator[tuple[str, Row]]:
    """Every system that can run here, one after another, with its figures."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        command = [sys.executable, str(HERE / "gateway_upstream.py"), str(port)]
        mock = stack.enter_context(process(command, core=OTHER_CORE))
        upstream = f"http://127.0.0.1:{port}/v1"
        answering(f"{upstream}/models", mock)
        direct = Server(url=upstream.removesuffix("/v1"), pid=mock.pid, startup_s=0.0)
        systems: list[tuple[AbstractContextManager[Server], list[Asked]]] = [
            (floor(folder, upstream), [Asked(name="floor")]),
            (emafusion(folder, upstream, policy), ours(policy)),
            *(
                (start(folder, upstream, given.peers), [peer(name, upstream)])
                for name, start in PEERS.items()
            ),
        ]
        base = figures(direct, Asked(name="upstream"), given=given, base=None)
        yield from shown("upstream", base)
        for start, ways in systems:
            wanted = [way for way in ways if given.only is None or given.only in way.name]
            try:
                yield from asked(start, wanted, given=given, base=base)
            except AbsentError as why:
                print(f"{ways[0].name}: left out: {why}", file=sys.stderr)


def asked(
    start: AbstractContextManager[Server],
    ways: list[Asked],
    *,
    given: argparse.Namespace,
    base: Row,
) -> Iterator[tuple[str, Row]]:
    """The figures of one system in each of the `ways` of asking it."""
    if ways:
        with start as server:
            for way in ways:
                yield from shown(way.name, figures(server, way, given=given, base=base))


def shown(name: str, row: Row) -> Iterator[tuple[str, Row]]:
    print(f"{name:<32}", *(f"{key} {value:.3f} " for key, value in row.items()), flush=True)
    yield name, row


def figures(server: Server, way: Asked, *, given: argparse.Namespace, base: Row | None) -> Row:
    """The figures of one system asked in one way; `base` are those of the upstream alone."""
    closed = {"callers": given.callers}
    loaded(server, way, requests=max(given.sample // 5, 200), **closed)
    cpu, began = cpu_s(server.pid), time.perf_counter()
    times = loaded(server, way, requests=given.sample, **closed)
    took, cpu = time.perf_counter() - began, cpu_s(server.pid) - cpu
    before = rss_mb(server.pid)
    row = {
        "cpu_ms_per_request": 1000 * cpu / given.sample,
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(0.99 * len(times))],
        "requests_per_s": given.sample / took,
    }
    if given.requests and base is not None:
        loaded(server, way, requests=given.requests - given.sample, **closed)
    after = rss_mb(server.pid)
    row |= {"rss_mb": after, "rss_growth": after / before - 1.0, "startup_s": server.startup_s}
    # At more than it can do nothing would be told but how long the queue grew.
    if not way.body.get("stream") and row["cpu_ms_per_request"] * given.rate < 800:
        try:
            row |= at_rate(server, way, given=given, base=base)
        except AbsentError as why:
            print(f"{way.name}: without latencies beside streams: {why}", file=sys.stderr)
    return row


def at_rate(server: Server, way: Asked, *, given: argparse.Namespace, base: Row | None) -> Row:
    """Latencies at a fixed rate beside open streams; added: beyond the upstream's median."""
    times = loaded(
        server,
        way,
        rate=given.rate,
        seconds=given.seconds,
        streams=given.streams,
        stream_body=dict(way.drip),
    )
    middle, late = times[len(times) // 2], times[int(0.99 * len(times))]
    row = {"rate_p50_ms": 1000 * middle, "rate_p99_ms": 1000 * late}
    return row if base is None else row | {"added_p99_ms": 1000 * late - base["rate_p50_ms"]}


def loaded(server: Server, way: Asked, **told: Any) -> list[float]:
    """The latencies, seconds, ascending, of a load from a process of its own."""
    told |= {
        "url": f"{server.url}{way.path}",
        "body": dict(way.body),
        "headers": {"authorization": f"Bearer {server.key}", **way.headers},
    }
    command = ["taskset", "-c", str(OTHER_CORE), sys.executable, str(HERE / "gateway_load.py")]
    try:
        done = subprocess.run(
            [*command, json.dumps(told)], capture_output=True, check=False, timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired:
        raise AbsentError(f"{way.name} did not finish in {LONGEST_S:g} s") from None
    if done.returncode:
        raise AbsentError(f"{way.name} {done.stderr.decode()[-400:]}")
    times: list[float] = json.loads(done.stdout)
    return sorted(times)


def tree(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from tree(int(child))


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process and those it started have used, in user and system mode."""
    ticks = 0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident memory of a process and those it started, MiB."""
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in tree(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
