"""Models whose old answers no longer say what they do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emafusion.config.stale import Stale
from emafusion.errors import DataError, StoreError


def test_changes_are_kept_until_they_are_over(tmp_path: Path) -> None:
    stale = Stale(tmp_path / "decisions.sqlite3")
    assert stale.read() == {}
    stale.note("a", 10.0)
    stale.note("b", 20.0)
    stale.note("a", 30.0)
    assert Stale(tmp_path / "decisions.sqlite3").read() == {"a": 30.0, "b": 20.0}
    stale.note("a", None)
    assert stale.read() == {"b": 20.0}


def test_what_one_process_notes_another_does_not_take_away(tmp_path: Path) -> None:
    def note(number: int) -> None:
        Stale(tmp_path / "d").note(f"model {number}", float(number))

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(note, range(24)))
    assert Stale(tmp_path / "d").read() == {f"model {n}": float(n) for n in range(24)}
    assert list(tmp_path.glob("*.draft")) == list(tmp_path.glob(".*.draft")) == []


def test_a_file_that_cannot_be_written_is_an_error_of_the_record(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"d\.stale\.json.*free some space"):
        Stale(tmp_path / "file" / "d").note("a", 1.0)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    stale = Stale(tmp_path / "d")
    stale.path.write_text("[1, 2")
    with pytest.raises(DataError, match=r"d\.stale\.json.*delete it"):
        stale.read()
