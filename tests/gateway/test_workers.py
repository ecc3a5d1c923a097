"""Several processes at one socket, and the parent that keeps them."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import subprocess
import sys
import threading
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
        running.append(Running(tmp_path, **{"workers": 2, **told}))
        return running[-1]

    yield started
    for each in running:
        each.kill()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two workers for all tests that leave two behind."""
    running = Running(tmp_path_factory.mktemp("pair"), workers=2)
    yield running
    running.kill()


def workers(running: Running, *, count: int = 2) -> set[int]:
    """The processes that answer, once there are `count`."""
    found: set[int] = set()

    def asked() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            found.add(int(running.ask("who").text))
        return len(found) >= count

    until(asked, within_s=30.0)
    return found


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def counted(running: Running) -> float:
    """The requests that a model answered, of all workers."""
    lines = running.get("/metrics").content.decode().splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("emafusion_requests_total") and 'model="small"' in line
    )


def test_workers_share_a_socket_a_record_their_counts_and_signals(
    start: Callable[..., Running],
) -> None:
    running = start()
    begun = workers(running)
    for _ in range(40):
        assert running.ask().status == 200
    until(lambda: counted(running) == 40, within_s=30.0)
    record = asyncio.run(Store(running.record).recent(1000))
    assert sum(outcome.model == "small" for outcome in record) == 40

    running.answers.write_text("second")
    running.signal(signal.SIGHUP)
    until(lambda: {running.ask().text for _ in range(12)} == {"second"}, within_s=30.0)
    assert workers(running) == begun

    asked = [running.asking("musing") for _ in range(4)]
    time.sleep(0.5)
    running.signal(signal.SIGTERM)
    assert [each.answer.text for each in asked] == ["second"] * 4
    assert running.end() == 0
    assert not any(alive(number) for number in begun)


class Load(threading.Thread):
    """Questions one after another; how many were answered, and what went wrong.

    A moment lies between them, in which those who are to start have the processor.
    """

    def __init__(self, running: Running) -> None:
        super().__init__()
        self._running = running
        self._over = threading.Event()
        self.answered = 0
        self.failures: list[object] = []
        self.start()

    def run(self) -> None:
        while not self._over.wait(0.01):
            try:
                said = self._running.ask()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(error)
                continue
            if said.status == 200:
                self.answered += 1
            else:
                self.failures.append(said)

    def stop(self) -> None:
        self._over.set()
        self.join()


def test_a_killed_worker_is_replaced_and_the_others_go_on(pair: Running) -> None:
    first, *_ = begun = workers(pair)
    load = Load(pair)
    os.kill(first, signal.SIGKILL)
    until(lambda: not alive(first))
    until(lambda: len(workers(pair) - begun) > 0, within_s=30.0)
    load.stop()
    assert load.answered > 0
    # At most what the killed worker had accepted is lost; nothing afterwards.
    assert len(load.failures) <= 1


def test_workers_are_replaced_one_after_another_with_no_request_dropped(pair: Running) -> None:
    begun = workers(pair)
    load = Load(pair)
    pair.signal(signal.SIGUSR2)
    until(lambda: not any(alive(number) for number in begun), within_s=60.0)
    assert not workers(pair) & begun
    load.stop()
    assert load.failures == []
    assert load.answered > 0


