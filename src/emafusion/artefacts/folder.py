"""Reads and writes a fitted policy's folder. Knows the format, not the meaning."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from emafusion.errors import ArtefactError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

VERSION = 1
ARRAYS = "arrays.npz"
MANIFEST = "manifest.json"
WAS = "was"
MANY = "versions"
"""Stands in a folder of many policies, which :mod:`emafusion.artefacts.versions` knows."""


class Manifest(Struct, frozen=True, kw_only=True):
    """What a fitted policy is: its format, its origin, the models it knows, how well it did.

    ``data_digest`` identifies the outcomes it was fitted on, ``arrays_sha256`` its arrays file;
    ``metrics`` are measured on rows it was not fitted on.
    """

    version: int
    created: str
    encoder: str
    pool: tuple[str, ...]
    data_digest: str
    arrays_sha256: str = ""
    queries: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, float] = field(default_factory=dict)


class Artefact(Struct, frozen=True, kw_only=True):
    """A manifest and its arrays, each named ``stage/what``."""

    manifest: Manifest
    arrays: Arrays

    def under(self, stage: str) -> dict[str, NDArray[np.generic]]:
        """The arrays of `stage`, by what follows the slash."""
        start = f"{stage}/"
        return {n.removeprefix(start): a for n, a in self.arrays.items() if n.startswith(start)}


def read(folder: Path) -> Artefact:
    """The artefact in `folder`.

    Raises
    ------
    ArtefactError
        The folder is missing, damaged, or of a version this code does not know.
    """
    import numpy as np

    folder = _whole(folder)
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        packed = (folder / ARRAYS).read_bytes()
    except FileNotFoundError as missing:
        raise ArtefactError(
            f"no fitted policy in {str(folder)!r}: {Path(str(missing.filename)).name} is missing; "
            "make one with: emafusion fit"
        ) from missing
    except (OSError, ValueError, RecursionError) as wrong:
        raise ArtefactError(f"cannot read the policy in {str(folder)!r}: {wrong}") from wrong
    if manifest.version != VERSION:
        raise ArtefactError(
            f"the policy in {str(folder)!r} has version {manifest.version}, this code reads "
            f"version {VERSION}; fit it anew with: emafusion fit"
        )
    if hashlib.sha256(packed).hexdigest() != manifest.arrays_sha256:
        raise ArtefactError(f"{str(folder / ARRAYS)!r} is damaged: its hash is not the manifest's")
    try:
        with np.load(folder / ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, zipfile.BadZipFile) as wrong:
        raise ArtefactError(f"{str(folder / ARRAYS)!r} is damaged: {wrong}") from wrong
    return Artefact(manifest=manifest, arrays=arrays)


def write(folder: Path, artefact: Artefact) -> Artefact:
    """Put `artefact` into `folder`, whole or not at all, and return it with its arrays' hash.

    An existing folder is replaced only once the new one is complete on disk; a crash between the
    two renames that takes leaves the old one beside its place, where :func:`read` finds it.

    Raises
    ------
    ArtefactError
        What is in the place of `folder` is no policy, so replacing it would destroy something else.
    """
    import numpy as np

    check_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        arrays = {name: np.asarray(array) for name, array in artefact.arrays.items()}
        np.savez_compressed(fresh / ARRAYS, allow_pickle=False, **arrays)
        digest = hashlib.sha256((fresh / ARRAYS).read_bytes()).hexdigest()
        manifest = msgspec.structs.replace(artefact.manifest, arrays_sha256=digest)
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        (fresh / MANIFEST).write_bytes(text + b"\n")
        for path in (*fresh.iterdir(), fresh):
            sync(path)
        _swap(fresh, folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return Artefact(manifest=manifest, arrays=artefact.arrays)


def check_place(folder: Path) -> None:
    """Raise :class:`ArtefactError` where :func:`write` would refuse `folder`."""
    if (folder / MANY).is_dir():
        raise ArtefactError(
            f"{str(folder)!r} holds versions of policies, which one policy must not replace; name "
            "another folder, or have emafusion learn add a version"
        )
    held = not folder.is_dir() or any(folder.iterdir())
    if folder.exists() and held and not (folder / MANIFEST).is_file():
        raise ArtefactError(
            f"{str(folder)!r} is there and holds no policy; name a new or an empty folder"
        )


def _whole(folder: Path) -> Path:
    """`folder`, or the one that a crash left beside its empty place."""
    return folder if folder.exists() else next(iter(_left(folder)), folder)


def _left(folder: Path) -> list[Path]:
    """What was in `folder` when a crash came between the two renames of :func:`_swap`."""
    return sorted(folder.parent.glob(f".{glob.escape(folder.name)}-old-*/{WAS}"))


def sync(path: Path) -> None:
    """Make what a file holds, or the names in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(fresh: Path, folder: Path) -> None:
    fresh.chmod(0o755)
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
        folder.rename(old / WAS)
    fresh.rename(folder)
    sync(folder.parent)
    for was in _left(folder):
        shutil.rmtree(was.parent, ignore_errors=True)
