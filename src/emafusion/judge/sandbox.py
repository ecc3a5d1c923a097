"""Runs Python programs that nobody vouches for, each in a subprocess of its own.

Knows processes, limits and what came out; :mod:`emafusion.judge.jail` is what runs in the
subprocess. Does not know why a program is run, nor whether its results are right.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Literal

import msgspec
from msgspec import Struct

from emafusion.errors import ConfigError

Network = Literal["none", "inherit"]


class Limits(Struct, frozen=True, kw_only=True):
    """What one program may use: seconds, bytes and counts.

    ``wall_s`` bounds the whole run and ``call_s`` each step of it; ``cpu_s`` is processor time.
    ``memory_bytes`` is each process's address space; ``processes`` counts threads too, and with 1
    a program can start neither. ``disk_bytes`` bounds all files together, ``file_bytes`` each.
    ``output_bytes`` bounds everything a run reports and ``text_chars`` each value and printout.
    """

    wall_s: float = 5.0
    call_s: float = 2.0
    cpu_s: int = 4
    memory_bytes: int = 512 * 2**20
    file_bytes: int = 2**20
    disk_bytes: int = 4 * 2**20
    open_files: int = 32
    processes: int = 1
    output_bytes: int = 2**20
    text_chars: int = 4000


class Result(Struct, frozen=True, kw_only=True):
    """What came of one step: a value's ``repr``, or the name of the error it ended with.

    A step that was never reached, because the run was ended before, has the error ``"Killed"``.
    """

    value: str | None = None
    error: str | None = None
    printed: str = ""


class Run(Struct, frozen=True, kw_only=True):
    """What came of a program, and then of each call, in their order."""

    program: Result
    calls: tuple[Result, ...] = ()


KILLED = Result(error="Killed")


class Sandbox:
    """Runs programs under limits that the operating system keeps.

    On Linux (5.12 or newer) a program sees an empty file system with the interpreter and the
    system's libraries to read and a small ``/tmp`` to write, no network, no other process, no
    environment; it runs as nobody, or in a user namespace without rights, and under ``setrlimit``.
    Everything it started ends with it.

    What this does **not** protect from: flaws of the kernel itself, most of whose system calls
    stay reachable (only shared memory and those that programs do not need are refused); side
    channels such as timing and caches; reading what the interpreter's own folder and ``/usr``
    hold; a program that uses up its allowance of processor time and memory, as often as it is
    run. A program can also forge its own results, since it shares an interpreter with what
    reports them: a result is a claim, and what it should be is better not told to it.

    With ``network="inherit"`` none of the isolation is made: limits, an empty environment and an
    own folder are all there is. A program can then read and write whatever the user can, speak
    to the network and signal the user's processes. That is for machines that are sandboxes
    themselves.

    Parameters
    ----------
    limits : Limits, optional
        What each program may use.
    network : {"none", "inherit"}
        ``"none"`` isolates, or refuses to run.
    """

    def __init__(self, limits: Limits | None = None, *, network: Network = "none") -> None:
        self.limits = limits or Limits()
        self.network: Network = network

    async def run(self, program: str, calls: Sequence[str] = ()) -> Run:
        """Run `program`, then evaluate each of `calls` in what it defined.

        Raises
        ------
        ConfigError
            The isolation cannot be made on this machine; the message says why.
        """
        self._refuse()
        task = json.dumps({"program": program, "calls": list(calls)}).encode()
        with tempfile.TemporaryDirectory(prefix="emafusion-") as folder:
            report, complaint = await self._start(task, folder)
        if complaint:
            raise ConfigError(
                f"programs cannot be run in isolation here ({complaint}); allow user namespaces, "
                "or, in Python, set network='inherit' where the machine itself is the sandbox"
            )
        results = _results(report)[: len(calls) + 1]
        results += [KILLED] * (len(calls) + 1 - len(results))
        return Run(program=results[0], calls=tuple(results[1:]))

    def run_sync(self, program: str, calls: Sequence[str] = ()) -> Run:
        """As :meth:`run`, for callers that are not asynchronous; callable from any thread."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, self.run(program, calls)).result()

    def check(self) -> None:
        """Run a first program, so that what is missing is known before anything depends on it.

        Raises
        ------
        ConfigError
            As :meth:`run`; or the program gave no result.
        """
        result = self.run_sync("", ["1 + 1"]).calls[0]
        if result.value != "2":
            raise ConfigError(
                "programs cannot be run here: a first one, 1 + 1, gave no result "
                f"({result.error}); the limits or the machine leave an interpreter no room"
            )

    def _refuse(self) -> None:
        if sys.platform == "win32":
            raise ConfigError("programs cannot be run on Windows: it has no resource limits")
        if self.network == "none" and sys.platform != "linux":
            raise ConfigError(
                f"programs cannot be isolated on {sys.platform!r}, only on Linux; "
                "in Python, set network='inherit' where the machine itself is the sandbox"
            )

    async def _start(self, task: bytes, folder: str) -> tuple[bytes, str]:
        """What the run reported, and why it was not begun, if it was not."""
        source = resources.files("emafusion.judge").joinpath("jail.py").read_text("utf-8")
        process = await asyncio.create_subprocess_exec(
            *(_interpreter(), "-I", "-S", "-c", source, "enter", json.dumps(self._settings())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env={},
            start_new_session=True,
        )
        report = bytearray()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.limits.wall_s):
                    await _converse(process, task, report, most=self.limits.output_bytes)
        finally:
            complaint = await _end(process)
        return bytes(report), complaint

    def _settings(self) -> dict[str, object]:
        limits = self.limits
        return {
            "python": _interpreter(),
            "cpu_s": limits.cpu_s,
            "wall_s": limits.wall_s,
            "call_s": limits.call_s,
            "memory": limits.memory_bytes,
            "file": limits.file_bytes,
            "disk": limits.disk_bytes,
            "files": limits.open_files,
            "processes": limits.processes,
            "text": limits.text_chars,
            "isolate": self.network == "none",
        }


def _interpreter() -> str:
    """The interpreter itself: a virtual environment's link leads out of the jail."""
    return os.path.realpath(sys.executable)


async def _converse(
    process: asyncio.subprocess.Process, task: bytes, report: bytearray, *, most: int
) -> None:
    """Hand over the task and read the report until it ends, or is longer than `most` bytes."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101
    process.stdin.write(task)
    process.stdin.close()
    while len(report) < most and (piece := await process.stdout.read(2**16)):
        report += piece


async def _end(process: asyncio.subprocess.Process) -> str:
    """Kill what still runs; the last line that the jail, not the draft, had to say."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # What is left in the pipes is read off: a full pipe would keep the process from being reaped.
    _, complaint = await process.communicate()
    lines = complaint.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else ""


def _results(report: bytes) -> list[Result]:
    """The results that can be read; what a draft scrawled in between ends the list."""
    results = []
    for line in report.splitlines():
        try:
            results.append(msgspec.json.decode(line, type=Result))
        except (msgspec.DecodeError, RecursionError):
            break
    return results
