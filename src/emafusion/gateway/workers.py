"""Several processes that serve at one socket, and the parent that keeps them.

The parent binds; workers inherit the socket, so that a connection waiting to be accepted outlives
any of them. Knows processes, signals and pipes; not what a worker does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from emafusion.errors import EmafusionError
from emafusion.gateway.commons import shared
from emafusion.gateway.signals import hear
from emafusion.gateway.telemetry.backing import settle
from emafusion.gateway.texts import Start, Texts

log = logging.getLogger("emafusion.workers")

COUNTS: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder where workers share their counts."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A worker that lived so long is started anew without a pause worth speaking of."""
READY_S = 60.0
"""How long a worker may take until it serves."""
CANNOT = (OSError, RuntimeError)
"""What starting a process fails with: no file, memory, process or thread may be had."""
LONGEST = 2000
"""Characters of a worker's reason to refuse that are told."""

Command = Callable[[int, int, Start], Sequence[str]]
"""What a worker runs, given the numbers of the socket and of its end of the leash, and with which
settings it starts."""


class Leash:
    """A worker's tie to its parent: says when it serves, and learns when the parent is gone.

    What it says are lines, empty where all is well; else they say what is not.
    """

    def __init__(self, number: int) -> None:
        self._end = socket.socket(fileno=number)
        self._end.setblocking(False)

    def hold(self, lost: Callable[[], None]) -> None:
        """Tell the parent that we serve, and call `lost` when there is no parent any more."""

        def heard() -> None:
            with contextlib.suppress(BlockingIOError):
                if not self._end.recv(64):
                    loop.remove_reader(self._end)
                    lost()

        loop = asyncio.get_running_loop()
        loop.add_reader(self._end, heard)
        self.tell()

    def tell(self, refused: str = "") -> None:
        """Tell the parent that what it waits for is done, or why it is `refused`."""
        line = " ".join(refused.split())[:LONGEST]
        with contextlib.suppress(OSError):  # it is gone, which the other direction tells
            self._end.send(f"{line}\n".encode(errors="replace"))


