"""Models whose old answers no longer say what they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from emafusion.config.stale import Stale
from emafusion.errors import DataError


def test_changes_are_kept_until_they_are_over(tmp_path: Path) -> None:
    stale = Stale(tmp_path / "decisions.sqlite3")
    assert stale.read() == {}
    stale.note("a", 10.0)
    stale.note("b", 20.0)
    stale.note("a", 30.0)
    assert Stale(tmp_path / "decisions.sqlite3").read() == {"a": 30.0, "b": 20.0}
    stale.note("a", None)
    assert stale.read() == {"b": 20.0}


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    stale = Stale(tmp_path / "d")
    stale.path.write_text("[1, 2")
    with pytest.raises(DataError, match=r"d\.stale\.json.*delete it"):
        stale.read()
