"""Where a server's settings come from, and what becomes of them while it serves."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from emafusion.cli.source import Source
from emafusion.errors import ConfigError

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
SERVE = [sys.executable, "-m", "emafusion", "serve", "--port", "0"]


def until(true: Callable[[], object], within_s: float = 60.0) -> None:
    """Wait for it."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Server:
    """``emafusion serve`` in `folder`, without ``--config``."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.file = folder / "emafusion.toml"
        self._printed = folder / "printed.txt"
        environment = {name: value for name, value in os.environ.items() if "EMAFUSION" not in name}
        with self._printed.open("w") as printed:
            self.process = subprocess.Popen(
                [*SERVE, *options], stdout=printed, stderr=printed, cwd=folder, env=environment
            )
        until(lambda: ADDRESS.search(self.printed) or self.process.poll() is not None)
        self._port = int(ADDRESS.findall(self.printed)[0])

    @property
    def printed(self) -> str:
        return self._printed.read_text()

    def get(self, path: str) -> tuple[int, Any]:
        """A status and what came with it, without a key."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)) as link:
            link.request("GET", path)
            response = link.getresponse()
            return response.status, json.loads(response.read())

    def configuration(self) -> dict[str, Any]:
        """What ``/readyz`` tells of it."""
        found: dict[str, Any] = self.get("/readyz")[1]["configuration"]
        return found

    def workers(self) -> set[int]:
        number = self.process.pid
        told = Path(f"/proc/{number}/task/{number}/children").read_text()
        return set(map(int, told.split()))

    def errors(self) -> list[str]:
        """The messages of the log's lines of level ``error``."""
        lines = [line for line in self.printed.splitlines() if line.startswith("{")]
        return [one["message"] for one in map(json.loads, lines) if one["level"] == "error"]

    def told(self, count: int) -> bool:
        """Whether so many errors have been told at least."""
        return len(self.errors()) >= count

    def replaced(self) -> None:
        """Kill a worker, and wait for another in its place."""
        before = self.workers()
        served = self.printed.count("Started server process")
        os.kill(min(before), signal.SIGKILL)
        until(lambda: self.printed.count("Started server process") > served)
        until(lambda: len(self.workers()) == len(before))

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(30)
        self.process.kill()
        return self.process.wait()


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    begun: list[Server] = []

    def started(folder: Path, *options: str) -> Server:
        begun.append(Server(folder, *options))
        return begun[-1]

    yield started
    for each in begun:
        each.end()


@pytest.fixture
def house(settings: Path) -> str:
    """A settings file's text, with keys and a log in JSON."""
    more = '[gateway]\naccounts = "accounts.sqlite3"\n[telemetry]\nlog = "json"\n'
    return settings.read_text() + more


def test_keys_are_asked_for_whatever_becomes_of_the_file(
    serving: Callable[..., Server], tmp_path: Path, house: str
) -> None:
    file = tmp_path / "emafusion.toml"
    file.write_text(house)
    server = serving(tmp_path, "--workers", "2")
    until(lambda: server.printed.count("Started server process") == 2)

    def closed() -> bool:
        return {server.get("/v1/models")[0] for _ in range(8)} == {401}

    assert closed()
    file.unlink()
    server.replaced()
    assert closed()
    for number in (signal.SIGHUP, signal.SIGUSR2):
        before = len(server.errors())
        server.process.send_signal(number)
        # The parent's line, and one of each worker that serves already.
        until(partial(server.told, before + 2))
        assert all("No such file" in one for one in server.errors()[before:])
        until(lambda: str(file) in server.configuration().get("refused", ""))
    assert closed()

    # Without accounts: a reload takes up the rest, and who is replaced asks for keys still.
    file.write_text(house.replace("accounts =", "# accounts ="))
    server.replaced()
    assert "takes_effect_at_restart" not in server.configuration()
    server.process.send_signal(signal.SIGHUP)
    late = {"takes_effect_at_restart": ["gateway.accounts"]}
    until(lambda: all(late.items() <= server.configuration().items() for _ in range(8)))
    server.replaced()
    until(lambda: all(late.items() <= server.configuration().items() for _ in range(8)))
    before = len(server.errors())
    server.process.send_signal(signal.SIGUSR2)
    until(lambda: any("accounts is gone" in one for one in server.errors()[before:]))
    assert closed()
    assert server.end() == 0
    plain = [line for line in server.printed.splitlines() if not line.startswith("{")]
    assert [line.split(":")[0] for line in plain] == ["error"], "of the worker that did not start"


