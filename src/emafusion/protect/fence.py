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
from emafusion.protect.entities import Entity, sound
from emafusion.protect.fenced import HEAD, framed
from emafusion.protect.pieces import pieces

LARGEST = 2**24
"""Bytes of an answer: a longer one is none."""
PATIENCE = 10.0
"""How many times its limit a text may wait for those before it, and for a new process."""
SHARE = 10_000
"""Characters that a detector has its limit for; a longer text has as many times as much."""
PAUSES_S = (0.5, 30.0)
"""Between two attempts to begin anew: the first pause, which doubles each time, and the longest."""


def allowed_s(limit_s: float, length: int) -> float:
    """Seconds that a text of `length` may take where one of :data:`SHARE` may take `limit_s`."""
    return limit_s * max(1.0, length / SHARE)


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
        The longest it may take for :data:`SHARE` characters, seconds, once those before them are
        done with.
    begin_s : float
        The longest it may take to begin.
    whole : bool
        Whether it has to read a text as one: a long one then holds up all others. Else that is
        read in :func:`~emafusion.protect.pieces.pieces`, and others in between.
    """

    def __init__(
        self,
        name: str,
        path: str,
        *,
        options: Mapping[str, object] | None = None,
        limit_s: float = 1.0,
        begin_s: float = 60.0,
        whole: bool = False,
    ) -> None:
        self.name = name
        self._command = (path, msgspec.json.encode(dict(options or {})).decode())
        self._limit_s = limit_s
        self._begin_s = begin_s
        self._whole = whole
        self._more_s = 0.0
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
        if self._whole:
            return await self._answered(text)
        found: set[Entity] = set()
        for start, piece in pieces(text):
            answer = await self._answered(piece)
            if not sound(answer, piece):
                raise ValueError("what the detector found is not in the text")
            found.update(
                Entity(kind=one.kind, start=start + one.start, end=start + one.end, score=one.score)
                for one in answer
            )
        return list(found)

    async def _answered(self, text: str) -> Sequence[Entity]:
        """The entities in `text`, once it is its turn."""
        more_s = allowed_s(self._limit_s, len(text)) - self._limit_s
        patience_s = PATIENCE * self._limit_s + self._more_s
        # Who stands behind a long text waits for it: nobody is late because another is long.
        self._more_s += more_s
        try:
            async with asyncio.timeout(patience_s):
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
        finally:
            self._more_s -= more_s

    async def _begun(self) -> None:
        """Wait for the attempt to begin anew that is under way; one that fails is nobody's wait."""
        if self._process is None and self._attempt is not None and not self._closing:
            await asyncio.wait([self._attempt])

    async def _asked(self, text: str) -> Sequence[Entity]:
        process = self._process
        if process is None:
            raise EOFError("the detector is beginning anew")
        try:
            async with asyncio.timeout(allowed_s(self._limit_s, len(text))):
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
