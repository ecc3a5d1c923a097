"""Space that workers' counts have before they need it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import mmap_dict

from emafusion.errors import StoreError
from emafusion.gateway.telemetry.backing import FIRST_BYTES, Backing, settle

Counts: Any = mmap_dict.MmapedDict  # which has no types


def file(folder: Path, kind: str) -> Path:
    return folder / f"{kind}_{os.getpid()}.db"


def taken(path: Path) -> int:
    """Bytes that are there on the disk, not only in name."""
    return 512 * path.stat().st_blocks


def test_counts_never_touch_what_has_no_space_on_the_disk(tmp_path: Path) -> None:
    backing = Backing(tmp_path)
    for kind, size in FIRST_BYTES.items():
        assert taken(file(tmp_path, kind)) >= size
    path = file(tmp_path, "counter")
    counts = Counts(str(path))
    for number in range(8000):
        counts.write_value(f"a count of something with labels, number {number:12}", 1.0, 0.0)
        if number % 500 == 0:
            backing.grow()
            assert taken(path) >= path.stat().st_size
    assert path.stat().st_size > FIRST_BYTES["counter"]
    assert sum(value for _, value, _ in counts.read_all_values()) == 8000
    counts.close()


def test_of_an_ended_process_only_what_it_counted_is_kept(tmp_path: Path) -> None:
    Backing(tmp_path)
    path = file(tmp_path, "histogram")
    counts = Counts(str(path))
    counts.write_value("a", 2.0, 0.0)
    counts.close()
    settle(tmp_path, os.getpid())
    assert path.stat().st_size < 1000
    found = Counts.read_all_values_from_file(str(path))
    assert [value for _, value, _, _ in found] == [2.0]
    assert not file(tmp_path, "gauge_livesum").exists()


def test_no_space_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="free space there"):
        Backing(tmp_path / "none")
