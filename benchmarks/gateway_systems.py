"""The gateways that are measured: how each is set up, started and asked.

Ours, Python's floor, and the peers that are installed in the virtual environment given with
``--peers`` (``pip install 'litellm[proxy]' nemo-switchyard tensorzero``, and in a folder ``node``
in it ``npm install @portkey-ai/gateway``). Measures nothing.
"""

from __future__ import annotations

import compileall
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KEY = "bench-key-0123456789"
OURS = (sys.executable, "-m", "emafusion")
SWITCHYARD = """
import sys, time
from switchyard_rust.server import Server
with Server(sys.argv[1], port=int(sys.argv[2])):
    time.sleep(1e6)
"""
TENSORZERO = """
import sys, time
from tensorzero.tensorzero import _start_http_gateway
gateway = _start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None,
    async_setup=False,
)
open(sys.argv[2], "w").write(gateway.base_url)
time.sleep(1e6)
"""


class AbsentError(Exception):
    """A peer that cannot run here; says why."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A process that answers to a key, and how long it took until it did."""

    url: str
    pid: int
    startup_s: float
    key: str = KEY


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One way of asking a server: its path, the body's own fields and the headers."""

    name: str
    path: str = "/v1/chat/completions"
    body: Mapping[str, Any] = field(default_factory=lambda: {"model": "m00"})
    drip: Mapping[str, Any] = field(default_factory=lambda: {"model": "drip", "stream": True})
    headers: Mapping[str, str] = field(default_factory=dict)


_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# What is compiled once stays so, whatever the shell says: a start is not the first after an update.
_ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)


