"""What the gateway costs: CPU per request, latency and memory of one worker.

A mock upstream, the gateway and the load are three processes on the loopback address. Each system
is asked in a closed loop for its CPU time (of its process, all threads), then at a fixed rate for
its latency, which includes the upstream's; ``upstream`` is the mock asked directly. LiteLLM's proxy
joins in where it is installed. Linux only: CPU time is read from ``/proc``.

Run ``python benchmarks/gateway.py``; figures go to ``benchmarks/out/gateway.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from starlette.types import Receive, Scope, Send

OUT = Path(__file__).parent / "out" / "gateway.json"
QUESTION = "What is the capital of Australia, and when did it become the capital?"
TEXT = "Canberra. It became the capital in 1913, when the city was founded for that purpose."
MODELS = ("small", "medium", "large")


@dataclass(frozen=True, kw_only=True)
class System:
    """What is measured: an address, the process behind it, and the request's own fields."""

    name: str
    url: str
    pid: int
    fields: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="in the closed loop")
    parser.add_argument("--concurrency", type=int, default=16, help="in the closed loop")
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second, open loop")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the open loop")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--upstream", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.upstream is not None:
        uvicorn.run(upstream, port=arguments.upstream, log_level="error", lifespan="off")
        return
    if not Path("/proc/self/stat").exists():
        sys.exit("this benchmark reads CPU time from /proc, which this system does not have")
    with ExitStack() as stack:
        systems = started(stack)
        rows = {system.name: asyncio.run(measured(system, arguments)) for system in systems}
    for name, row in rows.items():
        print(f"{name:<24}", *(f"{key} {value:9.3f} " for key, value in row.items()))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    load = [round(one, 1) for one in os.getloadavg()]
    report = {"cpus": os.cpu_count(), "loadavg": load, "rate": arguments.rate, "systems": rows}
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


def started(stack: ExitStack) -> list[System]:
    """Every system that can run here, running."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    port = free_port()
    mock = stack.enter_context(process(__file__, "--upstream", str(port)))
    base = f"http://127.0.0.1:{port}/v1"
    answering(f"{base}/models", mock)
    found = [System(name="upstream", url=base, pid=mock.pid, fields={"model": "small"})]
    ours, url = stack.enter_context(emafusion(folder, base))
    asked: dict[str, dict[str, Any]] = {
        "emafusion pass-through": {"model": "small"},
        "emafusion streamed": {"model": "small", "stream": True},
        "emafusion routed": {"model": "emafusion"},
        "emafusion routed single": {"model": "emafusion", "emafusion": {"arrangement": "single"}},
    }
    for name, fields in asked.items():
        found.append(System(name=name, url=url, pid=ours.pid, fields=fields))
    program = shutil.which("litellm")
    if program is None:
        print("litellm is not installed: only emafusion is measured", file=sys.stderr)
        return found
    theirs, url = stack.enter_context(litellm(program, folder, base))
    found.append(System(name="litellm", url=url, pid=theirs.pid, fields={"model": "small"}))
    return found


@contextmanager
def emafusion(folder: Path, base: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Our server: its process and its address."""
    models = "".join(
        f'[models.{name}]\nprovider = "mock"\n'
        f"usd_per_mtok_in = {10.0**place / 10}\nusd_per_mtok_out = {10.0**place / 5}\n"
        for place, name in enumerate(MODELS)
    )
    settings = folder / "emafusion.toml"
    settings.write_text(
        f'[providers.mock]\ntype = "openai"\nbase_url = "{base}"\n{models}'
        f'[record]\npath = "{folder / "record.db"}"\n'
    )
    port = free_port()
    command = ["-m", "emafusion", "serve", "--config", str(settings), "--port", str(port)]
    with process(*command) as server:
        url = f"http://127.0.0.1:{port}"
        answering(f"{url}/healthz", server)
        yield server, f"{url}/v1"


