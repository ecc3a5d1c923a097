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
PATIENCE = 10.0
"""How many times its limit a text may wait for those before it, and for a new process."""
PAUSES_S = (0.5, 30.0)
"""Between two attempts to begin anew: the first pause, which doubles each time, and the longest."""


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
        The longest it may take for one text, seconds, once those before it are done with.
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
        self._attempt: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[Sequence[Entity]] | None = None
        self._endings: set[asyncio.Task[None]] = set()
        self._closing = False
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
        """The entities in `text`; whatever goes wrong, the process is begun anew behind it."""
        async with asyncio.timeout(PATIENCE * self._limit_s):
            await self._turn.acquire()
            try:
                await self._begun()
            except BaseException:
                self._turn.release()
                raise
        self._asking = asyncio.create_task(self._asked(text))
        self._asking.add_done_callback(self._next)
        # Who leaves does not end the process under those who wait: its answer is waited for.
        return await asyncio.shield(self._asking)

    async def _begun(self) -> None:
        """Wait for the attempt to begin anew that is under way; one that fails is nobody's wait."""
        if self._process is None and self._attempt is not None and not self._closing:
            await asyncio.wait([self._attempt])

    async def _asked(self, text: str) -> Sequence[Entity]:
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

    def _next(self, asked: asyncio.Task[Sequence[Entity]]) -> None:
        self._turn.release()
        if not asked.cancelled():
            asked.exception()  # whoever asked may have left

    async def aclose(self) -> None:
        """End the process."""
        self._closing = True
        for task in (self._asking, self._beginning, self._attempt):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        self._asking = self._beginning = self._attempt = None
        process, self._process = self._process, None
        if process is not None:
            await _ended(process)
        if self._endings:
            await asyncio.wait(self._endings)

    def _again(self) -> None:
        if self._process is None or self._closing:
            return
        process, self._process = self._process, None
        # By itself: nothing that is cancelled may leave a process behind.
        ending = asyncio.create_task(_ended(process))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        self._attempt = asyncio.create_task(self._anew(ending))
        self._beginning = asyncio.create_task(self._restart(self._attempt))

    async def _anew(self, ending: asyncio.Task[None]) -> None:
        await asyncio.wait([ending])
        await self._start()

    async def _restart(self, attempt: asyncio.Task[None]) -> None:
        pause_s, longest_s = PAUSES_S
        while True:
            try:
                return await attempt
            except (OSError, EOFError, TimeoutError, msgspec.DecodeError):
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, longest_s)
                attempt = self._attempt = asyncio.create_task(self._start())

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
