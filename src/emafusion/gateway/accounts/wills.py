"""What a worker leaves behind where the next one on its machine finds it, however it ends.

Beside the lease that the database knows, a worker notes how much of each it has used, in memory
that a file backs: the system keeps that when the process is killed, and drops the lock that said it
lived. So the dead's leases are settled for what was used, requests under way at what they had
reserved, and the rest is free again at once. Notes of before a reboot may be older than the truth,
and are not read. Knows files and locks; no database.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from emafusion.gateway.accounts.leases import Claim
from emafusion.gateway.accounts.terms import Budget, Period
from emafusion.gateway.liveness import living, of_a_dead

log = logging.getLogger("emafusion.gateway")

BOOT = Path("/proc/sys/kernel/random/boot_id")
NOTED = 65536
"""Leases that one worker can note; of what comes after, the next one learns nothing."""
Mark = Callable[[int], None]
"""Notes how much of a lease is used: spent or promised, billionths of a US dollar."""


class _Heading(Struct, frozen=True, array_like=True):
    number: int
    holder: str
    period: Period
    since: str


class Will:
    """One worker's notes in `folder`, which must be its user's alone; raises ``OSError``.

    ``WORKER.leases`` says which leases there are, a line each, and is locked while the worker
    lives; ``WORKER.used`` has a number for each.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._leases = folder / f"{worker}.leases"
        self._used = folder / f"{worker}.used"
        # Written, not only made longer: a full disk must not be found out by touching memory.
        self._used.write_bytes(bytes(8 * NOTED))
        with self._used.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8 * NOTED)
        self._numbers = memoryview(self._memory).cast("q")
        self._file = living(self._leases)

    def of(self, budget: Budget, *, since: str, number: int) -> Mark | None:
        """Where to note what is used of a lease; ``None`` where it cannot be noted."""
        numbers = self._numbers
        if number >= NOTED:
            if number == NOTED:
                log.warning(
                    "this worker has had %d leases: if it is killed, what it holds of further ones"
                    " counts as spent a minute later",
                    NOTED,
                )
            return None
        line = _Heading(number, budget.holder, budget.period, since)
        try:
            os.write(self._file, msgspec.json.encode(line) + b"\n")
        except OSError as error:
            log.warning("what is used of %s is not noted: %s", budget.holder, error)
            return None

        def mark(used: int) -> None:
            numbers[number] = used  # eight bytes at once: never half of it

        return mark

    def tear_up(self) -> None:
        """Remove it: the database knows everything. Nothing may be marked from then on."""
        self._used.unlink(missing_ok=True)
        self._leases.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1
        with suppress(OSError):
            self._leases.parent.rmdir()


@contextmanager
def opened(folder: Path, besides: str) -> Iterator[dict[str, list[Claim]]]:
    """The last claims of the dead in `folder` by worker, removed once the block ends well.

    A claim keeps nothing: what was used is spent, and the rest goes back. `besides` is who asks.
    """
    found: dict[str, list[Claim]] = {}
    files: list[int] = []
    try:
        for path in sorted(folder.glob("*.leases")):
            if path.stem != besides and (file := of_a_dead(path)) is not None:
                files.append(file)
                found[path.stem] = _read(path)
        yield found
        for worker in found:
            for kind in ("used", "leases"):
                (folder / f"{worker}.{kind}").unlink(missing_ok=True)
    finally:
        for file in files:
            os.close(file)


def folder(accounts: str) -> Path | None:
    """The folder for workers of `accounts` on this machine, since it booted; ``None`` without one.

    Another user's folder of that name is not used.
    """
    if sys.platform != "linux":
        return None
    try:
        told = f"{BOOT.read_text().strip()} {accounts}"
        name = hashlib.sha256(told.encode()).hexdigest()[:16]
        found = Path(tempfile.gettempdir()) / f"emafusion-{os.getuid()}-{name}"
        found.mkdir(mode=0o700, exist_ok=True)
        status = found.lstat()
    except OSError as error:
        log.warning("what a killed worker holds is freed late: %s", error)
        return None
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return found if own and not status.st_mode & 0o077 else None


def _read(path: Path) -> list[Claim]:
    with suppress(OSError):
        numbers = memoryview(path.with_suffix(".used").read_bytes()).cast("q")
        return [_claim(line, numbers) for line in _lines(path)]
    return []


def _lines(path: Path) -> Iterator[_Heading]:
    for line in path.read_bytes().splitlines():
        with suppress(msgspec.DecodeError):  # the last one, cut off
            yield msgspec.json.decode(line, type=_Heading)


def _claim(line: _Heading, numbers: memoryview[int]) -> Claim:
    used = numbers[line.number]
    return Claim(
        holder=line.holder,
        period=line.period,
        since=line.since,
        number=line.number,
        spent=used,
        needed=used,
        keeps=used,
    )
