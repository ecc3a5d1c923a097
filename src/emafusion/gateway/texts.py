"""The settings' text as a parent hands it to its workers: in files of the folder they share.

Whatever has become of the settings' file, a worker starts with the text that all have taken up.
Knows files and who may read them; nothing of what a text says.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple

from emafusion.errors import ConfigError

OFFER: Final = "offered.toml"
REFUSAL: Final = "refused.txt"


class Start(NamedTuple):
    """The files that a worker begins with.

    What a reload does not take up is as `began` has it, all else as `taken`.
    """

    began: Path
    taken: Path


class Texts:
    """What workers start with, and what they are offered.

    Parameters
    ----------
    first : str
        The text that the first workers start with.
    read : callable
        Reads the text as it is now; raises :class:`ConfigError`.

    Attributes
    ----------
    start : Start
        What workers start with now, once there is a folder.
    """

    start: Start

    def __init__(self, first: str, read: Callable[[], str]) -> None:
        self._read = read
        self._held: dict[Path, str] = {}
        self._first = first
        self._folder = Path()
        self._number = 0

    def begin(self, folder: Path) -> None:
        """Have the files in `folder`, which must be its owner's alone."""
        self._folder = folder
        path = self._hold(self._first)
        self.start = Start(path, path)

    def offer(self, *, anew: bool) -> Start:
        """Read the text and offer it to workers that serve; what they start with once all took it.

        With `anew` that holds for what a reload does not take up, too. Raises :class:`ConfigError`
        or ``OSError``, and has offered nothing then.
        """
        text = self._read()
        _write(self._folder / OFFER, text)
        (self._folder / REFUSAL).unlink(missing_ok=True)
        path = self._hold(text)
        return Start(path if anew else self.start.began, path)

    def refuse(self, why: str) -> None:
        """Have workers that are asked to reload refuse it, and say `why`; raises ``OSError``."""
        _write(self._folder / REFUSAL, why)

    def lay(self, start: Start) -> None:
        """Have its files there: folders for temporary files are swept of what nobody reads."""
        for path in start:
            if not path.exists():
                _write(path, self._held[path])

    def keep(self, starts: Collection[Start]) -> None:
        """Forget what none of `starts` names."""
        named = {path for start in (*starts, self.start) for path in start}
        for path in self._held.keys() - named:
            del self._held[path]
            with contextlib.suppress(OSError):  # it goes with the folder
                path.unlink(missing_ok=True)

    def _hold(self, text: str) -> Path:
        self._number += 1
        path = self._folder / f"settings-{self._number}.toml"
        self._held[path] = text
        return path


def offered(folder: Path) -> str:
    """The text that the parent offers in `folder`; raises :class:`ConfigError` where it does not.

    ``OSError`` where it cannot be read.
    """
    try:
        why = (folder / REFUSAL).read_text("utf-8")
    except FileNotFoundError:
        return (folder / OFFER).read_text("utf-8")
    raise ConfigError(why)


def _write(path: Path, text: str) -> None:
    """Have `text` in `path`, whole or not at all, for its owner alone."""
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    # A reason may name a file whose name is no text.
    with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        file.write(text)
    beside.replace(path)