class Workers:
    """Keeps `count` workers serving until SIGTERM or SIGINT.

    The first one starts alone: where it cannot serve, none could. A worker that ends by itself is
    replaced, after a pause that doubles from half a second to half a minute while workers keep
    ending young, or cannot be started; whatever has become of the settings' file, it starts with
    the text that all have taken up last.

    With SIGHUP the file is read, and handed on to one worker after the other, once each serves.
    SIGUSR2 replaces them with it one after the other: the next one ends once the one before is
    replaced, each by finishing what it has begun. Either is done by all or by none: where one
    cannot do it, those that have are replaced once more.

    Parameters
    ----------
    command : callable
        What a worker runs.
    bound : socket
        The socket, bound; the parent never accepts from it.
    count : int
        How many.
    stop_s : float
        How long a worker may take to end in good order, seconds; then it is killed.
    environment : mapping of str to str
        The workers' environment variables.
    texts : Texts
        The settings' texts.
    """

    def __init__(
        self,
        command: Command,
        bound: socket.socket,
        *,
        count: int,
        stop_s: float,
        environment: Mapping[str, str],
        texts: Texts,
    ) -> None:
        self._command = command
        self._bound = bound
        self._stop_s = stop_s
        self._environment = dict(environment)
        self._texts = texts
        self._slots = [_Slot() for _ in range(count)]
        self._alive: set[_Worker] = set()
        self._common = -1
        self._served = asyncio.Event()
        self._status = 0
        self._over = asyncio.Event()

    def run(self) -> int:
        """Keep them until a signal; the exit status.

        It is 0, or that of a worker that ended where none has ever served.
        """
        with shared() as (folder, self._common):
            self._environment[COUNTS] = str(folder)
            self._texts.begin(folder)
            asyncio.run(self._run())
        return self._status

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        turns: asyncio.Queue[Turn] = asyncio.Queue()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._over.set)
        loop.add_signal_handler(signal.SIGHUP, turns.put_nowait, self._reload)
        loop.add_signal_handler(signal.SIGUSR2, turns.put_nowait, self._replace)
        hear(signal.SIGHUP, signal.SIGUSR2)
        # Listening already, callers wait where no worker is there yet, or for a moment.
        self._bound.listen(2048)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._keep(slot)) for slot in self._slots]
            tasks.append(group.create_task(self._take(turns)))
            await self._over.wait()
            for task in tasks:
                task.cancel()
        # What comes now is better refused than kept waiting for nobody.
        self._bound.close()
        # Those too that were about to take another's place.
        await asyncio.gather(*map(self._end, self._alive))

    async def _keep(self, slot: _Slot) -> None:
        """Have a worker in `slot`, whatever becomes of one."""
        if slot is not self._slots[0]:
            await self._served.wait()
        async with slot.turn:
            if slot.worker is None:
                slot.worker = await self._begun(slot)
        while slot.worker is not None:
            worker = slot.worker
            status = await worker.process.wait()
            async with slot.turn:
                if slot.worker is not worker:
                    continue
                self._forget(worker)
                if not self._served.is_set():
                    self._status = status or 1
                    self._over.set()
                    return
                pause_s = slot.pause_s(worker)
                self._tell_of(worker, status, pause_s)
                await asyncio.sleep(pause_s)
                slot.worker = await self._begun(slot)

    def _tell_of(self, worker: _Worker, status: int, pause_s: float) -> None:
        """Log that `worker` has ended: as an error where it could not even serve."""
        number = worker.process.pid
        if worker.served:
            log.warning(
                "worker %d ended (status %d); another begins in %.1f s", number, status, pause_s
            )
            return
        log.error(
            "worker %d could not start (status %d): %s; %d of %d serve, another is tried in %.1f s",
            number,
            status,
            worker.failed,
            sum(each.serving for each in self._slots),
            len(self._slots),
            pause_s,
        )

    async def _begun(self, slot: _Slot) -> _Worker | None:
        """A worker for `slot`, however long it takes; ``None`` where none has ever served."""
        while True:
            try:
                worker = await self._start(self._texts.start)
            except CANNOT as error:
                if not self._served.is_set():
                    log.error("no worker can be started: %s", error)
                    self._status = 1
                    self._over.set()
                    return None
                slot.failing, pause_s = True, slot.pause_s()
                log.error("no worker can be started (%s); again in %.1f s", error, pause_s)
                await asyncio.sleep(pause_s)
            else:
                slot.failing = False
                return worker

    async def _take(self, turns: asyncio.Queue[Turn]) -> None:
        """Do what signals ask for, once there is a worker that serves."""
        await self._served.wait()
        while True:
            turn = await turns.get()
            refused = await self._renew(turn)
            if refused:
                log.error("the settings are as they were: %s", refused)
                await self._tell_refused(refused)
            self._texts.keep([each.start for each in self._alive])

    async def _renew(self, turn: Turn) -> str:
        """Have all workers take up the settings as they are now, or none; why it was none."""
        anew = turn == self._replace
        try:
            start = await asyncio.to_thread(self._texts.offer, anew=anew)
        except (EmafusionError, OSError) as error:
            return str(error)
        refused = ""
        for slot in self._slots:
            # A failing one's worker begins once it can, with what all have by then.
            if not refused and not slot.failing:
                async with slot.turn:
                    refused = await turn(slot, start)
        if not refused:
            self._texts.start = start
        await self._level()
        return refused

    async def _level(self) -> None:
        """Replace those that took what others refused, or began with what was before."""
        start = self._texts.start
        for slot in self._slots:
            if slot.failing:
                continue
            async with slot.turn:
                if slot.worker is not None and slot.worker.start != start:
                    await self._replace(slot, start)

    async def _tell_refused(self, why: str) -> None:
        """Have those that were not asked say as well that, and `why`, nothing was taken up."""
        try:
            self._texts.refuse(why)
        except OSError as error:
            log.error("the workers cannot be told of it: %s", error)
            return
        for slot in self._slots:
            worker, slot.told = None if slot.told else slot.worker, False
            if worker is not None and slot.serving:
                await worker.asked(READY_S)

    async def _reload(self, slot: _Slot, start: Start) -> str:
        """Have the worker in `slot` take up what is offered; why it does not."""
        worker = slot.worker
        # One that does not serve yet might not be able to take it, which would end it.
        if worker is None or not await worker.serves(READY_S):
            return ""
        if worker.process.returncode is not None:
            return ""
        said = await worker.asked(READY_S)
        slot.told = bool(said)
        if said:
            return said
        worker.start = start  # or may yet have
        if said is None:
            return f"worker {worker.process.pid} does not say that it has taken them up"
        return ""

    async def _replace(self, slot: _Slot, start: Start) -> str:
        """Have a worker that starts with `start` take the place of that in `slot`; why not."""
        before = slot.worker
        try:
            after = await self._start(start)
        except CANNOT as error:
            log.error("no other worker can be started (%s); the one before goes on", error)
            return f"no other worker can be started: {error}"
        if not await after.serves(READY_S):
            log.error("a new worker does not serve (%s); the one before goes on", after.failed)
            await self._end(after)
            return f"a new worker does not serve: {after.failed}"
        slot.worker = after
        if before is not None:
            await self._end(before)
        return ""

    async def _start(self, start: Start) -> _Worker:
        self._texts.lay(start)
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as stack:
            stack.enter_context(ours)
            numbers = (self._bound.fileno(), theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                *self._command(*numbers, start),
                pass_fds=(*numbers, self._common),
                env=self._environment,
            )
            stack.pop_all()
        worker = _Worker(process, ours, start, served=self._served.set)
        self._alive.add(worker)
        return worker

    async def _end(self, worker: _Worker) -> None:
        """Have `worker` finish and end; kill it where it does not."""
        process = worker.process
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(self._stop_s):
                await process.wait()
        except TimeoutError:
            log.warning("worker %d did not end in time and is killed", process.pid)
            process.kill()
            await process.wait()
        self._forget(worker)

    def _forget(self, worker: _Worker) -> None:
        """Close what tied `worker` to us, and keep of its counts what goes on."""
        self._alive.discard(worker)
        worker.close()
        try:
            settle(Path(self._environment[COUNTS]), worker.process.pid)
        except OSError as error:  # such as no file that may be opened any more
            log.warning("what worker %d had counted is as it was: %s", worker.process.pid, error)


