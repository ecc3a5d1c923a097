"""What a file says to who looks for a text in it, whatever file it is.

Undoes what the standard library packs. Knows of other formats that they cannot be searched; not
what any file is for.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

from emafusion.errors import DataError

PIECE = 1 << 22
"""Bytes that are searched at once."""
OVERLAP = 1 << 14
"""Bytes at the end of a piece that are searched with the next, too: longer than any value."""
HEAD = 128
DEEPEST = 5
"""Packed files within packed files."""
_MARKS: Final = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
                 (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
_PACKED: Final = (
    b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\xff\x06\x00\x00sNaPpY", b"\x1f\x9d", b"7z\xbc\xaf",
    b"Rar!", b"%PDF", b"PAR1", b"ARROW1", b"Obj\x01", b"\x89HDF", b"\x89PNG", b"GIF8",
    b"\xff\xd8\xff", b"\xd0\xcf\x11\xe0", b"Salted__", b"age-encryption.org",
    b"-----BEGIN PGP MESSAGE",
)  # fmt: skip
"""How formats begin whose texts do not stand in their bytes: packed, encrypted, or drawn."""
_NUMBERS: Final = re.compile(rb"\x93NUMPY.{1,40}'descr': '[<>=](?:f|[iu])\d", re.DOTALL)
"""How an array of numbers begins that are longer than a byte."""
_BROKEN: Final = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)
"""What is raised by packed files that are damaged, or need a password."""


def texts(path: Path) -> Iterator[str]:
    """All that the file at `path` says, in pieces that overlap.

    Texts are UTF-8, UTF-16 or Latin-1; what is gzip, bzip2, xz or zip is unpacked.

    Raises
    ------
    DataError
        Nothing can be looked for in it, or in all of it.
    """
    try:
        with path.open("rb") as file:
            yield from _said(file, DEEPEST)
    except (OSError, *_BROKEN) as error:
        raise DataError(f"cannot read {str(path)!r}: {error}") from error


def _said(file: IO[bytes], depth: int) -> Iterator[str]:
    head = file.read(HEAD)
    file.seek(0)
    if not depth or head.startswith(_PACKED):
        raise DataError("nothing can be looked for in packed or drawn texts")
    unpacked = _unpacked(file, head)
    if head.startswith(b"PK\x03\x04"):
        yield from _members(file, depth)
    elif unpacked is not None:
        with unpacked:
            yield from _said(unpacked, depth - 1)
    elif _NUMBERS.match(head) is None:
        yield from _pieces(file, head)


def _members(file: IO[bytes], depth: int) -> Iterator[str]:
    with zipfile.ZipFile(file) as packed:
        for one in packed.infolist():
            yield one.filename
            with packed.open(one) as inner:
                yield from _said(inner, depth - 1)


def _unpacked(file: IO[bytes], head: bytes) -> IO[bytes] | None:
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(file))
    if head.startswith(b"BZh"):
        return bz2.open(file)
    return lzma.open(file) if head.startswith(b"\xfd7zXZ\x00") else None


def _pieces(file: IO[bytes], head: bytes) -> Iterator[str]:
    wide = next((codec for mark, codec in _MARKS if head.startswith(mark)), None)
    if wide is not None:
        decoder = codecs.getincrementaldecoder(wide)("replace")
        before = ""
        while piece := file.read(PIECE):
            before += decoder.decode(piece)
            yield before
            before = before[-OVERLAP:]
        return
    last = b""
    while piece := file.read(PIECE):
        whole = last + piece
        told = whole.decode("utf-8", "replace")
        yield told
        if "\ufffd" in told:
            yield whole.decode("latin-1")
        if b"\x00" in whole:
            # UTF-16 without a mark.
            yield whole.replace(b"\x00", b"").decode("utf-8", "replace")
        last = whole[-OVERLAP:]