def test_a_starting_worker_is_not_asked_to_reload_and_ends_when_its_parent_is_killed(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    hanging_up = threading.Thread(target=hang_up, args=(starts,))
    hanging_up.start()
    running = start(starts=str(starts))
    hanging_up.join()
    begun = workers(running)
    assert begun == {worker for worker, _ in pairs(starts)}
    running.process.kill()
    until(lambda: not any(alive(number) for number in begun), within_s=30.0)


def test_a_worker_that_was_about_to_take_anothers_place_ends_with_its_parent(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    running = start(workers=1, starts=str(starts))
    running.signal(signal.SIGUSR2)
    until(lambda: len(pairs(starts)) == 2, within_s=30.0)
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert not any(alive(worker) for worker, _ in pairs(starts))


def test_a_reload_that_fails_beyond_what_was_foreseen_does_not_keep_others_waiting(
    pair: Running,
) -> None:
    begun = workers(pair)
    pair.answers.write_bytes(b"\xff")
    pair.signal(signal.SIGHUP)
    time.sleep(0.5)
    pair.answers.write_text("third")
    pair.signal(signal.SIGHUP)
    until(lambda: {pair.ask().text for _ in range(12)} == {"third"}, within_s=30.0)
    assert workers(pair) == begun


def pairs(starts: Path) -> list[tuple[int, int]]:
    """The numbers of workers that were about to serve, and of their parents."""
    if not starts.exists():
        return []
    lines = starts.read_text().splitlines(keepends=True)
    found = [tuple(map(int, line.split())) for line in lines if line.endswith("\n")]
    return [(worker, parent) for worker, parent in found]


def hang_up(starts: Path) -> None:
    """Send SIGHUP to the parent of workers that are about to serve."""
    until(lambda: len(pairs(starts)) == 2, within_s=30.0)
    os.kill(pairs(starts)[0][1], signal.SIGHUP)


CHILD = """
import os, pathlib, signal, socket, sys
signal.alarm(60)
_, leash, taken, refusing = sys.argv
leash = socket.socket(fileno=int(leash))
taken, refusing = pathlib.Path(taken), pathlib.Path(refusing)

def reload(*_):
    if refusing.exists() and refusing.read_text() in ("all", str(os.getpid())):
        leash.send(b"not me\\n")
        return
    text = (taken.parent / "offered.toml").read_text()
    os.write(1, f"took {os.getpid()} {text}\\n".encode())
    leash.send(b"\\n")

signal.signal(signal.SIGHUP, reload)
text = taken.read_text()
if text == "unfit":
    leash.send(b"unfit to start with\\n")
    sys.exit(2)
os.write(1, f"serves {os.getpid()} {text}\\n".encode())
leash.send(b"\\n")
leash.recv(1)
"""
STARTING = """
import logging, os, pathlib, signal, socket, sys
from emafusion.errors import ConfigError
from emafusion.gateway.texts import Texts
from emafusion.gateway.workers import Workers

_, program, child, folder = sys.argv
folder = pathlib.Path(folder)
settings = folder / "settings.toml"


def read():
    try:
        return settings.read_text()
    except OSError as error:
        raise ConfigError(f"no settings: {error.strerror}") from error


signal.alarm(60)
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
bound = socket.create_server(("127.0.0.1", 0))
sys.exit(
    Workers(
        lambda _, leash, start: [
            program, "-c", child, str(leash), str(start.taken), str(folder / "refusing")
        ],
        bound,
        count=2,
        stop_s=3,
        environment=dict(os.environ),
        texts=Texts(read(), read),
    ).run()
)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[tuple[Any, Path]]:
    """A parent of workers, and the program they run."""
    program = tmp_path / "python"
    program.symlink_to(sys.executable)
    (tmp_path / "settings.toml").write_text("first")
    command = [sys.executable, "-c", STARTING, str(program), CHILD, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with process:
        yield process, program
        process.kill()


def serving(process: Any) -> int:
    """The next worker of `process` that serves."""
    return int(line(process, "serves ").split()[1])


def line(process: Any, start: str) -> str:
    """The next line that begins with `start`, past others."""
    past: list[str] = []
    for one in process.stdout:
        if one.startswith(start):
            return str(one)
        past.append(one)
    raise AssertionError(f"it ended with {process.wait(30)}: {''.join(past)}")


def test_a_worker_that_cannot_be_started_ends_none_of_the_others(parent: tuple[Any, Path]) -> None:
    process, program = parent
    one, other = serving(process), serving(process)
    program.unlink()
    os.kill(one, signal.SIGKILL)
    assert "No such file" in line(process, "no worker can be started (")
    process.send_signal(signal.SIGUSR2)  # which does not wait for that one
    line(process, "no other worker can be started (")
    program.symlink_to(sys.executable)
    assert serving(process) not in {one, other}
    assert alive(other)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_a_worker_that_cannot_be_replaced_goes_on(parent: tuple[Any, Path]) -> None:
    process, program = parent
    begun = serving(process), serving(process)
    program.unlink()
    process.send_signal(signal.SIGUSR2)
    line(process, "no other worker can be started (")
    assert all(map(alive, begun))
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_where_no_worker_can_be_started_or_ever_serves_the_parent_ends(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("first")
    for program, child, status in (
        (str(tmp_path / "none"), CHILD, 1),
        (sys.executable, "raise SystemExit(7)", 7),
    ):
        command = [sys.executable, "-c", STARTING, program, child, str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert ended.returncode == status


def test_what_one_refuses_none_has_and_a_replacement_starts_with_what_all_took(
    parent: tuple[Any, Path], tmp_path: Path
) -> None:
    process, _ = parent
    settings, refusing = tmp_path / "settings.toml", tmp_path / "refusing"
    one, other = serving(process), serving(process)
    settings.write_text("second")
    refusing.write_text(str(other))
    process.send_signal(signal.SIGHUP)
    assert line(process, "took ").split()[1:] == [str(one), "second"]
    _, third, text = line(process, "serves ").split()
    assert text == "first"
    assert "not me" in line(process, "the settings are as they were: ")
    os.kill(other, signal.SIGKILL)
    _, fourth, text = line(process, "serves ").split()
    assert text == "first"

    refusing.unlink()
    process.send_signal(signal.SIGHUP)
    took = {line(process, "took ").split()[1] for _ in range(2)}
    assert took == {third, fourth}
    settings.unlink()
    os.kill(int(third), signal.SIGKILL)
    assert line(process, "serves ").split()[2] == "second"


def test_without_a_file_or_with_an_unfit_one_everything_stays_and_it_is_said(
    parent: tuple[Any, Path], tmp_path: Path
) -> None:
    process, _ = parent
    settings, refusing = tmp_path / "settings.toml", tmp_path / "refusing"
    begun = serving(process), serving(process)
    refusing.write_text("all")  # who is asked by mistake would take what was offered before
    settings.unlink()
    for number in (signal.SIGHUP, signal.SIGUSR2):
        process.send_signal(number)
        assert "no settings: No such file" in line(process, "the settings are as they were: ")
    settings.write_text("unfit")
    process.send_signal(signal.SIGUSR2)
    assert "unfit to start with" in line(process, "the settings are as they were: ")
    assert all(map(alive, begun))


def test_a_replacement_that_cannot_start_is_an_error_with_its_reason(
    parent: tuple[Any, Path], tmp_path: Path
) -> None:
    process, program = parent
    one, _ = serving(process), serving(process)
    program.unlink()
    program.write_text(
        f"#!{sys.executable}\nimport os, sys\nos.write(int(sys.argv[3]), b'the disk is gone\\n')\n"
    )
    program.chmod(0o700)
    os.kill(one, signal.SIGKILL)
    found = next(each for each in process.stdout if "could not start" in each)
    assert "the disk is gone; 1 of 2 serve" in found
