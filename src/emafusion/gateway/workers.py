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

from emafusion.gateway.commons import shared
from emafusion.gateway.signals import hear
from emafusion.gateway.telemetry.backing import settle

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

Command = Callable[[int, int], Sequence[str]]
"""What a worker runs, given the numbers of the socket and of its end of the leash."""


class Leash:
    """A worker's tie to its parent: says when it serves, and learns when the parent is gone."""

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

    def tell(self) -> None:
        """Tell the parent that what it waits for is done."""
        with contextlib.suppress(OSError):  # it is gone, which the other direction tells
            self._end.send(b".")


class Workers:
    """Keeps `count` workers serving until SIGTERM or SIGINT.

    A worker that ends by itself is replaced, after a pause that doubles from half a second to half
    a minute while workers keep ending young, or cannot be started. SIGHUP is handed on to one
    worker after the other, once each serves.
    SIGUSR2 replaces them one after the other: the next one ends once the one before is replaced,
    each by finishing what it has begun.

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
    """

    def __init__(
        self,
        command: Command,
        bound: socket.socket,
        *,
        count: int,
        stop_s: float,
        environment: Mapping[str, str],
    ) -> None:
        self._command = command
        self._bound = bound
        self._stop_s = stop_s
        self._environment = dict(environment)
        self._slots = [_Slot() for _ in range(count)]
        self._alive: set[_Worker] = set()
        self._common = -1
        self._served = False
        self._status = 0
        self._over = asyncio.Event()

    def run(self) -> int:
        """Keep them until a signal; the exit status.

        It is 0, or that of a worker that ended where none has ever served.
        """
        with shared() as (folder, self._common):
            self._environment[COUNTS] = str(folder)
            asyncio.run(self._run())
        return self._status

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        turns: asyncio.Queue[Callable[[_Slot], Awaitable[None]]] = asyncio.Queue()
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
        slot.worker = await self._begun(slot)
        while slot.worker is not None:
            worker = slot.worker
            status = await worker.process.wait()
            async with slot.turn:
                if slot.worker is not worker:
                    continue
                self._forget(worker)
                if not self._served:
                    self._status = status or 1
                    self._over.set()
                    return
                pause_s = slot.pause_s(worker)
                log.warning(
                    "worker %d ended (status %d); another begins in %.1f s",
                    worker.process.pid,
                    status,
                    pause_s,
                )
                await asyncio.sleep(pause_s)
                slot.worker = await self._begun(slot)

    async def _begun(self, slot: _Slot) -> _Worker | None:
        """A worker for `slot`, however long it takes; ``None`` where none has ever served."""
        while True:
            try:
                worker = await self._start()
            except CANNOT as error:
                if not self._served:
                    log.error("no worker can be started: %s", error)
                    self._status = 1
                    self._over.set()
                    return None
                slot.failing, pause_s = True, slot.pause_s()
                log.warning("no worker can be started (%s); again in %.1f s", error, pause_s)
                await asyncio.sleep(pause_s)
            else:
                slot.failing = False
                return worker

    async def _take(self, turns: asyncio.Queue[Callable[[_Slot], Awaitable[None]]]) -> None:
        """Do what signals ask for, to one slot after the other."""
        while True:
            turn = await turns.get()
            for slot in self._slots:
                if slot.failing:
                    continue  # its worker begins once it can, with what is there by then
                async with slot.turn:
                    await turn(slot)

    async def _reload(self, slot: _Slot) -> None:
        worker = slot.worker
        # One that does not serve yet might not be able to take it, which would end it.
        if worker is None or not await worker.serves(READY_S):
            return
        if worker.process.returncode is None:
            worker.said.clear()
            worker.process.send_signal(signal.SIGHUP)
            await worker.says(READY_S)

    async def _replace(self, slot: _Slot) -> None:
        before = slot.worker
        try:
            after = await self._start()
        except CANNOT as error:
            log.warning("no other worker can be started (%s); the one before goes on", error)
            return
        if not await after.serves(READY_S):
            log.warning("a new worker does not serve; the one before goes on")
            await self._end(after)
            return
        slot.worker = after
        if before is not None:
            await self._end(before)

    async def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as stack:
            stack.enter_context(ours)
            numbers = (self._bound.fileno(), theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                *self._command(*numbers),
                pass_fds=(*numbers, self._common),
                env=self._environment,
            )
            stack.pop_all()
        worker = _Worker(process, ours, self._note)
        self._alive.add(worker)
        return worker

    def _note(self) -> None:
        self._served = True

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
        self._pause_s = FIRST_PAUSE_S

    def pause_s(self, ended: _Worker | None = None) -> float:
        """How long to wait before another takes the place of `ended`, or is tried to be had."""
        if ended is not None and time.monotonic() - ended.born_s > STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        return pause_s


class _Worker:
    """One process, and our end of its leash."""

    def __init__(self, process: Process, end: socket.socket, served: Callable[[], None]) -> None:
        self.process = process
        self.born_s = time.monotonic()
        self.said = asyncio.Event()
        self._serves = asyncio.Event()
        self._end = end
        self._end.setblocking(False)
        self._listening = asyncio.create_task(self._listen(served))

    async def serves(self, within_s: float) -> bool:
        """Whether it has said by then that it serves."""
        return await self._heard(self._serves, within_s)

    async def says(self, within_s: float) -> bool:
        """Whether it says in time that it is done with what it was asked to do."""
        return await self._heard(self.said, within_s)

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
        with contextlib.suppress(ConnectionError):
            while await loop.sock_recv(self._end, 64):
                served()
                self._serves.set()
                self.said.set()
