"""A detector where it can be cut off: in a process of its own, which is ended when it is late.

Knows how to begin, ask, end and begin again. It knows neither what the detector looks for nor what
is done when it does not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence

import msgspec

from emafusion.errors import ConfigError
from emafusion.protect.entities import Entity
from emafusion.protect.fenced import HEAD, framed

LARGEST = 2**24
"""Bytes of an answer: a longer one is none."""


class Fence:
    """A :class:`~emafusion.protect.entities.Detector` in another process.

    Parameters
    ----------
    name : str
        What the record calls it.
    path : str
        ``module:name`` of what builds it there: called with `options`, it returns a function from
        a text to entities.
    options : mapping of str to object
        What it is built with.
    limit_s : float
        The longest it may take for one text, seconds.
    begin_s : float
        The longest it may take to begin.
    """

    def __init__(
        self,
        name: str,
        path: str,
        *,
        options: Mapping[str, object] | None = None,
        limit_s: float = 1.0,
        begin_s: float = 60.0,
    ) -> None:
        self.name = name
        self._command = (path, msgspec.json.encode(dict(options or {})).decode())
        self._limit_s = limit_s
        self._begin_s = begin_s
        self._process: Process | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    @property
    def up(self) -> bool:
        """Whether it would answer now."""
        return self._process is not None and self._process.returncode is None

    async def begin(self) -> None:
        """Start; raises :class:`ConfigError` where it does not come up."""
        try:
            await self._start()
        except (OSError, EOFError, TimeoutError, msgspec.DecodeError):
            raise ConfigError(
                f"the detector {self.name!r} did not start; try: python -m "
                f"emafusion.protect.fenced {self._command[0]} '{{}}'"
            ) from None

    async def detect(self, text: str) -> Sequence[Entity]:
        """The entities in `text`; whatever it raises, the process is begun anew behind it."""
        async with self._turn:
            process = self._process
            if process is None:
                raise EOFError("the detector is beginning anew")
            try:
                async with asyncio.timeout(self._limit_s):
                    await _send(process, text)
                    return msgspec.json.decode(await _answer(process), type=list[Entity])
            except BaseException:
                # An answer that is still to come would be taken for the next text's.
                self._again()
                raise

    async def aclose(self) -> None:
        """End the process."""
        if self._beginning is not None:
            self._beginning.cancel()
            await asyncio.wait([self._beginning])
            self._beginning = None
        process, self._process = self._process, None
        if process is not None:
            await _ended(process)

    def _again(self) -> None:
        process, self._process = self._process, None
        if self._beginning is None or self._beginning.done():
            self._beginning = asyncio.create_task(self._restart(process))

    async def _restart(self, process: Process | None) -> None:
        if process is not None:
            await _ended(process)
        # It stays down when it cannot be begun: the next text tries again.
        with contextlib.suppress(OSError, EOFError, TimeoutError, msgspec.DecodeError):
            await self._start()

    async def _start(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "emafusion.protect.fenced",
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
        )
        try:
            async with asyncio.timeout(self._begin_s):
                await _answer(process)
        except BaseException:
            await _ended(process)
            raise
        self._process = process


async def _send(process: Process, text: str) -> None:
    if process.stdin is None:
        raise EOFError("the detector has ended")
    process.stdin.write(framed(text.encode("utf-8", "replace").decode()))
    await process.stdin.drain()


async def _answer(process: Process) -> bytes:
    """The next message; raises ``EOFError`` where there is none."""
    if process.stdout is None:
        raise EOFError("the detector has ended")
    head = await process.stdout.readexactly(HEAD)
    length = int.from_bytes(head, "big")
    if length > LARGEST:
        raise EOFError("the detector's answer has no end")
    return await process.stdout.readexactly(length)


async def _ended(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