@contextmanager
def litellm(program: str, folder: Path, base: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """LiteLLM's proxy with one worker."""
    settings = folder / "litellm.json"
    params = {"model": "openai/small", "api_base": base, "api_key": "unused"}
    models = [{"model_name": "small", "litellm_params": params}]
    # Both servers are measured without a key.
    keyless = {"dangerously_permit_weak_or_unset_master_key": True}
    settings.write_text(json.dumps({"model_list": models, "general_settings": keyless}))
    port = free_port()
    where = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    python = str(Path(program).with_name("python"))
    with process(program, "--config", str(settings), *where, python=python) as server:
        url = f"http://127.0.0.1:{port}"
        answering(f"{url}/health/liveliness", server)
        yield server, f"{url}/v1"


@contextmanager
def process(*command: str, python: str = sys.executable) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process, ended on leaving."""
    running = subprocess.Popen(
        [python, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(timeout=10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answering(url: str, server: subprocess.Popen[bytes], within_s: float = 90.0) -> None:
    """Wait until there is an answer at `url`, of whatever status."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the server at {url} did not start") from error
            time.sleep(0.1)


async def measured(system: System, arguments: argparse.Namespace) -> dict[str, float]:
    """The figures of one system."""
    messages = [{"role": "user", "content": QUESTION}]
    body = json.dumps({"messages": messages, **system.fields}).encode()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:

        async def ask() -> float:
            began = time.perf_counter()
            async with session.post(f"{system.url}/chat/completions", data=body) as response:
                content = await response.read()
                if response.status != 200:
                    raise SystemExit(f"{system.name}: {response.status} {content[:300]!r}")
            return time.perf_counter() - began

        await closed_loop(ask, arguments.requests // 10, arguments.concurrency)
        cpu, began = cpu_s(system.pid), time.perf_counter()
        await closed_loop(ask, arguments.requests, arguments.concurrency)
        took = time.perf_counter() - began
        cpu = cpu_s(system.pid) - cpu
        times = sorted(await open_loop(ask, arguments.rate, arguments.seconds))
    return {
        "cpu_ms_per_request": 1000 * cpu / arguments.requests,
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(0.99 * len(times))],
        "requests_per_s": arguments.requests / took,
        "rss_mb": rss_mb(system.pid),
    }


async def closed_loop(ask: Any, requests: int, concurrency: int) -> None:
    """`requests` in all, `concurrency` at a time."""
    left = iter(range(requests))

    async def caller() -> None:
        for _ in left:
            await ask()

    await asyncio.gather(*(caller() for _ in range(concurrency)))


async def open_loop(ask: Any, rate: float, seconds: float) -> list[float]:
    """Seconds that each of `rate` requests a second took, whatever became of those before."""
    tasks = []
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(ask()))
    return list(await asyncio.gather(*tasks))


def cpu_s(pid: int) -> float:
    """Seconds of CPU the process has used, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident memory, MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
    """A model that answers at once, always the same."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    streamed = b'"stream":true' in body.replace(b" ", b"")
    kind = b"text/event-stream" if streamed else b"application/json"
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]}
    await send(start)
    for part in PIECES if streamed else [WHOLE]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _head(kind: str) -> dict[str, Any]:
    return {"id": "cmpl-1", "object": kind, "created": 1, "model": "mock"}


USAGE = {"prompt_tokens": 24, "completion_tokens": 18, "total_tokens": 42}
WHOLE = json.dumps(
    {
        **_head("chat.completion"),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }
).encode()


def _event(delta: dict[str, str], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    body = {**_head("chat.completion.chunk"), "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


PIECES = [
    _event({"role": "assistant", "content": ""}),
    *(_event({"content": f"{word} "}) for word in TEXT.split()),
    _event({}, "stop"),
    b"data: "
    + json.dumps({**_head("chat.completion.chunk"), "choices": [], "usage": USAGE}).encode()
    + b"\n\n",
    b"data: [DONE]\n\n",
]


if __name__ == "__main__":
    main()
