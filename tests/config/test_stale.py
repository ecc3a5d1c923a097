"""Models whose answers of some time no longer say what they do."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emafusion.config.stale import Stale
from emafusion.errors import DataError, StoreError
from emafusion.learn.traffic import Span, within


def before(time: float) -> tuple[Span, ...]:
    return ((-math.inf, time),)


def test_what_a_model_answered_before_a_change_that_lasts_says_nothing(tmp_path: Path) -> None:
    stale = Stale(tmp_path / "decisions.sqlite3")
    assert stale.read() == {}
    stale.note("a", 10.0)
    stale.note("b", 20.0)
    stale.note("a", 30.0)
    assert Stale(tmp_path / "decisions.sqlite3").read() == {"a": before(30.0), "b": before(20.0)}


def test_once_a_change_is_over_what_was_answered_while_it_lasted_says_nothing(
    tmp_path: Path,
) -> None:
    stale = Stale(tmp_path / "d")
    stale.note("a", 10.0)
    stale.note("a", 15.0)
    stale.note("a", 10.0, until=20.0)
    (told,) = stale.read().values()
    assert told == ((10.0, 20.0),)
    assert [within(time, told) for time in (9.0, 10.0, 17.0, 20.0)] == [False, True, True, False]
    stale.note("a", 40.0)
    assert set(stale.read()["a"]) == {*before(40.0), (10.0, 20.0)}
    stale.note("a", 40.0, until=50.0)
    assert stale.read() == {"a": ((10.0, 20.0), (40.0, 50.0))}


def test_a_process_that_reads_the_record_again_opens_nothing_that_is_over(tmp_path: Path) -> None:
    stale = Stale(tmp_path / "d")
    course = ((10.0, None), (15.0, None), (10.0, 20.0), (40.0, None))
    for since, until in course:
        stale.note("a", since, until=until)
    kept = stale.path.read_bytes()
    for since, until in course:
        stale.note("a", since, until=until)
        assert stale.path.read_bytes() == kept


def test_what_one_process_notes_another_does_not_take_away(tmp_path: Path) -> None:
    def note(number: int) -> None:
        Stale(tmp_path / "d").note(f"model {number}", float(number))

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(note, range(24)))
    assert Stale(tmp_path / "d").read() == {f"model {n}": before(float(n)) for n in range(24)}
    assert list(tmp_path.glob("*.draft")) == list(tmp_path.glob(".*.draft")) == []


def test_a_file_that_cannot_be_written_is_an_error_of_the_record(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"d\.stale\.json.*free some space"):
        Stale(tmp_path / "file" / "d").note("a", 1.0)


@pytest.mark.parametrize("text", ["[1, 2", '{"a": "3"}'])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    stale = Stale(tmp_path / "d")
    stale.path.write_text(text)
    with pytest.raises(DataError, match=r"d\.stale\.json.*delete it"):
        stale.read()


def test_a_file_that_holds_times_alone_is_read(tmp_path: Path) -> None:
    stale = Stale(tmp_path / "d")
    stale.path.write_text('{"a": 10.0}')
    assert stale.read() == {"a": before(10.0)}
    stale.note("a", 20.0)
    assert stale.read() == {"a": before(20.0)}


def test_a_change_that_is_dated_anew_begins_then_alone(tmp_path: Path) -> None:
    stale = Stale(tmp_path / "d")
    course = ((95.0, None), (40.0, 95.0), (42.0, 40.0))
    for _ in range(2):
        for since, instead in course:
            stale.note("a", since, instead=instead)
        assert stale.read() == {"a": before(42.0)}
    stale.note("a", 42.0, until=100.0)
    for since, instead in course:
        stale.note("a", since, instead=instead)
    stale.note("a", 42.0, until=100.0)
    assert stale.read() == {"a": ((42.0, 100.0),)}


def test_each_database_has_a_file_of_its_own_whoever_opens_it() -> None:
    names = [
        Stale(None, address).path.name
        for address in (
            "postgresql://ann:secret@db/one",
            "postgresql://bob:other@db/one?sslmode=require",
            "postgresql://ann:secret@db/two",
            "postgresql://ann:secret@elsewhere/one",
            "postgresql:///one?host=elsewhere&password=secret",
        )
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 4
    assert not any(word in name for name in names for word in ("secret", "ann", "bob"))