class _Slot:
    """A place for one worker."""

    def __init__(self) -> None:
        self.worker: _Worker | None = None
        self.turn = asyncio.Lock()
        self.failing = False
        self.told = False
        self._pause_s = FIRST_PAUSE_S

    @property
    def serving(self) -> bool:
        """Whether a worker serves here, as far as we know."""
        worker = self.worker
        return worker is not None and worker.served and worker.process.returncode is None

    def pause_s(self, ended: _Worker | None = None) -> float:
        """How long to wait before another takes the place of `ended`, or is tried to be had."""
        if ended is not None and time.monotonic() - ended.born_s > STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        return pause_s


class _Worker:
    """One process, the settings it has, and our end of its leash."""

    def __init__(
        self, process: Process, end: socket.socket, start: Start, *, served: Callable[[], None]
    ) -> None:
        self.process = process
        self.start = start
        self.born_s = time.monotonic()
        self.failed = "it has not said why"
        self._serves = asyncio.Event()
        self._said = asyncio.Event()
        self._last = ""
        self._end = end
        self._end.setblocking(False)
        self._listening = asyncio.create_task(self._listen(served))

    @property
    def served(self) -> bool:
        """Whether it has ever said that it serves."""
        return self._serves.is_set()

    async def serves(self, within_s: float) -> bool:
        """Whether it has said by then that it serves."""
        return await self._heard(self._serves, within_s)

    async def asked(self, within_s: float) -> str | None:
        """Send it SIGHUP; why it refuses, or ``None`` where it does not say in time."""
        self._said.clear()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGHUP)
        return self._last if await self._heard(self._said, within_s) else None

    async def _heard(self, event: asyncio.Event, within_s: float) -> bool:
        waiting = asyncio.create_task(event.wait())
        try:
            await asyncio.wait(
                {waiting, self._listening}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiting.cancel()
        return event.is_set()

    def close(self) -> None:
        """Let go of the leash."""
        self._listening.cancel()
        self._end.close()

    async def _listen(self, served: Callable[[], None]) -> None:
        """Take note of what it says until it is gone."""
        loop = asyncio.get_running_loop()
        heard = b""
        with contextlib.suppress(ConnectionError):
            while more := await loop.sock_recv(self._end, 4096):
                *lines, heard = (heard + more).split(b"\n")
                for line in lines:
                    self._take(line.decode(errors="replace"), served)

    def _take(self, line: str, served: Callable[[], None]) -> None:
        if line and not self.served:
            self.failed = line
            return
        self._last = line
        served()
        self._serves.set()
        self._said.set()


Turn = Callable[[_Slot, Start], Awaitable[str]]
"""What a signal has done to each worker's place; why it could not be done."""