@contextmanager
def process(
    command: list[str], *, core: int, env: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on one core, ended on leaving."""
    out = log.open("wb") if log is not None else subprocess.DEVNULL
    running = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        stdout=out,
        stderr=subprocess.STDOUT,
        env={**_ENVIRONMENT, **(env or {})},
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
                raise AbsentError("its server did not start") from error
            time.sleep(0.02)


@contextmanager
def listening(
    command: Callable[[int], list[str]],
    *,
    path: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    key: str = KEY,
) -> Iterator[Server]:
    """The server that `command` starts at a port, once it answers at `path`."""
    port = free_port()
    began = time.perf_counter()
    with process(command(port), core=0, env=env, log=log) as running:
        answering(f"http://127.0.0.1:{port}{path}", running)
        took = time.perf_counter() - began
        yield Server(url=f"http://127.0.0.1:{port}", pid=running.pid, startup_s=took, key=key)


@contextmanager
def floor(folder: Path, upstream: str) -> Iterator[Server]:
    def command(port: int) -> list[str]:
        return [sys.executable, str(HERE / "gateway_floor.py"), str(port), upstream]

    with listening(command, path="/", log=folder / "floor.log") as server:
        yield server


@contextmanager
def emafusion(folder: Path, upstream: str, policy: Path) -> Iterator[Server]:
    """Ours: a fitted policy over mock models; keys, budgets, rates, metrics, all on record."""
    names = [*json.loads((policy / "manifest.json").read_text())["pool"], "drip"]
    models = "".join(
        f'[models."{name}"]\nprovider = "mock"\ncontext_window = 32768\n'
        f"usd_per_mtok_in = {0.05 * 1.4**place:.4f}\nusd_per_mtok_out = {0.2 * 1.4**place:.4f}\n"
        for place, name in enumerate(names)
    )
    # Last is "drip", which is for the open streams alone: no decision may fall on it.
    models += "ability = { overall = 0.01 }\nability_weight = 1000.0\n"
    settings = folder / "emafusion.toml"
    settings.write_text(
        f'[providers.mock]\ntype = "openai"\nbase_url = "{upstream}"\n{models}'
        f'[artefact]\npath = "{policy}"\n[record]\npath = "{folder / "record.db"}"\n'
        f'[gateway]\naccounts = "{folder / "accounts.db"}"\n'
    )
    key = _key(settings)
    # Its peers' installers did as much for them.
    compileall.compile_dir(HERE.parent / "src", quiet=2)

    def command(port: int) -> list[str]:
        return [*OURS, "serve", "--config", str(settings), "--port", str(port)]

    log = folder / "emafusion.log"
    with listening(command, path="/healthz", log=log, key=key) as server:
        yield server


def _key(settings: Path) -> str:
    """The token of a key with a rate and a budget that no benchmark reaches."""

    def run(*command: str) -> bytes:
        told = ["--config", str(settings)]
        return subprocess.run([*OURS, *command, *told], check=True, capture_output=True).stdout

    most = ("--requests-per-minute", "100000000")
    token: str = json.loads(run("keys", "create", "bench", "--json", *most))["token"]
    run("budget", "set", "key:bench", "100000", "--per", "day")
    return token


def ours(policy: Path) -> list[Asked]:
    """The ways in which ours is asked."""
    first = json.loads((policy / "manifest.json").read_text())["pool"][0]
    single = {"model": "emafusion", "emafusion": {"arrangement": "single"}}
    return [
        Asked(name="emafusion pass-through", body={"model": first}),
        Asked(name="emafusion full decision", body=single),
        Asked(name="emafusion streamed pass-through", body={"model": first, "stream": True}),
        Asked(name="emafusion streamed decision", body={**single, "stream": True}),
        Asked(name="emafusion adaptive plan", body={"model": "emafusion"}),
    ]


@contextmanager
def litellm(folder: Path, upstream: str, peers: Path) -> Iterator[Server]:
    program = peers / "bin" / "litellm"
    if not program.exists():
        raise AbsentError("not installed")
    settings = folder / "litellm.json"
    models = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/{name}",
                "api_base": upstream,
                "api_key": "unused",
            },
        }
        for name in ("m00", "drip")
    ]
    # Its keys need a database, so it is measured without one.
    general = {"dangerously_permit_weak_or_unset_master_key": True}
    settings.write_text(json.dumps({"model_list": models, "general_settings": general}))

    def command(port: int) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        return [str(program), "--config", str(settings), *where]

    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    log = folder / "litellm.log"
    with listening(command, path="/health/liveliness", log=log, env=env) as server:
        yield server


@contextmanager
def switchyard(folder: Path, upstream: str, peers: Path) -> Iterator[Server]:
    python = _having(peers, "switchyard_rust")
    routes = "".join(
        f'[targets.{name}]\nid = "{name}"\nllm_client = "mock"\n'
        f'[routes.{name}]\nid = "{name}"\ntype = "passthrough"\ntarget = "{name}"\n'
        for name in ("m00", "drip")
    )
    settings = folder / "routes.toml"
    settings.write_text(
        f'schema_version = 1\n[llm_clients.mock]\nformat = "openai_chat"\nbase_url = "{upstream}"\n'
        f'api_key_env = "BENCH_KEY"\n{routes}'
    )

    def command(port: int) -> list[str]:
        return [str(python), "-c", SWITCHYARD, str(settings), str(port)]

    log = folder / "switchyard.log"
    with listening(command, path="/health", log=log, env={"BENCH_KEY": KEY}) as server:
        yield server


@contextmanager
def tensorzero(folder: Path, upstream: str, peers: Path) -> Iterator[Server]:
    """Its gateway as its Python client starts it: without a database, so it records nothing."""
    python = _having(peers, "tensorzero")
    models = "".join(
        f'[models.{name}]\nrouting = ["mock"]\n[models.{name}.providers.mock]\ntype = "openai"\n'
        f'model_name = "{name}"\napi_base = "{upstream}/"\napi_key_location = "none"\n'
        for name in ("m00", "drip")
    )
    settings, told = folder / "tensorzero.toml", folder / "tensorzero.url"
    settings.write_text(f"[gateway]\nobservability.enabled = false\n{models}")
    began = time.perf_counter()
    command = [str(python), "-c", TENSORZERO, str(settings), str(told)]
    with process(command, core=0, log=folder / "tensorzero.log") as running:
        while not told.exists() or not told.read_text():
            if running.poll() is not None or time.perf_counter() - began > 60:
                raise AbsentError("its server did not start")
            time.sleep(0.02)
        url = told.read_text().removesuffix("/").removesuffix("/openai/v1")
        yield Server(url=url, pid=running.pid, startup_s=time.perf_counter() - began)


@contextmanager
def portkey(folder: Path, upstream: str, peers: Path) -> Iterator[Server]:
    """Binds every interface: only inside a network namespace of the benchmark's own."""
    program = peers / "node/node_modules/@portkey-ai/gateway/build/start-server.js"
    if not program.exists():
        raise AbsentError("not installed")
    if any(name != "lo" for _, name in socket.if_nameindex()):
        raise AbsentError(
            "it would listen to other machines, and no network namespace can be made here"
        )

    def command(port: int) -> list[str]:
        return ["node", str(program), "--headless", f"--port={port}"]

    env = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"}
    with listening(command, path="/", log=folder / "portkey.log", env=env) as server:
        yield server


def peer(name: str, upstream: str) -> Asked:
    """How the peer `name` is asked."""
    if name == "tensorzero":
        said = "tensorzero::model_name::"
        return Asked(
            name=name,
            path="/openai/v1/chat/completions",
            body={"model": f"{said}m00"},
            drip={"model": f"{said}drip", "stream": True},
        )
    if name == "portkey":
        own = {"x-portkey-provider": "openai", "x-portkey-custom-host": upstream}
        return Asked(name=name, headers=own)
    return Asked(name=name)


PEERS = {
    "litellm": litellm,
    "portkey": portkey,
    "tensorzero": tensorzero,
    "switchyard": switchyard,
}


def _having(peers: Path, module: str) -> Path:
    """The peers' Python, which must have `module`."""
    python = peers / "bin" / "python"
    if not python.exists() or not list(peers.glob(f"lib/python*/site-packages/{module}")):
        raise AbsentError("not installed")
    return python
