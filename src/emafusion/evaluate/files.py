"""Files of outcomes and reports, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from emafusion.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa


ANOTHER = "name a folder that you can write to"


def write(path: Path, data: bytes, *, parents: bool = False, remedy: str = ANOTHER) -> None:
    """`path` holds `data`, or what it held before.

    `parents` makes its folder where there is none; `remedy` says what to do where that fails.

    Raises
    ------
    StoreError
        It could not be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        if path.parent.is_dir():
            draft.unlink(missing_ok=True)
        raise StoreError(
            f"cannot write {str(path)!r}: {error.strerror or error}; {remedy}"
        ) from error


def parquet(table: pa.Table) -> bytes:
    """`table` as the bytes of a parquet file."""
    import pyarrow as pa
    from pyarrow import parquet as format_

    sink = pa.BufferOutputStream()
    format_.write_table(table, sink)
    return bytes(sink.getvalue())