def test_one_process_goes_on_with_what_it_has_when_its_file_is_gone(
    serving: Callable[..., Server], settings: Path
) -> None:
    file = settings.rename(settings.with_name("emafusion.toml"))
    server = serving(file.parent)
    text = file.read_text()
    file.unlink()
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "refused" in server.configuration())
    assert "No such file" in server.configuration()["refused"]
    assert "the configuration is not taken up" in server.printed
    assert {"small", "large"} <= {one["id"] for one in server.get("/v1/models")[1]["data"]}
    file.write_text(text.replace("models.large", "models.largest"))
    server.process.send_signal(signal.SIGHUP)
    until(lambda: server.get("/v1/models/largest")[0] == 200)


def test_a_file_is_found_once_and_never_replaced_by_the_built_in_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EMAFUSION_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    source = Source(None)
    file = tmp_path / "emafusion.toml"
    assert source.path == file
    assert source.built_in
    assert "smollm2-135m" in source.settings().models
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    file.write_text("[policy]\nprefer = 0.1\n")
    assert source.settings().policy.prefer == 0.1
    assert not source.built_in
    file.unlink()
    with pytest.raises(ConfigError, match=r"cannot read .*emafusion\.toml': No such file"):
        source.text()
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="it is not in UTF-8"):
        source.text()


def test_a_file_that_was_named_is_never_replaced_by_the_built_in_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        Source(tmp_path / "none.toml").text()


AWAY = "postgresql://ada:hush-hush@127.0.0.1:1/none"


@pytest.mark.parametrize(
    ("more", "named", "workers"),
    [
        (
            '[gateway]\naccounts = "damaged.db"\n',
            r"accounts in 'damaged.db'.*see that it is whole",
            1,
        ),
        ('[gateway]\naccounts = "env:AWAY"\n', r"accounts in PostgreSQL.*see that it is whole", 2),
        ('[record]\npath = "damaged.db"\n', r"record '.*damaged.db'.*move that file away", 1),
        ('[record]\npath = "env:AWAY"\n', r"record in PostgreSQL.*see that it is whole", 1),
    ],
)
@pytest.mark.parametrize("log", ["text", "json"])
def test_a_database_that_cannot_be_used_is_one_line_at_the_start(
    settings: Path, more: str, named: str, workers: int, log: str
) -> None:
    text = settings.read_text()
    kept = text if "[record]" not in more else text[: text.index("[record]")]
    settings.write_text(f'{kept}{more}[telemetry]\nlog = "{log}"\n')
    settings.with_name("damaged.db").write_bytes(b"no database " * 1000)
    if "AWAY" in more:
        pytest.importorskip("psycopg")
    found = subprocess.run(
        [*SERVE, "--config", str(settings), "--workers", str(workers)],
        capture_output=True,
        text=True,
        cwd=settings.parent,
        env={**os.environ, "AWAY": AWAY},
        timeout=180,
        check=False,
    )
    assert found.returncode == 1
    lines = [line for line in found.stderr.splitlines() if not line.startswith("{")]
    if workers > 1 and log == "text":
        assert lines.pop(0).startswith("2 workers serve ")
    [line] = lines
    assert re.match(f"error: cannot use the {named}", line)
    for word in ("Traceback", "Unclosed", "Exiting", "hush-hush", '"level":"error"'):
        assert word not in found.stderr
