"""What workers leave for one another, in a file and in a real Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emafusion.errors import StoreError, StoreUnreachableError
from emafusion.gateway.notes import KEPT_FREE, FileNotes, Notes, ValkeyNotes, key
from emafusion.gateway.valkey import Link

from .valkeys import Server


@pytest.fixture(params=["file", "valkey"])
async def notes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Notes]:
    found: Notes
    if request.param == "file":
        found = FileNotes(tmp_path / "new" / "notes")
    else:
        found = ValkeyNotes(await _linked(request.getfixturevalue("valkey")))
    yield found
    await found.aclose()


async def _linked(server: Server) -> Link:
    server.clear()
    return Link(server.url, timeout_s=1.0, retry_s=0.1)


async def test_what_is_kept_is_found_until_it_is_forgotten(notes: Notes) -> None:
    assert await notes.get("a") is None
    await notes.put("a", b"\x00one", 60.0)
    await notes.put("a", b"\x00two", 60.0)
    assert await notes.get("a") == b"\x00two"
    assert await notes.get("b") is None
    assert await notes.delete("a")
    assert not await notes.delete("a")
    assert await notes.get("a") is None


async def test_what_is_over_is_gone(notes: Notes) -> None:
    await notes.put("a", b"one", 0.001)
    await notes.put("b", b"two", 60.0)
    while await notes.get("a") is not None:
        pass
    assert not await notes.delete("a")
    assert await notes.get("b") == b"two"


async def test_processes_share_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    first, second = FileNotes(path), FileNotes(path)
    await first.put("a", b"one", 60.0)
    await second.put("b", b"two", 60.0)
    assert await second.get("a") == b"one"
    assert await first.get("b") == b"two"
    assert path.stat().st_mode & 0o077 == 0
    await first.aclose()
    await second.aclose()


async def test_a_file_is_bounded(tmp_path: Path) -> None:
    notes = FileNotes(tmp_path / "notes", max_bytes=100)
    for place in range(10):
        await notes.put(str(place), bytes(30), 60.0 + place)
    held = [name for name in map(str, range(10)) if await notes.get(name) is not None]
    assert held == ["7", "8", "9"]
    await notes.aclose()


async def test_who_has_most_makes_room_for_others(tmp_path: Path) -> None:
    notes = FileNotes(tmp_path / "notes", max_bytes=300)
    little = [key("response", "team:little", str(place)) for place in range(2)]
    much = [key("response", "team:much", str(place)) for place in range(20)]
    for place, name in enumerate(little + much):
        await notes.put(name, bytes(30), 60.0 + place)
    assert [await notes.get(name) for name in little] == [bytes(30)] * 2
    held = [place for place, name in enumerate(much) if await notes.get(name) is not None]
    assert held == list(range(20))[-len(held) :] != []
    await notes.aclose()


async def test_what_cannot_be_kept_is_told(tmp_path: Path) -> None:
    nowhere = ValkeyNotes(Link(f"unix://{tmp_path}/none", timeout_s=0.2))
    for broken in (FileNotes(tmp_path), nowhere):
        with pytest.raises(StoreError):
            await broken.put("a", b"one", 60.0)
        with pytest.raises(StoreError):
            await broken.get("a")
        with pytest.raises(StoreError):
            await broken.delete("a")
        await broken.aclose()


async def test_who_finds_valkey_away_may_ask_again(tmp_path: Path) -> None:
    notes = ValkeyNotes(Link(f"unix://{tmp_path}/none", timeout_s=0.2))
    with pytest.raises(StoreUnreachableError):
        await notes.get("a")
    await notes.aclose()


def test_keys_tell_kinds_and_tenants_apart() -> None:
    names = [
        key("loop", "team:a", "b"),
        key("session", "team:a", "b"),
        key("loop", "team:a", "b", ""),
        key("loop", "team:ab", ""),
        key("loop", "team:a", "c"),
    ]
    assert len(set(names)) == len(names)
    assert key("loop", "t", "half \ud83d of a pair") == key("loop", "t", "half \ud83d of a pair")


async def test_on_a_disk_with_little_space_new_notes_take_the_place_of_old_ones(
    tmp_path: Path,
) -> None:
    free = KEPT_FREE + (2 << 20)
    notes = FileNotes(tmp_path / "notes", free=lambda _: free)
    size = 1 << 18
    for place in range(8):
        await notes.put(str(place), bytes(size), 60.0 + place)
    free = KEPT_FREE
    await notes.put("new", bytes(size), 600.0)
    assert await notes.get("new") == bytes(size)
    assert await notes.get("0") is None
    assert await notes.get("7") is not None
    for place in range(48):
        await notes.put(f"new {place}", bytes(size), 600.0 + place)
    assert await notes.get("new 47") == bytes(size)
    assert notes.path.stat().st_size < 4 << 20  # not 14: it takes no more than it had
    await notes.aclose()


async def test_a_note_that_a_disk_has_no_space_for_is_refused(tmp_path: Path) -> None:
    free = KEPT_FREE
    notes = FileNotes(tmp_path / "notes", free=lambda _: free)
    with pytest.raises(StoreError, match="too little space"):
        await notes.put("a", bytes(1 << 18), 60.0)
    free = KEPT_FREE // 2
    with pytest.raises(StoreError, match="too little space"):
        await notes.put("a", b"one", 60.0)
    free = 2 * KEPT_FREE
    await notes.put("a", b"one", 60.0)
    assert await notes.get("a") == b"one"
    await notes.aclose()
