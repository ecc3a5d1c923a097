"""Reads and writes a fitted policy's folder. Knows the format, not the meaning."""

from __future__ import annotations

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

    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        packed = (folder / ARRAYS).read_bytes()
    except FileNotFoundError as missing:
        raise ArtefactError(
            f"no fitted policy in {str(folder)!r}: {Path(str(missing.filename)).name} is missing; "
            "make one with: emafusion fit"
        ) from missing
    except (OSError, msgspec.DecodeError) as wrong:
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

    An existing folder is replaced only once the new one is complete on disk.
    """
    import numpy as np

    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        arrays = {name: np.asarray(array) for name, array in artefact.arrays.items()}
        np.savez_compressed(fresh / ARRAYS, allow_pickle=False, **arrays)
        digest = hashlib.sha256((fresh / ARRAYS).read_bytes()).hexdigest()
        manifest = msgspec.structs.replace(artefact.manifest, arrays_sha256=digest)
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        (fresh / MANIFEST).write_bytes(text + b"\n")
        _sync(fresh)
        _swap(fresh, folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return Artefact(manifest=manifest, arrays=artefact.arrays)


def _sync(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _swap(fresh: Path, folder: Path) -> None:
    fresh.chmod(0o755)
    if not folder.exists():
        fresh.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    folder.rename(old / "was")
    fresh.rename(folder)
    shutil.rmtree(old)
