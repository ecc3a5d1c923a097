"""Policies side by side: whole, one serving, and back to the one before."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion import artefacts
from emafusion.artefacts import Serving, Versions
from emafusion.artefacts.lock import held
from emafusion.artefacts.versions import is_one
from emafusion.errors import ArtefactError, StoreError

KILLS = "12"
"""At random times, beside one at each file operation: some 90 in all."""


def artefact(value: float, created: str = "2026-01-01") -> artefacts.Artefact:
    manifest = artefacts.Manifest(
        version=artefacts.VERSION, created=created, encoder="e", pool=("a",), data_digest="d"
    )
    return artefacts.Artefact(manifest=manifest, arrays={"a/b": np.array([value])})


def value(versions: Versions) -> float:
    serving = versions.current()
    assert serving is not None
    return float(versions.read(serving.id).arrays["a/b"].item())


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return Versions(tmp_path / "policies", wait_s=0.1)


def promoted(versions: Versions, *values: float) -> list[str]:
    ids = [versions.add(artefact(one)) for one in values]
    for one in ids:
        versions.promote(one, why="better")
    return ids


def test_nothing_serves_until_something_is_promoted(versions: Versions) -> None:
    assert versions.current() is None
    assert versions.stamp() is None
    assert versions.previous() is None
    assert versions.history() == ()
    assert versions.ids() == ()
    assert not is_one(versions.folder)
    name = versions.add(artefact(1.0))
    assert is_one(versions.folder)
    assert versions.current() is None
    with pytest.raises(ArtefactError, match="promote one first"):
        versions.canary(name, 0.1)
    versions.promote(name, why="the first", figures={"gain": 0.5})
    assert versions.current() == Serving(id=name)
    assert value(versions) == 1.0
    (event,) = versions.history()
    assert (event.what, event.id, event.before, event.why) == ("promote", name, None, "the first")
    assert event.figures == {"gain": 0.5}


def test_the_same_policy_is_kept_once_whatever_its_date(versions: Versions) -> None:
    first = versions.add(artefact(1.0))
    assert versions.add(artefact(1.0, created="2027-02-02")) == first
    second = versions.add(artefact(2.0))
    assert versions.ids() == (first, second)
    assert second.startswith("0002-")
    assert versions.manifest(first).created == "2026-01-01"


def test_going_back_restores_what_served_before_one_after_another(versions: Versions) -> None:
    first, second, third = promoted(versions, 1.0, 2.0, 3.0)
    assert versions.previous() == second
    assert versions.rollback(why="worse") == Serving(id=second)
    assert value(versions) == 2.0
    assert versions.rollback() == Serving(id=first)
    with pytest.raises(ArtefactError, match="none to go back to"):
        versions.rollback()
    assert [(e.what, e.id, e.before) for e in versions.history()[3:]] == [
        ("rollback", second, third),
        ("rollback", first, second),
    ]
    versions.promote(third, why="again")
    assert versions.previous() == first


def test_promoting_what_serves_already_leaves_the_one_before_in_reach(versions: Versions) -> None:
    first, second = promoted(versions, 1.0, 2.0)
    versions.promote(second, why="again")
    assert versions.previous() == first
    versions.promote(first, why="back")
    assert versions.previous() == second
    versions.rollback()
    assert versions.previous() is None


def test_a_policy_is_promoted_only_over_the_one_it_was_compared_with(versions: Versions) -> None:
    first, second = (versions.add(artefact(one)) for one in (1.0, 2.0))
    versions.promote(first, why="nothing served", over=None)
    with pytest.raises(ArtefactError, match="serves by now"):
        versions.promote(second, why="nothing served, it thinks", over=None)
    versions.promote(second, why="better than the first", over=first)
    with pytest.raises(ArtefactError, match="compared with"):
        versions.promote(first, why="too late", over=first)
    assert value(versions) == 2.0


def test_a_canary_serves_its_share_and_ends(versions: Versions) -> None:
    first, second, third = (versions.add(artefact(one)) for one in (1.0, 2.0, 3.0))
    versions.promote(first, why="the first")
    assert versions.canary(second, 0.25) == Serving(id=first, candidate=second, share=0.25)
    assert value(versions) == 1.0
    assert versions.withdraw(why="slow") == Serving(id=first)
    with pytest.raises(ArtefactError, match="no canary"):
        versions.withdraw()
    versions.canary(third, 0.5)
    assert versions.promote(third, why="it did well") == Serving(id=third)
    assert versions.previous() == first
    assert [event.what for event in versions.history()] == [
        "promote", "canary", "withdraw", "canary", "promote",
    ]  # fmt: skip
    with pytest.raises(ArtefactError, match="already"):
        versions.canary(third, 0.5)
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(ArtefactError, match="share"):
            versions.canary(first, share)


def test_requests_keep_their_policy_and_the_share_is_kept() -> None:
    serving = Serving(id="0001-a", candidate="0002-b", share=0.2)
    keys = [f"session-{number}" for number in range(5000)]
    chosen = [serving.choose(key) for key in keys]
    assert chosen == [serving.choose(key) for key in keys]
    assert 0.17 < chosen.count("0002-b") / len(keys) < 0.23
    other = Serving(id="0001-a", candidate="0003-c", share=0.2)
    both = sum(serving.choose(k) != "0001-a" != other.choose(k) for k in keys) / len(keys)
    assert 0.02 < both < 0.06
    # The hash is part of the interface: every process and version must draw alike.
    assert [k for k in keys[:20] if serving.choose(k) == "0002-b"] == [
        "session-0", "session-13",
    ]  # fmt: skip


@given(key=st.text(), low=st.floats(0.0, 1.0), high=st.floats(0.0, 1.0))
def test_a_larger_share_keeps_those_it_has(key: str, low: float, high: float) -> None:
    low, high = sorted((low, high))
    few = Serving(id="0001-a", candidate="0002-b", share=low)
    many = Serving(id="0001-a", candidate="0002-b", share=high)
    assert few.choose(key) == "0001-a" or many.choose(key) == "0002-b"


def test_pruning_keeps_who_serves_who_is_tried_and_who_served_last(versions: Versions) -> None:
    ids = promoted(versions, 1.0, 2.0, 3.0)
    tried, *idle = (versions.add(artefact(one)) for one in (4.0, 5.0, 6.0, 7.0))
    versions.canary(tried, 0.1)
    assert versions.prune(1) == (ids[0], *idle[:2])
    assert versions.ids() == (ids[1], ids[2], tried, idle[2])
    assert versions.rollback() == Serving(id=ids[1])
    with pytest.raises(ArtefactError, match="none to go back to"):
        versions.rollback()
    assert versions.prune(0, besides=idle[2]) == (ids[2], tried)
    assert versions.prune(0) == (idle[2],)
    assert versions.add(artefact(8.0)).startswith("0005-")
    assert {path.name for path in versions.folder.iterdir()} == {
        "versions", "current", "history.jsonl", "lock",
    }  # fmt: skip


def test_the_stamp_changes_with_who_serves_alone(versions: Versions) -> None:
    first, second = promoted(versions, 1.0, 2.0)
    stamp = versions.stamp()
    versions.add(artefact(3.0))
    versions.prune(5)
    assert versions.stamp() == stamp
    versions.rollback()
    assert versions.stamp() != stamp
    assert versions.stamp() is not None
    assert {first, second} < set(versions.ids())


def test_an_unknown_or_damaged_policy_is_not_promoted(versions: Versions) -> None:
    (first,) = promoted(versions, 1.0)
    for name in ("0009-aaaaaaaaaaaa", "../../etc", ""):
        with pytest.raises(ArtefactError, match=f"the last are: {first}"):
            versions.promote(name, why="?")
    second = versions.add(artefact(2.0))
    path = versions.folder / "versions" / second / "arrays.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtefactError, match="damaged"):
        versions.promote(second, why="?")
    assert value(versions) == 1.0


@pytest.mark.parametrize("odd", [b"{", b'{"encoder":"\xff"}', b'{"x":' + b"[" * 100_000])
def test_a_policy_with_a_damaged_manifest_is_told_of(versions: Versions, odd: bytes) -> None:
    (first,) = promoted(versions, 1.0)
    (versions.folder / "versions" / first / "manifest.json").write_bytes(odd)
    for reading in (versions.manifest, versions.read):
        with pytest.raises(ArtefactError, match="cannot read"):
            reading(first)


def test_a_torn_line_and_a_lost_event_are_mended(versions: Versions) -> None:
    promoted(versions, 1.0, 2.0)
    path = versions.folder / "history.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert [event.number for event in versions.history()] == [1, 2]
    versions.rollback()
    assert [event.number for event in versions.history()] == [1, 2, 3]
    assert path.read_bytes().startswith(whole)


def test_damaged_lines_of_the_history_are_set_aside(
    versions: Versions, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = promoted(versions, 1.0, 2.0)
    path = versions.folder / "history.jsonl"
    whole = path.read_bytes()
    damaged = [b"{}", b'{"id":"\xff"}', whole[:30]]
    path.write_bytes(b"".join(line + b"\n" for line in damaged) + whole)
    assert [event.number for event in versions.history()] == [1, 2]
    assert "3 damaged lines" in caplog.text
    assert versions.rollback() == Serving(id=first)
    assert [event.number for event in versions.history()] == [1, 2, 3]
    assert path.read_bytes().startswith(whole)
    assert (versions.folder / "history.damaged").read_bytes().splitlines() == damaged
    assert "history.damaged" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b'{"serving":{"id":"\xff"}}', None])
def test_a_damaged_current_is_made_anew_from_the_history(
    versions: Versions, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    first, second, third = promoted(versions, 1.0, 2.0, 3.0)
    versions.rollback()
    versions.promote(third, why="again")
    versions.canary(first, 0.25)
    path = versions.folder / "current"
    whole = path.read_bytes()
    for _ in range(2):
        path.unlink()
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
        with pytest.raises(ArtefactError, match=r"cannot read .* makes it anew"):
            versions.current()
        versions.add(artefact(4.0))
        assert path.read_bytes() == whole
    assert (versions.folder / "current.damaged").exists()
    assert (versions.folder / "current.damaged.2").exists()
    assert f"by the history {third} serves" in caplog.text
    versions.withdraw()
    assert versions.previous() == second


def test_nothing_serves_where_current_is_damaged_and_the_history_gone(versions: Versions) -> None:
    first, second = promoted(versions, 1.0, 2.0)
    (versions.folder / "current").write_bytes(b"{")
    (versions.folder / "history.jsonl").unlink()
    assert versions.promote(first, why="by hand") == Serving(id=first)
    assert versions.previous() is None
    assert second in versions.ids()


def test_events_are_numbered_on_where_current_is_lost(versions: Versions) -> None:
    first, _ = promoted(versions, 1.0, 2.0)
    (versions.folder / "current").unlink()
    assert versions.current() is None
    versions.promote(first, why="again")
    assert [event.number for event in versions.history()] == [1, 2, 3]


def test_going_back_passes_over_what_is_damaged(
    versions: Versions, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = promoted(versions, 1.0, 2.0, 3.0)
    (versions.folder / "versions" / second / "arrays.npz").write_bytes(b"torn")
    assert versions.previous() == first
    assert versions.prune(0) == (second,)
    assert versions.rollback() == Serving(id=first)
    assert "damaged" in caplog.text
    versions.promote(third, why="again")
    (versions.folder / "versions" / first / "arrays.npz").write_bytes(b"torn")
    with pytest.raises(ArtefactError, match="none to go back to"):
        versions.rollback()


def test_adding_a_policy_again_heals_what_is_kept_of_it(versions: Versions) -> None:
    first, second = promoted(versions, 1.0, 2.0)
    (versions.folder / "versions" / first / "arrays.npz").write_bytes(b"torn")
    (versions.folder / "versions" / second / "manifest.json").unlink()
    for one, name in ((1.0, first), (2.0, second)):
        assert versions.add(artefact(one)) == name
        assert float(versions.read(name).arrays["a/b"].item()) == one
    assert not (versions.folder / "drafts").exists()


def test_a_policy_that_vanishes_meanwhile_does_not_serve(versions: Versions) -> None:
    first, second = (versions.add(artefact(one)) for one in (1.0, 2.0))
    versions.promote(first, why="the first")
    place = versions.folder / "versions" / second
    patient = Versions(versions.folder, wait_s=30.0)
    changes: list[Callable[[], Serving]] = [
        lambda: patient.promote(second, why="too late"),
        lambda: patient.canary(second, 0.5),
    ]
    with ThreadPoolExecutor() as threads:
        with held(versions.folder / "lock", wait_s=0.0):
            waiting = [threads.submit(change) for change in changes]
            assert not wait(waiting, timeout=0.3).done
            shutil.rmtree(place)
        for one in waiting:
            with pytest.raises(ArtefactError, match="no policy"):
                one.result()
    assert versions.current() == Serving(id=first)


def test_a_canary_is_tried_only_beside_the_one_it_was_compared_with(versions: Versions) -> None:
    first, second = promoted(versions, 1.0, 2.0)
    third = versions.add(artefact(3.0))
    with pytest.raises(ArtefactError, match=f"compared with '{first}', but '{second}' serves"):
        versions.canary(third, 0.1, over=first)
    assert versions.canary(third, 0.1, over=second).candidate == third


def test_what_json_cannot_hold_does_not_damage_the_history(versions: Versions) -> None:
    name = versions.add(artefact(1.0))
    figures = {"gain": 0.5, "aiq": float("nan"), "cost": float("inf")}
    versions.promote(name, why="half a \ud83d character", figures=figures)
    (event,) = versions.history()
    assert (event.why, event.figures) == ("half a ? character", {"gain": 0.5})
    assert Serving(id=name, candidate="0002-b", share=0.5).choose("\ud83d") in (name, "0002-b")


def test_who_changes_the_folder_keeps_others_waiting_and_readers_not(versions: Versions) -> None:
    first, second = promoted(versions, 1.0, 2.0)
    with held(versions.folder / "lock", wait_s=0.0):
        with pytest.raises(StoreError, match="another process is changing the files"):
            versions.rollback()
        assert value(versions) == 2.0
        patient = Versions(versions.folder, wait_s=30.0)
        waiting = threading.Thread(target=patient.rollback)
        waiting.start()
        assert versions.current() == Serving(id=second)
    waiting.join()
    assert versions.current() == Serving(id=first)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "policies").write_text("a file")
    with pytest.raises(StoreError, match="policies"):
        Versions(tmp_path / "policies").add(artefact(1.0))
    with pytest.raises(ArtefactError, match="cannot look at"):
        Versions(tmp_path / "policies").stamp()


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_a_writer_killed_anywhere_leaves_a_policy_whole(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), KILLS],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert sum(int(line) for line in done.stdout.split()) >= 50
